/* hostkey_say.c: what is wrong with a host key, in one line. */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "ssh/hostkey.h"
#include "ssh/known_match.h"

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

int mu_hostkey_unknown(const struct mu_hostkeys *hk, const struct mu_host *h, struct mu_err *err)
{
    struct mu_buf fp = MU_BUF_INIT, port = MU_BUF_INIT;

    mu_hostkey_add_fingerprint(&fp, h->blob, h->len);
    if (h->port != 22)
        mu_buf_addf(&port, "-p %d ", h->port);
    if (h->alias)
        mu_err_set(err, MU_EHOSTKEYUNKNOWN, "host key of %s (HostKeyAlias of %s) is not known: %s; check it and add it to %s, "
                   "or use --host-key-policy accept-new", h->shown, h->host_shown, mu_buf_cstr(&fp), hk->path);
    else
        mu_err_set(err, MU_EHOSTKEYUNKNOWN, "host key of %s is not known: %s; check it and add it with: ssh-keyscan %s%s >> "
                   "%s, or use --host-key-policy accept-new", h->shown, mu_buf_cstr(&fp), mu_buf_cstr(&port),
                   h->host_shown, hk->path);
    mu_buf_free(&port);
    mu_buf_free(&fp);
    mu_err_cause(err, "host key unknown");
    return MU_EHOSTKEYUNKNOWN; /* err may be NULL */
}

int mu_hostkey_only_ca(const struct mu_hostkeys *hk, const struct mu_host *h, const struct mu_known_key *ca,
                       struct mu_err *err)
{
    struct mu_buf fp = MU_BUF_INIT, where = MU_BUF_INIT;

    mu_hostkey_add_fingerprint(&fp, h->blob, h->len);
    add_record(&where, ca);
    mu_err_set(err, MU_EHOSTKEYUNKNOWN, "host key of %s is known only through the certificate authority of %s, and muster "
               "cannot check host certificates: check the key itself (%s) and add it to %s", h->shown,
               mu_buf_cstr(&where), mu_buf_cstr(&fp), hk->path);
    mu_buf_free(&where);
    mu_buf_free(&fp);
    mu_err_cause(err, "host key known only through a certificate authority");
    return MU_EHOSTKEYUNKNOWN; /* err may be NULL */
}

int mu_hostkey_changed(const struct mu_host *h, const struct mu_known_key *other, struct mu_err *err)
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

int mu_hostkey_revoked(const struct mu_host *h, const struct mu_known_key *revoked, struct mu_err *err)
{
    struct mu_buf fp = MU_BUF_INIT;

    mu_hostkey_add_fingerprint(&fp, h->blob, h->len);
    mu_err_set(err, MU_EHOSTKEYREVOKED, "host key of %s is REVOKED by %s:%lu: %s; do not trust this server", h->shown,
               revoked->file, revoked->line, mu_buf_cstr(&fp));
    mu_buf_free(&fp);
    mu_err_cause(err, "host key revoked");
    return MU_EHOSTKEYREVOKED; /* err may be NULL */
}
