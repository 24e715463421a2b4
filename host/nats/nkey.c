/* NATS' keys: Ed25519 in base32 (RFC 4648, no padding), behind one prefix byte, and for a seed two, before a CRC-16 (XMODEM).
 * libnats signs with a seed, but wants to be told the public key. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "nats/config.h"

enum { SEED_CHARS = 58, SEED_BYTES = 36, KEY_BYTES = 35, RAW = 32 };
enum { PREFIX_SEED = 18 << 3, PREFIX_USER = 20 << 3 };
static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static unsigned crc16(const unsigned char *bytes, size_t n)
{
    unsigned crc = 0;

    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return crc;
}

static bool decode(unsigned char out[SEED_BYTES], const char *text)
{
    unsigned hold = 0, bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < SEED_CHARS; i++) {
        const char *at = text[i] ? strchr(ALPHABET, text[i]) : NULL;

        if (!at)
            return false;
        hold = (hold << 5 | (unsigned)(at - ALPHABET)) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            if (n < SEED_BYTES)
                out[n++] = (unsigned char)(hold >> bits);
        }
    }
    return n == SEED_BYTES && crc16(out, SEED_BYTES - 2) == ((unsigned)out[SEED_BYTES - 1] << 8 | out[SEED_BYTES - 2]);
}

static void encode(char *out, const unsigned char *bytes, size_t n)
{
    unsigned hold = 0, bits = 0;

    for (size_t i = 0; i < n; i++) {
        hold = (hold << 8 | bytes[i]) & 0x1fff;
        for (bits += 8; bits >= 5; bits -= 5)
            *out++ = ALPHABET[hold >> (bits - 5) & 31];
    }
    if (bits)
        *out++ = ALPHABET[hold << (5 - bits) & 31];
    *out = '\0';
}

int mu_nats_nkey_public(char out[MU_NATS_KEY_SIZE], const char *text)
{
    unsigned char seed[SEED_BYTES], key[KEY_BYTES];
    size_t len = RAW;
    EVP_PKEY *pkey = NULL;
    unsigned crc;
    int rc = MU_EINVAL;

    for (const char *at = text; (at = strstr(at, "SU")) != NULL; at++) {
        if (!decode(seed, at))
            continue;
        /* 5 bits say "seed", 5 whose. */
        if ((seed[0] & 0xf8) != PREFIX_SEED || ((seed[0] & 7) << 5 | (seed[1] & 0xf8) >> 3) != PREFIX_USER)
            continue;
        pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed + 2, RAW);
        if (!pkey || EVP_PKEY_get_raw_public_key(pkey, key + 1, &len) != 1)
            break;
        key[0] = PREFIX_USER;
        crc = crc16(key, RAW + 1);
        key[RAW + 1] = (unsigned char)crc;
        key[RAW + 2] = (unsigned char)(crc >> 8);
        encode(out, key, sizeof key);
        rc = 0;
        break;
    }
    OPENSSL_cleanse(seed, sizeof seed);
    EVP_PKEY_free(pkey);
    return rc;
}
