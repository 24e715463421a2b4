/* trust.c: host keys that hold for one task's sessions: given by its script, or learnt at its first connect. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ssh/hostkey.h"
#include "ssh/known_match.h"

#define KEY_TEXT_MAX 16384

struct trusted {
    struct trusted *next;
    char *name; /* as known_hosts would record it; NULL: whatever the host */
    size_t len;
    unsigned char blob[];
};

struct mu_ssh_trust {
    unsigned refs;
    bool learns;
    struct trusted *keys;
};

static int add(struct mu_ssh_trust *t, const char *name, const unsigned char *blob, size_t len)
{
    struct trusted *k = malloc(sizeof(*k) + len);

    if (!k)
        return MU_ENOMEM;
    k->name = name ? strdup(name) : NULL;
    if (name && !k->name) {
        free(k);
        return MU_ENOMEM;
    }
    k->len = len;
    memcpy(k->blob, blob, len);
    k->next = t->keys;
    t->keys = k;
    return 0;
}

static int not_a_key(const char *text, const char *why, struct mu_err *err)
{
    struct mu_buf shown = MU_BUF_INIT;

    mu_buf_add_escaped(&shown, text, strnlen(text, 40));
    mu_err_set(err, MU_EINVAL, "host key \"%s%s\": %s; it is written as in a .pub file: ssh-ed25519 AAAA…",
               mu_buf_cstr(&shown), strlen(text) > 40 ? "…" : "", why);
    mu_buf_free(&shown);
    mu_err_cause(err, "host key given is not a key");
    return MU_EINVAL; /* err may be NULL */
}

/* One line "type base64 comment". */
static int parse(struct mu_ssh_trust *t, const char *text, struct mu_err *err)
{
    const char *type = text + strspn(text, " \t");
    size_t type_len = strcspn(type, " \t\r\n"), blob_type_len = 0;
    const char *b64 = type + type_len + strspn(type + type_len, " \t");
    size_t b64_len = strcspn(b64, " \t\r\n");
    const char *blob_type;
    unsigned char *blob;
    long len;
    int rc;

    if (!b64_len || b64_len > KEY_TEXT_MAX)
        return not_a_key(text, b64_len ? "it is too long" : "it has no key after its type", err);
    blob = malloc(b64_len);
    if (!blob)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    len = mu_known_base64(b64, b64_len, blob, b64_len);
    blob_type = len > 0 ? mu_known_blob_type(blob, (size_t)len, &blob_type_len) : NULL;
    if (!blob_type)
        rc = not_a_key(text, "this is not a public key", err);
    else if (blob_type_len != type_len || memcmp(blob_type, type, type_len) != 0)
        rc = not_a_key(text, "the key is of another type than the first word says", err);
    else if (!mu_hostkey_algorithms_of(blob, (size_t)len))
        rc = not_a_key(text, "a key of this type is not supported", err);
    else if ((rc = add(t, NULL, blob, (size_t)len)) != 0)
        mu_err_set(err, rc, "out of memory");
    free(blob);
    return rc;
}

int mu_ssh_trust_new(struct mu_ssh_trust **out, const char *const *keys, struct mu_err *err)
{
    struct mu_ssh_trust *t = calloc(1, sizeof(*t));
    int rc = 0;

    *out = NULL;
    if (!t)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    t->refs = 1;
    t->learns = !keys;
    for (; keys && *keys && !rc; keys++)
        rc = parse(t, *keys, err);
    if (!rc && !t->learns && !t->keys) {
        rc = mu_err_set(err, MU_EINVAL, "host keys: the list is empty, so no server could be trusted");
        mu_err_cause(err, "no host keys given");
    }
    if (rc)
        mu_ssh_trust_unref(t);
    else
        *out = t;
    return rc;
}

struct mu_ssh_trust *mu_ssh_trust_ref(struct mu_ssh_trust *t)
{
    if (t)
        t->refs++;
    return t;
}

void mu_ssh_trust_unref(struct mu_ssh_trust *t)
{
    struct trusted *k;

    if (!t || --t->refs)
        return;
    while ((k = t->keys)) {
        t->keys = k->next;
        free(k->name);
        free(k);
    }
    free(t);
}

bool mu_ssh_trust_learns(const struct mu_ssh_trust *t) { return t->learns; }

static bool meant(const struct trusted *k, const char *name) { return !k->name || !strcmp(k->name, name); }

static int refuse(const struct mu_ssh_trust *t, const struct mu_host *h, const struct trusted *other, struct mu_err *err)
{
    struct mu_buf offered = MU_BUF_INIT, wanted = MU_BUF_INIT;
    int code = t->learns ? MU_EHOSTKEYCHANGED : MU_EHOSTKEYUNKNOWN;

    mu_hostkey_add_fingerprint(&offered, h->blob, h->len);
    mu_hostkey_add_fingerprint(&wanted, other->blob, other->len);
    if (t->learns)
        mu_err_set(err, code, "host key of %s CHANGED since this run first connected to it: it offers %s, and had %s; an "
                   "attack, or another machine behind the address", h->shown, mu_buf_cstr(&offered), mu_buf_cstr(&wanted));
    else
        mu_err_set(err, code, "host key of %s is none of those given for it: it offers %s, and %s%s was expected; an "
                   "attack, or another machine behind the address", h->shown, mu_buf_cstr(&offered), mu_buf_cstr(&wanted),
                   other->next ? " or another of the list" : "");
    mu_buf_free(&offered);
    mu_buf_free(&wanted);
    mu_err_cause(err, t->learns ? "host key changed" : "host key is none of those given");
    return code; /* err may be NULL */
}

int mu_trust_check(struct mu_ssh_trust *t, struct mu_ssh_shared *sh, const char *host, int port, ssh_key key,
                   struct mu_err *err)
{
    const struct trusted *other = NULL;
    struct mu_buf fp = MU_BUF_INIT;
    struct mu_host h;
    int rc;

    rc = mu_host_open(&h, host, port, NULL, key, err);
    if (rc)
        goto out;
    if (mu_hostkey_is_revoked(sh->hostkeys, &h, err)) {
        rc = MU_EHOSTKEYREVOKED;
        goto out;
    }
    if (sh->hostkeys->policy == MU_HOSTKEY_OFF) {
        mu_hostkey_warn_off(sh->hostkeys);
        goto out;
    }
    for (const struct trusted *k = t->keys; k; k = k->next) {
        if (!meant(k, h.name))
            continue;
        if (k->len == h.len && !memcmp(k->blob, h.blob, h.len))
            goto out;
        other = k;
    }
    if (other) {
        rc = refuse(t, &h, other, err);
        goto out;
    }
    rc = add(t, h.name, h.blob, h.len);
    if (rc) {
        mu_err_set(err, rc, "host key of %s: out of memory", h.shown);
        goto out;
    }
    mu_hostkey_add_fingerprint(&fp, h.blob, h.len);
    mu_log(MU_INFO, "host key of %s is new: it holds for this server in this run only: %s", h.shown, mu_buf_cstr(&fp));
out:
    mu_buf_free(&fp);
    mu_host_close(&h);
    return rc;
}

int mu_trust_algorithms(const struct mu_ssh_trust *t, const char *host, int port, struct mu_buf *out)
{
    struct mu_buf name = MU_BUF_INIT;
    unsigned known = 0;
    int rc = 0;

    mu_hostkey_name(&name, host, port);
    for (const struct trusted *k = t->keys; k; k = k->next)
        if (!name.failed && meant(k, mu_buf_cstr(&name)))
            known |= mu_hostkey_algorithms_of(k->blob, k->len);
    mu_hostkey_order(known, out);
    if (name.failed || out->failed)
        rc = MU_ENOMEM;
    mu_buf_free(&name);
    return rc;
}
