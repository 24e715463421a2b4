/* options_tell.c: options for people and tests, in the words of ssh -G. */
#include <string.h>

#include "ssh/options.h"

static void text(struct mu_buf *out, const char *keyword, const char *value)
{
    if (!value)
        return;
    mu_buf_addf(out, "%s ", keyword);
    mu_buf_add_escaped(out, value, strlen(value));
    mu_buf_addc(out, '\n');
}

static void number(struct mu_buf *out, const char *keyword, unsigned n)
{
    if (n)
        mu_buf_addf(out, "%s %u\n", keyword, n);
}

static void each(struct mu_buf *out, const char *keyword, char *const *list)
{
    for (size_t i = 0; list && list[i]; i++)
        text(out, keyword, list[i]);
    if (list && !list[0])
        text(out, keyword, "none");
}

static void in_line(struct mu_buf *out, const char *keyword, char *const *list)
{
    if (!list)
        return;
    mu_buf_adds(out, keyword);
    for (size_t i = 0; list[i]; i++) {
        mu_buf_addc(out, ' ');
        mu_buf_add_escaped(out, list[i], strlen(list[i]));
    }
    mu_buf_addf(out, "%s\n", list[0] ? "" : " none");
}

void mu_ssh_options_tell(const struct mu_ssh_options *o, struct mu_buf *out)
{
    static const char *const families[] = {"any", "inet", "inet6"};

    text(out, "hostname", o->hostname);
    number(out, "port", (unsigned)o->port);
    text(out, "user", o->user);
    each(out, "identityfile", o->identity_files);
    each(out, "certificatefile", o->certificate_files);
    text(out, "identitiesonly", o->identities_only ? "yes" : "no");
    text(out, "identityagent", o->identity_agent);
    text(out, "proxyjump", o->proxy_jump);
    text(out, "proxycommand", o->proxy_command);
    in_line(out, "userknownhostsfile", o->known_hosts);
    in_line(out, "globalknownhostsfile", o->global_known_hosts);
    text(out, "hostkeyalias", o->host_key_alias);
    text(out, "stricthostkeychecking", o->strict_host_key);
    text(out, "ciphers", o->ciphers);
    text(out, "macs", o->macs);
    text(out, "kexalgorithms", o->kex_algorithms);
    text(out, "hostkeyalgorithms", o->host_key_algorithms);
    text(out, "pubkeyacceptedalgorithms", o->pubkey_algorithms);
    text(out, "preferredauthentications", o->preferred_authentications);
    text(out, "pubkeyauthentication", o->no_publickey ? "no" : "yes");
    text(out, "passwordauthentication", o->no_password ? "no" : "yes");
    text(out, "kbdinteractiveauthentication", o->no_kbdint ? "no" : "yes");
    text(out, "bindaddress", o->bind_address);
    text(out, "addressfamily", families[o->family]);
    number(out, "serveraliveinterval", o->server_alive_interval_s);
    number(out, "serveralivecountmax", o->server_alive_count_max);
    number(out, "connecttimeout", o->connect_timeout_s);
    number(out, "connectionattempts", o->connection_attempts);
}
