#include "ssh/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

struct mu_sha256 {
    EVP_MD_CTX *ctx;
    int ok;
};

struct mu_sha256 *mu_sha256_new(void)
{
    struct mu_sha256 *s = calloc(1, sizeof *s);
    if (s && (s->ctx = EVP_MD_CTX_new())) {
        s->ok = EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL);
        return s;
    }
    free(s);
    return NULL;
}

void mu_sha256_add(struct mu_sha256 *s, const void *bytes, size_t n) { s->ok = s->ok && EVP_DigestUpdate(s->ctx, bytes, n); }

void mu_sha256_end(struct mu_sha256 *s, char hex[MU_SHA256_HEX + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    hex[0] = '\0';
    if (s->ok && EVP_DigestFinal_ex(s->ctx, digest, NULL))
        for (size_t i = 0; i < MU_SHA256_HEX / 2; i++)
            snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void mu_sha256_free(struct mu_sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->ctx);
    free(s);
}
