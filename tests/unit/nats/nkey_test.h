/* nkey_test.h: NATS' keys and JWTs as the tests need them, made anew each time; nothing of it is a secret of anybody. */
#ifndef NKEY_TEST_H
#define NKEY_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

/* Prefix bytes: a letter of base32, in the upper five bits. */
enum { OF_OPERATOR = 14 << 3, OF_ACCOUNT = 0, OF_USER = 20 << 3 };
struct nkey {
    EVP_PKEY *pkey;
    char seed[64], public_key[64];
};

static void nkey_base32(char *out, const uint8_t *bytes, size_t n)
{
    uint64_t bits = 0;
    int held = 0;

    for (size_t i = 0; i < n || held > 0;) {
        while (held < 5 && i < n) {
            bits = bits << 8 | bytes[i++];
            held += 8;
        }
        if (held < 5) {
            bits <<= 5 - held;
            held = 5;
        }
        held -= 5;
        *out++ = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bits >> held & 31];
    }
    *out = '\0';
}

static size_t nkey_add_crc(uint8_t *bytes, size_t n)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < n; i++) {
        crc = (uint16_t)(crc ^ bytes[i] << 8);
        for (int k = 0; k < 8; k++)
            crc = (uint16_t)((crc << 1) ^ (crc >> 15) * 0x1021);
    }
    bytes[n] = (uint8_t)crc;
    bytes[n + 1] = (uint8_t)(crc >> 8);
    return n + 2;
}

static void nkey_new(struct nkey *k, uint8_t whose)
{
    uint8_t raw[40];
    size_t len = 32;

    k->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(k->pkey);
    raw[0] = (uint8_t)(18 << 3 | whose >> 5);
    raw[1] = (uint8_t)(whose << 3);
    assert_int_equal(EVP_PKEY_get_raw_private_key(k->pkey, raw + 2, &len), 1);
    nkey_base32(k->seed, raw, nkey_add_crc(raw, 34));
    raw[0] = whose;
    len = 32;
    assert_int_equal(EVP_PKEY_get_raw_public_key(k->pkey, raw + 1, &len), 1);
    nkey_base32(k->public_key, raw, nkey_add_crc(raw, 33));
}

static void nkey_free(struct nkey *k) { EVP_PKEY_free(k->pkey); }

static void jwt_part(char *out, const void *bytes, size_t n)
{
    int len = EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);

    for (int i = 0; i < len; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    while (len && out[len - 1] == '=')
        len--;
    out[len] = '\0';
}

/* kind: "operator", "account", "user"; more: of its claims, in JSON, beginning with a comma. */
static void jwt_new(char out[2048], const struct nkey *issuer, const struct nkey *subject, const char *kind, const char *more)
{
    static const char head[] = "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}";
    char claims[1024];
    unsigned char sig[64];
    size_t len = sizeof sig;
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    snprintf(claims, sizeof claims,
             "{\"jti\":\"X\",\"iat\":1600000000,\"iss\":\"%s\",\"name\":\"%s\",\"sub\":\"%s\","
             "\"nats\":{\"type\":\"%s\",\"version\":2%s}}",
             issuer->public_key, kind, subject->public_key, kind, more);
    jwt_part(out, head, strlen(head));
    strcat(out, ".");
    jwt_part(out + strlen(out), claims, strlen(claims));
    assert_int_equal(EVP_DigestSignInit(md, NULL, NULL, NULL, issuer->pkey), 1);
    assert_int_equal(EVP_DigestSign(md, sig, &len, (const unsigned char *)out, strlen(out)), 1);
    EVP_MD_CTX_free(md);
    strcat(out, ".");
    jwt_part(out + strlen(out), sig, len);
}

#endif
