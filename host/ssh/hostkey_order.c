/* hostkey_order.c: which host key algorithms to ask a server for. */
#include <string.h>

#include "ssh/hostkey.h"
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
    struct mu_hostkeys *hk;
    unsigned known = 0;
    int rc = mu_hostkeys_of(&hk, sh->hostkeys, o, err);

    if (rc)
        return rc;
    if (o->host_key_alias)
        rc = known_of(hk, o->host_key_alias, 22, &known);
    else
        rc = known_of(hk, o->hostname, o->port, &known);
    if (o->host_key_algorithms) {
        order_listed(o->host_key_algorithms, known, out);
        if (!out->len && !out->failed) {
            mu_err_set(err, MU_EKEX, "%s: HostKeyAlgorithms %s: none of them is supported", o->hostname,
                       o->host_key_algorithms);
            rc = mu_err_cause(err, "key exchange: no common algorithm");
        }
    } else {
        mu_hostkey_order(known, out);
    }
    return rc == MU_ENOMEM || out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : rc;
}
