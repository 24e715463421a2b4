/* hostkey_order.c: which host key algorithms to ask a server for. */
#include <string.h>

#include "ssh/hostkey.h"

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

int mu_hostkey_algorithms(struct mu_ssh_shared *sh, const char *host, int port, struct mu_buf *out)
{
    struct mu_buf name = MU_BUF_INIT, bare = MU_BUF_INIT;
    struct mu_hostkeys *hk = sh->hostkeys;
    unsigned known = 0;
    int rc = 0;

    if (hk->policy == MU_HOSTKEY_OFF)
        return 0;
    mu_hostkey_name(&name, host, port);
    mu_hostkey_name(&bare, host, 22);
    if (name.failed || bare.failed) {
        rc = MU_ENOMEM;
        goto out;
    }
    known = known_types(hk, mu_buf_cstr(&name));
    if (!known && strcmp(mu_buf_cstr(&name), mu_buf_cstr(&bare)) != 0)
        known = known_types(hk, mu_buf_cstr(&bare));
    mu_hostkey_order(known, out);
    if (out->failed)
        rc = MU_ENOMEM;
out:
    mu_buf_free(&name);
    mu_buf_free(&bare);
    return rc;
}
