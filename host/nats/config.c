#include "nats/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/crypto.h>

enum { MAX_URLS = 16, MAX_FILE = 64 * 1024 };

/* ---- URLs ---- */

struct urls {
    char *text; /* cut into the list */
    const char *list[MAX_URLS];
    int n;
    bool tls;
    const char *plain; /* the first one that is not TLS and not on the loopback */
};

static bool on_loopback(const char *host, size_t len)
{
    struct in_addr v4;
    struct in6_addr v6;
    char name[64];

    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (!len || len >= sizeof name)
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    if (strcasecmp(name, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int read_url(struct urls *u, char *url, struct mu_err *err)
{
    bool tls = strncasecmp(url, "tls://", 6) == 0;
    char *host = url + (tls ? 6 : 7), *port, *end;
    size_t len;

    /* Before anything that would repeat it. */
    if (strchr(url, '@'))
        return mu_err_set(err, MU_EINVAL, "a NATS URL must not have a user, password or token in it: give them by options of "
                                          "their own, or in a file");
    if (!tls && strncasecmp(url, "nats://", 7) != 0)
        return mu_err_set(err, MU_EINVAL, "not a NATS URL: %s: write nats://HOST:PORT, or tls://HOST:PORT", url);
    len = strlen(host);
    if (len && host[len - 1] == '/')
        host[--len] = '\0';
    for (const char *c = host; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-._:[]%", *c))
            return mu_err_set(err, MU_EINVAL, "not a NATS URL: %s: write nats://HOST:PORT, or tls://HOST:PORT", url);
    port = host[0] == '[' ? strchr(host, ']') : host;
    port = port ? strchr(port, ':') : NULL;
    len = port ? (size_t)(port - host) : len;
    if (!len)
        return mu_err_set(err, MU_EINVAL, "no host in the NATS URL %s", url);
    if (port) {
        unsigned long n = strtoul(port + 1, &end, 10);

        if (!isdigit((unsigned char)port[1]) || *end || n < 1 || n > 65535)
            return mu_err_set(err, MU_EINVAL, "no port in the NATS URL %s: write nats://HOST:PORT", url);
    }
    if (u->n == MAX_URLS)
        return mu_err_set(err, MU_EINVAL, "more than %d NATS URLs", MAX_URLS);
    u->list[u->n++] = url;
    u->tls |= tls;
    if (!tls && !on_loopback(host, len) && !u->plain)
        u->plain = url;
    return 0;
}

static int read_urls(struct urls *u, const char *text, struct mu_err *err)
{
    char *save = NULL;
    int rc;

    u->text = strdup(text ? text : "");
    if (!u->text)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    for (char *url = strtok_r(u->text, ", \t\r\n", &save); url; url = strtok_r(NULL, ", \t\r\n", &save))
        if ((rc = read_url(u, url, err)) != 0)
            return rc;
    return u->n ? 0 : mu_err_set(err, MU_EINVAL, "no NATS URL: write nats://HOST:PORT, or tls://HOST:PORT");
}

/* ---- files ---- */

/* All of the file, for the caller to cleanse and free; what: for the error. */
static int read_file(char **out, const char *path, const char *what, struct mu_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t len = 0;
    int rc = 0;

    *out = NULL;
    if (fd < 0)
        return mu_err_sys(err, MU_EINVAL, errno, "cannot read %s %s", what, path);
    text = malloc(MAX_FILE + 1);
    if (!text)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    while (!rc && len < MAX_FILE) {
        ssize_t n = read(fd, text + len, MAX_FILE - len);

        if (n < 0 && errno != EINTR)
            rc = mu_err_sys(err, MU_EINVAL, errno, "cannot read %s %s", what, path);
        else if (n == 0)
            break;
        else if (n > 0)
            len += (size_t)n;
    }
    close(fd);
    if (rc) {
        free(text);
        return rc;
    }
    text[len] = '\0';
    *out = text;
    return 0;
}

static void forget(char *text)
{
    if (!text)
        return;
    OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* ---- options ---- */

static int set_tls(natsOptions *o, const struct mu_nats_config *c, struct mu_err *err)
{
    char *text = NULL;
    char said[200] = "";
    const char *last;
    bool locked;
    int rc;

    if (natsOptions_SetSecure(o, true) != NATS_OK)
        return mu_err_set(err, MU_EINVAL, "libnats has no TLS here");
    if (!c->cert_file != !c->key_file)
        return mu_err_set(err, MU_EINVAL, "the client's certificate and its key are given together, for NATS");
    if (c->ca_file) {
        if ((rc = read_file(&text, c->ca_file, "the authorities for NATS,", err)) != 0)
            return rc;
        forget(text);
        if (natsOptions_LoadCATrustedCertificates(o, c->ca_file) != NATS_OK)
            return mu_err_set(err, MU_EINVAL, "no certificates of authorities in %s: it is to be PEM", c->ca_file);
    }
    if (c->cert_file) {
        if ((rc = read_file(&text, c->cert_file, "the certificate for NATS,", err)) != 0)
            return rc;
        forget(text);
        if ((rc = read_file(&text, c->key_file, "the key for NATS,", err)) != 0)
            return rc;
        /* OpenSSL would ask for the passphrase on the terminal. */
        locked = strstr(text, "ENCRYPTED") != NULL;
        forget(text);
        if (locked)
            return mu_err_set(err, MU_EINVAL, "the key %s has a passphrase: give NATS one without", c->key_file);
        if (natsOptions_LoadCertificatesChain(o, c->cert_file, c->key_file) != NATS_OK) {
            last = nats_GetLastError(NULL);
            snprintf(said, sizeof said, "%s", last ? last : "");
            return mu_err_set(err, MU_EINVAL, "%s and %s are not a certificate and its key: %s", c->cert_file, c->key_file, said);
        }
    }
    return 0;
}

static int set_credentials(natsOptions *o, const struct mu_nats_config *c, struct mu_err *err)
{
    char public_key[MU_NATS_KEY_SIZE];
    char *text = NULL;
    natsStatus s = NATS_OK;
    int rc;

    if (!!c->user + !!c->token + !!c->nkey_file + !!c->creds_file > 1)
        return mu_err_set(err, MU_EINVAL, "one way only to log in to NATS: a user, a token, an nkey, or a file of credentials");
    if (c->password && !c->user)
        return mu_err_set(err, MU_EINVAL, "a password for NATS, and no user");
    if (c->user) {
        s = natsOptions_SetUserInfo(o, c->user, c->password ? c->password : "");
    } else if (c->token) {
        s = natsOptions_SetToken(o, c->token);
    } else if (c->nkey_file || c->creds_file) {
        const char *path = c->nkey_file ? c->nkey_file : c->creds_file;
        bool jwt;

        if ((rc = read_file(&text, path, c->nkey_file ? "the nkey" : "the credentials for NATS,", err)) != 0)
            return rc;
        rc = mu_nats_nkey_public(public_key, text);
        jwt = strstr(text, "-----BEGIN NATS USER JWT-----") != NULL;
        forget(text);
        if (rc)
            return mu_err_set(err, rc, "no seed of a user in %s: it begins with SU", path);
        if (c->creds_file && !jwt)
            return mu_err_set(err, MU_EINVAL, "no JWT in %s: it is to be as nsc writes it; an nkey alone is given as one", path);
        s = c->nkey_file ? natsOptions_SetNKeyFromSeed(o, public_key, path) :
                           natsOptions_SetUserCredentialsFromFiles(o, path, NULL);
    }
    return s == NATS_OK ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
}

int mu_nats_options(natsOptions **out, const struct mu_nats_config *config, struct mu_err *err)
{
    struct urls u = {0};
    natsOptions *o = NULL;
    natsStatus s;
    int rc;

    *out = NULL;
    if ((rc = read_urls(&u, config->urls, err)) != 0)
        goto out;
    u.tls |= config->ca_file || config->cert_file || config->key_file;
    if (!u.tls && u.plain && !config->insecure) {
        rc = mu_err_set(err, MU_EINVAL, "%s is plain text, and not on this machine: use tls:// (or --insecure-nats, where nobody "
                                        "else can listen)", u.plain);
        goto out;
    }
    s = natsOptions_Create(&o);
    if (s == NATS_OK)
        s = natsOptions_SetServers(o, u.list, u.n);
    if (s == NATS_OK)
        s = natsOptions_SetName(o, config->name ? config->name : "muster");
    /* See link.h for who connects again. A server that says nothing any more is lost after some 15 s. */
    if (s == NATS_OK)
        s = natsOptions_SetAllowReconnect(o, false);
    if (s == NATS_OK)
        s = natsOptions_SetPingInterval(o, 5000);
    if (s == NATS_OK)
        s = natsOptions_SetMaxPingsOut(o, 2);
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(o, 4000);
    /* A thread that sends is not held for longer, when the server reads nothing. */
    if (s == NATS_OK)
        s = natsOptions_SetWriteDeadline(o, 4000);
    /* Only those that were given: the rules above hold for them, and certificates name them. */
    if (s == NATS_OK)
        s = natsOptions_SetIgnoreDiscoveredServers(o, true);
    if (s != NATS_OK) {
        rc = mu_err_set(err, s == NATS_NO_MEMORY ? MU_ENOMEM : MU_EINVAL, "%s: %s", config->urls, natsStatus_GetText(s));
        goto out;
    }
    if (u.tls && (rc = set_tls(o, config, err)) != 0)
        goto out;
    if ((rc = set_credentials(o, config, err)) != 0)
        goto out;
    *out = o;
    o = NULL;
out:
    natsOptions_Destroy(o);
    free(u.text);
    return rc;
}
