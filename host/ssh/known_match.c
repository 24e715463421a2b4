/* known_match.c: see known_match.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA1_Update(): the only way to keep a keyed HMAC state small */
#include "ssh/known_match.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

/* ---- patterns, as OpenSSH matches them ---- */

static bool glob(const char *p, size_t n, const char *s)
{
    const char *end = p + n, *star = NULL, *from = NULL;

    while (*s) {
        if (p < end && *p == '*') {
            star = p++;
            from = s;
        } else if (p < end && (*p == '?' || *p == *s)) {
            p++;
            s++;
        } else if (star) {
            p = star + 1;
            s = ++from;
        } else {
            return false;
        }
    }
    while (p < end && *p == '*')
        p++;
    return p == end;
}

bool mu_known_match_list(const char *list, const char *name)
{
    bool got = false;

    for (;;) {
        size_t n = strcspn(list, ",");
        bool negated = *list == '!';
        if (glob(list + negated, n - negated, name)) {
            if (negated)
                return false;
            got = true;
        }
        if (!list[n])
            return got;
        list += n + 1;
    }
}

/* ---- hashed names ---- */

long mu_known_base64(const char *text, size_t n, unsigned char *out, size_t max)
{
    long len;

    if (n == 0 || n % 4 || n / 4 * 3 > max || n > (size_t)1 << 24)
        return -1;
    len = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);
    if (len != (long)(n / 4 * 3))
        return -1; /* OpenSSL skips white space at the ends, which shows here */
    for (size_t i = n; i > n - 2 && text[i - 1] == '='; i--)
        len--;
    return len;
}

static void absorb_key(uint32_t state[5], const unsigned char *key, size_t n, unsigned char pad)
{
    unsigned char block[SHA_CBLOCK];
    SHA_CTX ctx;

    memset(block, pad, sizeof(block));
    for (size_t i = 0; i < n; i++)
        block[i] ^= key[i];
    SHA1_Init(&ctx);
    SHA1_Update(&ctx, block, sizeof(block));
    memcpy(state, (uint32_t[5]){ctx.h0, ctx.h1, ctx.h2, ctx.h3, ctx.h4}, 5 * sizeof(*state));
}

static void digest_from(const uint32_t state[5], const void *data, size_t n, unsigned char *out)
{
    SHA_CTX ctx;

    SHA1_Init(&ctx);
    ctx.h0 = state[0];
    ctx.h1 = state[1];
    ctx.h2 = state[2];
    ctx.h3 = state[3];
    ctx.h4 = state[4];
    ctx.Nl = SHA_CBLOCK * 8;
    SHA1_Update(&ctx, data, n);
    SHA1_Final(out, &ctx);
}

bool mu_known_hash_is(const struct mu_known_hash *h, const char *name, size_t n)
{
    unsigned char md[SHA_DIGEST_LENGTH];

    digest_from(h->inner, name, n, md);
    digest_from(h->outer, md, sizeof(md), md);
    return !memcmp(md, h->want, sizeof(md));
}

int mu_known_hash_parse(struct mu_known_hash *h, const char *name)
{
    unsigned char salt[64], want[64];
    const char *bar;

    if (strncmp(name, "|1|", 3) || !(bar = strchr(name + 3, '|')) ||
        mu_known_base64(name + 3, (size_t)(bar - name) - 3, salt, sizeof(salt)) != SHA_DIGEST_LENGTH ||
        mu_known_base64(bar + 1, strlen(bar + 1), want, sizeof(want)) != SHA_DIGEST_LENGTH)
        return MU_EINVAL;
    memcpy(h->want, want, sizeof(h->want));
    absorb_key(h->inner, salt, SHA_DIGEST_LENGTH, 0x36);
    absorb_key(h->outer, salt, SHA_DIGEST_LENGTH, 0x5c);
    return 0;
}
