/* conf_algorithms.c: lists of algorithms, with OpenSSH's signs and patterns, in names that libssh knows. */
#include <libssh/libssh.h>
#include <string.h>

#include "core/log.h"
#include "ssh/conf_internal.h"

/* What libssh 0.10 knows, its own choice first, in its order (a name that a build of it lacks is left out when it sees
 * the list). Certificates are no signature algorithms of their own for it: they go with their key's. */
static const struct known {
    const char *usual, *more;
} ciphers = {"chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
             "aes256-cbc,aes192-cbc,aes128-cbc,3des-cbc"},
  macs = {"hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512",
          "hmac-sha1-etm@openssh.com,hmac-sha1"},
  kex = {"curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
         "diffie-hellman-group18-sha512,diffie-hellman-group16-sha512,diffie-hellman-group-exchange-sha256,"
         "diffie-hellman-group14-sha256",
         "diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1"},
  keys = {"ssh-ed25519,ecdsa-sha2-nistp521,ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,sk-ssh-ed25519@openssh.com,"
          "sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256",
          "ssh-rsa,ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"
          "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
          "sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"
          "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-rsa-cert-v01@openssh.com"};

static const struct known *known_of(enum mu_conf_form form)
{
    return form == MU_FORM_CIPHERS ? &ciphers : form == MU_FORM_MACS ? &macs : form == MU_FORM_KEX ? &kex : &keys;
}

/* The next name of a list; false at its end. */
static bool next(const char **list, char *name, size_t size)
{
    size_t n;

    while (**list == ',')
        (*list)++;
    n = strcspn(*list, ",");
    if (!n)
        return false;
    if (n < size) {
        memcpy(name, *list, n);
        name[n] = '\0';
    } else {
        name[0] = '\0'; /* no algorithm has such a name */
    }
    *list += n;
    return true;
}

static bool has(const struct mu_buf *list, const char *name)
{
    return list->len && mu_conf_glob_list(name, mu_buf_cstr(list), false) > 0;
}

static void add(struct mu_buf *out, const char *name)
{
    if (!has(out, name))
        mu_buf_addf(out, "%s%s", out->len ? "," : "", name);
}

/* Those of all that pattern matches; none: false. */
static bool add_matching(struct mu_buf *out, const char *all, const char *pattern)
{
    char name[64];
    bool some = false;

    while (next(&all, name, sizeof(name))) {
        if (mu_conf_glob(name, pattern)) {
            add(out, name);
            some = true;
        }
    }
    return some;
}

char *mu_conf_algorithms(struct mu_conf_arena *a, enum mu_conf_form form, const char *list, const struct mu_conf_line *l)
{
    const struct known *known = known_of(form);
    char sign = strchr("+-^", *list) ? *list++ : 0, name[64], *text;
    const char *at = list, *usual = known->usual;
    struct mu_buf out = MU_BUF_INIT;

    if (sign == '+')
        mu_buf_adds(&out, known->usual);
    while (sign != '-' && next(&at, name, sizeof(name)))
        if (!add_matching(&out, known->usual, name) & !add_matching(&out, known->more, name))
            mu_log(MU_DEBUG, "%s:%u: %s: libssh does not know %s; left out", l->origin, l->line, l->keyword, name);
    while ((sign == '-' || sign == '^') && next(&usual, name, sizeof(name)))
        if (sign == '^' || mu_conf_glob_list(name, list, false) <= 0)
            add(&out, name);
    if (out.failed)
        a->failed = true;
    text = mu_conf_strdup(a, mu_buf_cstr(&out));
    mu_buf_free(&out);
    return text;
}
