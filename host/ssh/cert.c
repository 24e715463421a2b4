#include "ssh/cert.h"

#include <string.h>

#include "core/err.h"

#define PRINCIPALS_SHOWN 120

struct reader {
    const unsigned char *p, *end;
    bool bad;
};

static uint64_t number(struct reader *r, size_t bytes)
{
    uint64_t v = 0;

    if (r->bad || (size_t)(r->end - r->p) < bytes) {
        r->bad = true;
        return 0;
    }
    while (bytes--)
        v = v << 8 | *r->p++;
    return v;
}

static const unsigned char *string(struct reader *r, size_t *len)
{
    const unsigned char *s;
    uint64_t n = number(r, 4);

    if (r->bad || n > (size_t)(r->end - r->p)) {
        r->bad = true;
        *len = 0;
        return r->p;
    }
    s = r->p;
    r->p += n;
    *len = (size_t)n;
    return s;
}

static void put_string(struct mu_buf *out, const void *s, size_t len)
{
    const unsigned char n[4] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8),
                                (unsigned char)len};

    mu_buf_add(out, n, sizeof(n));
    mu_buf_add(out, s, len);
}

/* How many strings (or numbers, which are written likewise) make up a public key of each type. */
static const struct {
    const char *cert, *plain;
    int fields;
} types[] = {
    {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1},
    {"ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2},
    {"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2},
    {"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", 2},
    {"sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", 2},
    {"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", 3},
};

int mu_cert_parse(struct mu_cert *c, const unsigned char *blob, size_t len)
{
    struct reader r = {blob, blob + len, false}, names;
    const unsigned char *s;
    size_t n, kind;

    memset(c, 0, sizeof(*c));
    s = string(&r, &n);
    for (kind = 0; kind < sizeof(types) / sizeof(types[0]); kind++)
        if (strlen(types[kind].cert) == n && !memcmp(types[kind].cert, s, n))
            break;
    if (r.bad || kind == sizeof(types) / sizeof(types[0]))
        return MU_EINVAL;
    string(&r, &n); /* a nonce */
    put_string(&c->plain, types[kind].plain, strlen(types[kind].plain));
    for (int i = 0; i < types[kind].fields; i++) {
        s = string(&r, &n);
        put_string(&c->plain, s, n);
    }
    number(&r, 8); /* its serial number */
    c->user = number(&r, 4) == 1;
    string(&r, &n); /* its name */
    s = string(&r, &n);
    mu_buf_add(&c->raw_principals, s, n);
    c->valid_after = number(&r, 8);
    c->valid_before = number(&r, 8);
    names = (struct reader){s, s + n, false};
    while (!r.bad && names.p < names.end) {
        s = string(&names, &n);
        if (names.bad)
            return MU_EINVAL;
        if (c->principals.len < PRINCIPALS_SHOWN) {
            if (c->principals.len)
                mu_buf_addc(&c->principals, ',');
            mu_buf_add_escaped(&c->principals, (const char *)s, n < PRINCIPALS_SHOWN ? n : PRINCIPALS_SHOWN);
        } else if (c->principals.data[c->principals.len - 1] != '.') {
            mu_buf_adds(&c->principals, ",...");
        }
    }
    if (r.bad)
        return MU_EINVAL;
    return c->plain.failed || c->principals.failed || c->raw_principals.failed ? MU_ENOMEM : 0;
}

void mu_cert_free(struct mu_cert *c)
{
    mu_buf_free(&c->plain);
    mu_buf_free(&c->principals);
    mu_buf_free(&c->raw_principals);
}

static void add_time(struct mu_buf *out, uint64_t seconds)
{
    time_t t = (time_t)seconds;
    char text[32];
    struct tm tm;

    if (seconds > (uint64_t)1 << 40 || !gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm))
        mu_buf_adds(out, "a date far away");
    else
        mu_buf_adds(out, text);
}

static bool is_for(const struct mu_cert *c, const char *user)
{
    const unsigned char *start = (const unsigned char *)mu_buf_cstr(&c->raw_principals);
    struct reader r = {start, start + c->raw_principals.len, false};

    while (!r.bad && r.p < r.end) {
        size_t n;
        const unsigned char *s = string(&r, &n);
        if (!r.bad && strlen(user) == n && !memcmp(user, s, n))
            return true;
    }
    return c->raw_principals.len == 0;
}

void mu_cert_explain(const struct mu_cert *c, const char *user, time_t now, struct mu_buf *out)
{
    if (!c->user) {
        mu_buf_adds(out, "it is a host's certificate, not a user's");
    } else if ((uint64_t)now >= c->valid_before) {
        mu_buf_adds(out, "it expired on ");
        add_time(out, c->valid_before);
    } else if ((uint64_t)now < c->valid_after) {
        mu_buf_adds(out, "it is not valid before ");
        add_time(out, c->valid_after);
    } else if (!is_for(c, user)) {
        mu_buf_addf(out, "it is for %s, not for user ", mu_buf_cstr(&c->principals));
        mu_buf_add_escaped(out, user, strlen(user));
    }
}
