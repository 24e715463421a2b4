/* hostkey.c: the run's policy on host keys; what is recorded is in known_hosts.c, storing a new key in hostkey_learn.c.
 */
#include "ssh/hostkey.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ssh/known_match.h"

/* ---- the files ---- */

static int read_files(struct mu_hostkeys *hk, const char *const *files, bool named, struct mu_err *err)
{
    for (size_t i = 0; files[i]; i++) {
        char *path = mu_ssh_expand_home(files[i]);
        bool learns = i == 0 && hk->policy == MU_HOSTKEY_ACCEPT_NEW;
        int rc;

        if (!path)
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        if (i == 0)
            hk->path = path;
        rc = learns ? mu_hostkey_prepare_file(hk, named, err) : 0;
        if (!rc)
            rc = mu_known_hosts_read(hk->known, path, err);
        if (i > 0)
            free(path);
        if (rc == MU_ENOENT && (!named || learns))
            rc = 0;
        if (rc == MU_ENOMEM)
            return rc;
        if (rc && named) {
            if (err)
                err->code = MU_EINVAL;
            return MU_EINVAL;
        }
        if (rc) /* a default file that is there and cannot be read: say so, other files may do */
            mu_log(MU_WARNING, "known hosts file %s cannot be read; going on without it", files[i]);
    }
    return 0;
}

int mu_hostkeys_new(struct mu_hostkeys **out, const struct mu_ssh_config *config, struct mu_err *err)
{
    static const char *const defaults[] = {"~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts", NULL};
    bool named = config->known_hosts && config->known_hosts[0];
    struct mu_hostkeys *hk = calloc(1, sizeof(*hk));
    int rc;

    *out = NULL;
    if (!hk)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    hk->policy = config->policy;
    pthread_mutex_init(&hk->learning, NULL);
    rc = mu_known_hosts_new(&hk->known);
    if (rc)
        mu_err_set(err, rc, "out of memory");
    else if (hk->policy != MU_HOSTKEY_OFF)
        rc = read_files(hk, named ? config->known_hosts : defaults, named, err);
    if (rc)
        mu_hostkeys_free(hk);
    else
        *out = hk;
    return rc;
}

void mu_hostkeys_free(struct mu_hostkeys *hk)
{
    if (!hk)
        return;
    mu_known_hosts_free(hk->known);
    pthread_mutex_destroy(&hk->learning);
    free(hk->path);
    free(hk);
}

size_t mu_hostkeys_comparisons(const struct mu_hostkeys *hk)
{
    return mu_known_hosts_comparisons(hk->known);
}

/* ---- how things are written ---- */

void mu_hostkey_name(struct mu_buf *out, const char *host, int port)
{
    size_t start = out->len;

    if (port && port != 22)
        mu_buf_addf(out, "[%s]:%d", host, port);
    else
        mu_buf_adds(out, host);
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] >= 'A' && out->data[i] <= 'Z')
            out->data[i] = (char)(out->data[i] + 'a' - 'A');
}

void mu_hostkey_add_fingerprint(struct mu_buf *out, const unsigned char *blob, size_t len)
{
    static const struct {
        const char *type, *shown;
    } names[] = {{"ssh-ed25519", "ED25519"},
                 {"ssh-rsa", "RSA"},
                 {"ssh-dss", "DSA"},
                 {"ecdsa-sha2-nistp256", "ECDSA"},
                 {"ecdsa-sha2-nistp384", "ECDSA"},
                 {"ecdsa-sha2-nistp521", "ECDSA"},
                 {"sk-ssh-ed25519@openssh.com", "ED25519-SK"},
                 {"sk-ecdsa-sha2-nistp256@openssh.com", "ECDSA-SK"}};
    unsigned char md[SHA256_DIGEST_LENGTH], text[SHA256_DIGEST_LENGTH / 3 * 4 + 8];
    size_t type_len = 0;
    const char *type = mu_known_blob_type(blob, len, &type_len), *shown = NULL;

    for (size_t i = 0; type && i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i].type) == type_len && !memcmp(names[i].type, type, type_len))
            shown = names[i].shown;
    if (shown)
        mu_buf_adds(out, shown);
    else if (type)
        mu_buf_add_escaped(out, type, type_len);
    SHA256(blob, len, md);
    EVP_EncodeBlock(text, md, sizeof(md));
    text[strcspn((char *)text, "=")] = '\0'; /* as OpenSSH prints it */
    mu_buf_addf(out, " SHA256:%s", (char *)text);
}

static void add_record(struct mu_buf *out, const struct mu_known_key *key)
{
    if (key->line)
        mu_buf_addf(out, "%s:%lu", key->file, key->line);
    else
        mu_buf_addf(out, "%s, added in this run,", key->file);
}

static int fail_unknown(struct mu_hostkeys *hk, const struct mu_host *h, bool ca, struct mu_err *err)
{
    struct mu_buf fp = MU_BUF_INIT, port = MU_BUF_INIT;

    mu_hostkey_add_fingerprint(&fp, h->blob, h->len);
    if (h->port != 22)
        mu_buf_addf(&port, "-p %d ", h->port);
    mu_err_set(
        err, MU_EHOSTKEYUNKNOWN,
        "host key of %s is not known: %s; %scheck it and add it with: ssh-keyscan %s%s >> %s, or use --host-key-policy "
        "accept-new",
        h->shown, mu_buf_cstr(&fp),
        ca ? "(a certificate authority is recorded, certificates are not supported yet) " : "", mu_buf_cstr(&port),
        h->host_shown, hk->path);
    mu_buf_free(&port);
    mu_buf_free(&fp);
    mu_err_cause(err, "host key unknown");
    return MU_EHOSTKEYUNKNOWN; /* err may be NULL */
}

static int fail_changed(const struct mu_host *h, const struct mu_known_key *other, struct mu_err *err)
{
    struct mu_buf offered = MU_BUF_INIT, recorded = MU_BUF_INIT, where = MU_BUF_INIT;

    mu_hostkey_add_fingerprint(&offered, h->blob, h->len);
    mu_hostkey_add_fingerprint(&recorded, other->blob, other->len);
    add_record(&where, other);
    mu_err_set(
        err, MU_EHOSTKEYCHANGED,
        "host key of %s CHANGED: it offers %s, but %s records %s; an attack, or a reinstalled server (then: ssh-keygen "
        "-R '%s' -f %s)",
        h->shown, mu_buf_cstr(&offered), mu_buf_cstr(&where), mu_buf_cstr(&recorded), h->shown, other->file);
    mu_buf_free(&offered);
    mu_buf_free(&recorded);
    mu_buf_free(&where);
    mu_err_cause(err, "host key changed");
    return MU_EHOSTKEYCHANGED; /* err may be NULL */
}

static int fail_revoked(const struct mu_host *h, const struct mu_known_key *revoked, struct mu_err *err)
{
    struct mu_buf fp = MU_BUF_INIT;

    mu_hostkey_add_fingerprint(&fp, h->blob, h->len);
    mu_err_set(err, MU_EHOSTKEYREVOKED, "host key of %s is REVOKED by %s:%lu: %s; do not trust this server", h->shown,
               revoked->file, revoked->line, mu_buf_cstr(&fp));
    mu_buf_free(&fp);
    mu_err_cause(err, "host key revoked");
    return MU_EHOSTKEYREVOKED; /* err may be NULL */
}

/* ---- judging ---- */

struct search {
    const struct mu_host *host;
    struct mu_hostkey_found found;
};

static bool same_type(const struct mu_known_key *key, const struct mu_host *host)
{
    size_t a_len = 0, b_len = 0;
    const char *a = mu_known_blob_type(key->blob, key->len, &a_len),
               *b = mu_known_blob_type(host->blob, host->len, &b_len);

    return a && b && a_len == b_len && !memcmp(a, b, a_len);
}

static bool look(void *arg, const struct mu_known_key *key)
{
    struct search *s = arg;
    bool equal = key->len == s->host->len && !memcmp(key->blob, s->host->blob, key->len);

    if (key->marker == MU_KNOWN_CA) {
        s->found.ca = true;
    } else if (key->marker == MU_KNOWN_REVOKED) {
        if (equal)
            s->found.revoked = key;
    } else if (equal) {
        s->found.same = true;
    } else if (!s->found.other || (same_type(key, s->host) && !same_type(s->found.other, s->host))) {
        s->found.other = key; /* the message is clearest with a key of the same type */
    }
    return s->found.revoked != NULL; /* wins over all; a record that fits does not end the search for it */
}

struct mu_hostkey_found mu_hostkey_search(struct mu_hostkeys *hk, const char *name, const struct mu_host *host)
{
    bool deep = mu_known_hosts_hashed_revoked(hk->known);
    struct search s = {.host = host};

    mu_known_hosts_visit(hk->known, name, deep, look, &s);
    if (!deep && !s.found.same && !s.found.revoked) {
        s = (struct search){.host = host};
        mu_known_hosts_visit(hk->known, name, true, look, &s);
    }
    return s.found;
}

static int judge(struct mu_hostkeys *hk, const struct mu_host *h, struct mu_err *err)
{
    struct mu_hostkey_found found = mu_hostkey_search(hk, h->name, h);

    if (found.revoked)
        return fail_revoked(h, found.revoked, err);
    if (found.same)
        return 0;
    if (found.other)
        return fail_changed(h, found.other, err);
    if (h->bare) { /* OpenSSH lets a record without port stand for every port, when it fits */
        struct mu_hostkey_found bare = mu_hostkey_search(hk, h->bare, h);
        if (bare.revoked)
            return fail_revoked(h, bare.revoked, err);
        if (bare.same)
            return 0;
        found.ca |= bare.ca;
    }
    if (hk->policy == MU_HOSTKEY_STRICT)
        return fail_unknown(hk, h, found.ca, err);
    found = mu_hostkey_learn(hk, h);
    if (found.revoked)
        return fail_revoked(h, found.revoked, err);
    return found.other && !found.same ? fail_changed(h, found.other, err) : 0;
}

int mu_host_open(struct mu_host *h, const char *host, int port, ssh_key key, struct mu_err *err)
{
    long len = -1;

    *h = (struct mu_host){.port = port ? port : 22};
    mu_hostkey_name(&h->texts[0], host, h->port);
    mu_hostkey_name(&h->texts[1], host, 22);
    mu_buf_add_escaped(&h->texts[2], mu_buf_cstr(&h->texts[0]), h->texts[0].len);
    mu_buf_add_escaped(&h->texts[3], mu_buf_cstr(&h->texts[1]), h->texts[1].len);
    h->name = mu_buf_cstr(&h->texts[0]);
    h->bare = h->port == 22 ? NULL : mu_buf_cstr(&h->texts[1]);
    h->shown = mu_buf_cstr(&h->texts[2]);
    h->host_shown = mu_buf_cstr(&h->texts[3]);
    if (ssh_pki_export_pubkey_base64(key, &h->b64) == SSH_OK) {
        h->blob = malloc(strlen(h->b64));
        if (h->blob)
            len = mu_known_base64(h->b64, strlen(h->b64), h->blob, strlen(h->b64));
    }
    for (int i = 0; i < 4; i++)
        if (h->texts[i].failed)
            len = -1;
    if (len <= 0)
        return mu_err_set(err, MU_ENOMEM, "host key of %s: out of memory", host);
    h->len = (size_t)len;
    return 0;
}

void mu_host_close(struct mu_host *h)
{
    for (int i = 0; i < 4; i++)
        mu_buf_free(&h->texts[i]);
    free(h->blob);
    ssh_string_free_char(h->b64);
}

void mu_hostkey_warn_off(struct mu_hostkeys *hk)
{
    if (!atomic_exchange(&hk->off_warned, true))
        mu_log(MU_WARNING, "host keys are not checked (host key policy off): any machine can pass for a server");
}

int mu_hostkey_check(struct mu_ssh_shared *sh, const char *host, int port, ssh_key key, struct mu_err *err)
{
    struct mu_hostkeys *hk = sh->hostkeys;
    struct mu_host h;
    int rc;

    if (hk->policy == MU_HOSTKEY_OFF) {
        mu_hostkey_warn_off(hk);
        return 0;
    }
    rc = mu_host_open(&h, host, port, key, err);
    if (!rc)
        rc = judge(hk, &h, err);
    mu_host_close(&h);
    return rc;
}
