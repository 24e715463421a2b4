/* hostkey_order.c: which host key algorithms to ask a server for. */
#include <stdio.h>
#include <string.h>

#include "ssh/hostkey.h"
#include "ssh/known_match.h"
#include "ssh/options.h"

/* libssh's own default order. `key` is the type that is recorded for a signature algorithm. */
static const struct {
    const char *name, *key;
} algorithms[] = {
    {"ssh-ed25519", "ssh-ed25519"},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com"},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"},
    {"rsa-sha2-512", "ssh-rsa"},
    {"rsa-sha2-256", "ssh-rsa"},
};
#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

unsigned mu_hostkey_algorithms_of(const unsigned char *blob, size_t blob_len)
{
    size_t len = 0;
    const char *type = mu_known_blob_type(blob, blob_len, &len);
    unsigned known = 0;

    for (unsigned i = 0; type && i < N_ALGORITHMS; i++)
        if (strlen(algorithms[i].key) == len && !memcmp(algorithms[i].key, type, len))
            known |= 1u << i;
    return known;
}

void mu_hostkey_order(unsigned known, struct mu_buf *out)
{
    for (int first = 1; first >= 0 && known; first--)
        for (unsigned i = 0; i < N_ALGORITHMS; i++)
            if ((known >> i & 1) == (unsigned)first)
                mu_buf_addf(out, "%s%s", out->len ? "," : "", algorithms[i].name);
}

static bool note_type(void *arg, const struct mu_known_key *key)
{
    unsigned *known = arg;

    if (key->marker == MU_KNOWN_PLAIN)
        *known |= mu_hostkey_algorithms_of(key->blob, key->len);
    return false;
}

static unsigned known_types(struct mu_hostkeys *hk, const char *name)
{
    unsigned known = 0;

    mu_known_hosts_visit(hk->known, name, false, note_type, &known);
    if (!known)
        mu_known_hosts_visit(hk->known, name, true, note_type, &known);
    return known;
}

/* The algorithms of keys that are recorded for it. */
static int known_of(struct mu_hostkeys *hk, const char *host, int port, unsigned *known)
{
    struct mu_buf name = MU_BUF_INIT, bare = MU_BUF_INIT;
    int rc = 0;

    *known = 0;
    mu_hostkey_name(&name, host, port);
    mu_hostkey_name(&bare, host, 22);
    if (name.failed || bare.failed) {
        rc = MU_ENOMEM;
        goto out;
    }
    *known = known_types(hk, mu_buf_cstr(&name));
    if (!*known && strcmp(mu_buf_cstr(&name), mu_buf_cstr(&bare)) != 0)
        *known = known_types(hk, mu_buf_cstr(&bare));
out:
    mu_buf_free(&name);
    mu_buf_free(&bare);
    return rc;
}

int mu_hostkey_algorithms(struct mu_ssh_shared *sh, const char *host, int port, struct mu_buf *out)
{
    unsigned known;
    int rc;

    if (sh->hostkeys->policy == MU_HOSTKEY_OFF)
        return 0;
    rc = known_of(sh->hostkeys, host, port, &known);
    mu_hostkey_order(known, out);
    return rc || out->failed ? MU_ENOMEM : 0;
}

/* ---- lists as ssh_config writes them ---- */

/* Whether the list, which may have patterns in it, has the name of n bytes. */
static bool has(const char *list, const char *name, size_t n)
{
    char copy[128];

    snprintf(copy, sizeof(copy), "%.*s", (int)n, name);
    return mu_known_match_list(list, copy);
}

static void add_names(struct mu_buf *out, const char *names, const char *without)
{
    for (size_t n; *names; names += n + (names[n] == ',')) {
        n = strcspn(names, ",");
        if (n && (!without || !has(without, names, n)))
            mu_buf_addf(out, "%s%.*s", out->len ? "," : "", (int)n, names);
    }
}

/* "a,b": these; "+a": the default ones and a; "-a*": without what fits; "^a": a first. */
static void choose(const char *spec, const char *defaults, struct mu_buf *out)
{
    switch (*spec) {
    case '+':
        add_names(out, defaults, NULL);
        add_names(out, spec + 1, defaults);
        break;
    case '-':
        add_names(out, defaults, spec + 1);
        break;
    case '^':
        add_names(out, spec + 1, NULL);
        add_names(out, defaults, spec + 1);
        break;
    default:
        add_names(out, spec, NULL);
    }
}

int mu_pubkey_algorithms(const char *spec, struct mu_buf *out)
{
    /* libssh's own default; without SHA-1, which only a list that names it brings back */
    static const char defaults[] =
        "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"
        "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
        "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp521,"
        "ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,"
        "rsa-sha2-512,rsa-sha2-256";

    choose(spec, defaults, out);
    return out->failed ? MU_ENOMEM : 0;
}

/* Of the list those that libssh knows, those of recorded keys first. */
static void order_listed(const char *list, unsigned known, struct mu_buf *out)
{
    for (int first = 1; first >= 0; first--) {
        for (const char *p = list, *end; *p; p = *end ? end + 1 : end) {
            size_t n = strcspn(p, ",");
            end = p + n;
            for (unsigned i = 0; i < N_ALGORITHMS; i++)
                if (strlen(algorithms[i].name) == n && !memcmp(algorithms[i].name, p, n) &&
                    (known >> i & 1) == (unsigned)first)
                    mu_buf_addf(out, "%s%s", out->len ? "," : "", algorithms[i].name);
        }
    }
}

int mu_hostkey_algorithms_for(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_buf *out,
                              struct mu_err *err)
{
    struct mu_buf all = MU_BUF_INIT, listed = MU_BUF_INIT;
    struct mu_hostkeys *hk;
    unsigned known = 0;
    int rc = mu_hostkeys_of(&hk, sh->hostkeys, o->known_hosts, err);

    if (rc)
        return rc;
    if (o->host_key_alias)
        rc = known_of(hk, o->host_key_alias, 22, &known);
    else
        rc = known_of(hk, o->hostname, o->port, &known);
    if (o->host_key_algorithms) {
        mu_hostkey_order(~0u, &all);
        choose(o->host_key_algorithms, mu_buf_cstr(&all), &listed);
        order_listed(mu_buf_cstr(&listed), known, out);
        if (!out->len && !out->failed) {
            mu_err_set(err, MU_EKEX, "%s: HostKeyAlgorithms %s: none of them is supported", o->hostname,
                       o->host_key_algorithms);
            rc = mu_err_cause(err, "key exchange: no common algorithm");
        }
    } else {
        mu_hostkey_order(known, out);
    }
    if (all.failed || listed.failed || out->failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    mu_buf_free(&all);
    mu_buf_free(&listed);
    return rc;
}
