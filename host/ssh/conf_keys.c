/* conf_keys.c: the keywords of ssh_config(5), OpenSSH 9.2 as Debian has it, and what they are to muster. */
#include <stdlib.h>
#include <strings.h>

#include "ssh/conf_internal.h"

#define ONE(name, key, form) {name, MU_CONF_##key, MU_FORM_##form, NULL}
#define PASSED(name) {name, MU_CONF_PASSED_OVER, MU_FORM_ANY, NULL}
#define UNHONOURED(name, harmless) {name, MU_CONF_NOT_HONOURED, MU_FORM_WORDS, harmless}

/* Sorted by name, whatever the case. Of what newer versions know, that is here which does not matter to muster: whoever
 * has them in the file has such a version. */
static const struct mu_conf_keyword keywords[] = {
    PASSED("AddKeysToAgent"),
    ONE("AddressFamily", ADDRESS_FAMILY, FAMILY),
    PASSED("AFSTokenPassing"),
    ONE("BatchMode", BATCH_MODE, FLAG), /* nobody is ever asked: it has its form checked */
    ONE("BindAddress", BIND_ADDRESS, TEXT),
    UNHONOURED("BindInterface", ""),
    PASSED("CanonicalDomains"),
    PASSED("CanonicalizeFallbackLocal"),
    ONE("CanonicalizeHostname", CANONICALIZE_HOSTNAME, CANON),
    PASSED("CanonicalizeMaxDots"),
    UNHONOURED("CanonicalizePermittedCNAMEs", "none"),
    PASSED("CASignatureAlgorithms"),
    ONE("CertificateFile", CERTIFICATE_FILE, TEXT),
    ONE("ChallengeResponseAuthentication", KBD_INTERACTIVE, FLAG),
    PASSED("ChannelTimeout"),
    PASSED("CheckHostIP"),
    PASSED("Cipher"),
    ONE("Ciphers", CIPHERS, CIPHERS),
    PASSED("ClearAllForwardings"),
    PASSED("Compression"),
    PASSED("CompressionLevel"),
    ONE("ConnectionAttempts", CONNECTION_ATTEMPTS, NUMBER),
    ONE("ConnectTimeout", CONNECT_TIMEOUT, TIME),
    PASSED("ControlMaster"),
    PASSED("ControlPath"),
    PASSED("ControlPersist"),
    ONE("DSAAuthentication", PUBKEY, PUBKEY),
    PASSED("DynamicForward"),
    PASSED("EnableEscapeCommandline"),
    PASSED("EnableSSHKeysign"),
    PASSED("EscapeChar"),
    PASSED("ExitOnForwardFailure"),
    PASSED("FallBackToRsh"),
    PASSED("FingerprintHash"),
    PASSED("ForkAfterAuthentication"),
    PASSED("ForwardAgent"),
    PASSED("ForwardX11"),
    PASSED("ForwardX11Timeout"),
    PASSED("ForwardX11Trusted"),
    PASSED("GatewayPorts"),
    ONE("GlobalKnownHostsFile", GLOBAL_KNOWN_HOSTS_FILE, PATHS),
    PASSED("GlobalKnownHostsFile2"),
    PASSED("GSSAPIAuthentication"),
    PASSED("GSSAPIClientIdentity"),
    PASSED("GSSAPIDelegateCredentials"),
    PASSED("GSSAPIKexAlgorithms"),
    PASSED("GSSAPIKeyExchange"),
    PASSED("GSSAPIRenewalForcesRekey"),
    PASSED("GSSAPIServerIdentity"),
    PASSED("GSSAPITrustDNS"),
    PASSED("HashKnownHosts"),
    ONE("Host", HOST, WORDS),
    PASSED("HostbasedAcceptedAlgorithms"),
    UNHONOURED("HostbasedAuthentication", "no,false"),
    PASSED("HostbasedKeyTypes"),
    ONE("HostKeyAlgorithms", HOST_KEY_ALGORITHMS, KEYS),
    ONE("HostKeyAlias", HOST_KEY_ALIAS, TEXT),
    ONE("HostName", HOST_NAME, TEXT),
    ONE("IdentitiesOnly", IDENTITIES_ONLY, FLAG),
    ONE("IdentityAgent", IDENTITY_AGENT, AGENT),
    ONE("IdentityFile", IDENTITY_FILE, TEXT),
    ONE("IdentityFile2", IDENTITY_FILE, TEXT),
    ONE("IgnoreUnknown", IGNORE_UNKNOWN, TEXT),
    ONE("Include", INCLUDE, WORDS),
    PASSED("IPQoS"),
    ONE("KbdInteractiveAuthentication", KBD_INTERACTIVE, FLAG),
    PASSED("KbdInteractiveDevices"),
    PASSED("KeepAlive"),
    PASSED("KerberosAuthentication"),
    PASSED("KerberosTGTPassing"),
    ONE("KexAlgorithms", KEX_ALGORITHMS, KEX),
    UNHONOURED("KnownHostsCommand", "none"),
    PASSED("LocalCommand"),
    PASSED("LocalForward"),
    PASSED("LogLevel"),
    PASSED("LogVerbose"),
    ONE("MACs", MACS, MACS),
    ONE("Match", MATCH, ANY),
    UNHONOURED("NoHostAuthenticationForLocalhost", "no,false"),
    PASSED("NumberOfPasswordPrompts"),
    PASSED("ObscureKeystrokeTiming"),
    ONE("PasswordAuthentication", PASSWORD, FLAG),
    PASSED("PermitLocalCommand"),
    PASSED("PermitRemoteOpen"),
    UNHONOURED("PKCS11Provider", "none"),
    ONE("Port", PORT, PORT),
    ONE("PreferredAuthentications", PREFERRED_AUTHENTICATIONS, TEXT),
    PASSED("Protocol"),
    PASSED("ProtocolKeepAlives"),
    ONE("ProxyCommand", PROXY_COMMAND, COMMAND),
    ONE("ProxyJump", PROXY_JUMP, JUMP),
    UNHONOURED("ProxyUseFdpass", "no,false"),
    ONE("PubkeyAcceptedAlgorithms", PUBKEY_ALGORITHMS, KEYS),
    ONE("PubkeyAcceptedKeyTypes", PUBKEY_ALGORITHMS, KEYS),
    ONE("PubkeyAuthentication", PUBKEY, PUBKEY),
    PASSED("RekeyLimit"),
    PASSED("RemoteCommand"),
    PASSED("RemoteForward"),
    PASSED("RequestTTY"),
    UNHONOURED("RequiredRSASize", ""),
    UNHONOURED("RevokedHostKeys", "none"),
    PASSED("RhostsAuthentication"),
    PASSED("RhostsRSAAuthentication"),
    PASSED("RSAAuthentication"),
    PASSED("SecurityKeyProvider"),
    PASSED("SendEnv"),
    ONE("ServerAliveCountMax", SERVER_ALIVE_COUNT_MAX, NUMBER),
    ONE("ServerAliveInterval", SERVER_ALIVE_INTERVAL, TIME),
    PASSED("SessionType"),
    UNHONOURED("SetEnv", ""),
    PASSED("SetupTimeOut"),
    ONE("SkeyAuthentication", KBD_INTERACTIVE, FLAG),
    UNHONOURED("SmartcardDevice", "none"),
    PASSED("StdinNull"),
    PASSED("StreamLocalBindMask"),
    PASSED("StreamLocalBindUnlink"),
    ONE("StrictHostKeyChecking", STRICT_HOST_KEY, STRICT),
    PASSED("SyslogFacility"),
    PASSED("TCPKeepAlive"),
    ONE("TISAuthentication", KBD_INTERACTIVE, FLAG),
    PASSED("Tunnel"),
    PASSED("TunnelDevice"),
    PASSED("UpdateHostKeys"),
    PASSED("UseBlacklistedKeys"),
    PASSED("UsePrivilegedPort"),
    ONE("User", USER, TEXT),
    ONE("UserKnownHostsFile", USER_KNOWN_HOSTS_FILE, PATHS),
    PASSED("UserKnownHostsFile2"),
    PASSED("UseRoaming"),
    PASSED("UseRsh"),
    UNHONOURED("VerifyHostKeyDNS", "no,false"),
    PASSED("VisualHostKey"),
    PASSED("WarnWeakCrypto"),
    PASSED("XAuthLocation"),
};
#define N_KEYWORDS (sizeof(keywords) / sizeof(keywords[0]))

bool mu_conf_keyword_warn(const struct mu_conf_keyword *k)
{
    static atomic_bool warned[N_KEYWORDS];

    return !atomic_exchange(&warned[k - keywords], true);
}

static int by_name(const void *name, const void *keyword)
{
    return strcasecmp(name, ((const struct mu_conf_keyword *)keyword)->name);
}

const struct mu_conf_keyword *mu_conf_keyword_find(const char *name)
{
    return bsearch(name, keywords, N_KEYWORDS, sizeof(keywords[0]), by_name);
}

const char *mu_conf_keyword_name(enum mu_conf_key key)
{
    size_t best = N_KEYWORDS;

    /* A key has its old names, too; the one of today is the last that is not an old one. */
    for (size_t i = 0; i < N_KEYWORDS; i++)
        if (keywords[i].key == key && (best == N_KEYWORDS || key == MU_CONF_KBD_INTERACTIVE || key == MU_CONF_PUBKEY))
            best = i;
    if (key == MU_CONF_KBD_INTERACTIVE)
        return "KbdInteractiveAuthentication";
    return best < N_KEYWORDS ? keywords[best].name : "?";
}
