/* known_match.h: does a name of a known_hosts line mean this host?
 *
 * Purpose: the two ways of writing names that cannot be looked up: pattern lists and hashed names.
 * Owner: plain data. Thread: any. Must not know: tables, keys.
 */
#ifndef MU_SSH_KNOWN_MATCH_H
#define MU_SSH_KNOWN_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* OpenSSH's pattern list: comma-separated, * and ?, a matching !pattern refuses the whole. Both in lower case. */
bool mu_known_match_list(const char *list, const char *name);

/* "|1|salt|hash": HMAC-SHA1 with the salt already absorbed, so that a look costs two block operations instead of four
 * and a context. */
struct mu_known_hash {
    uint32_t inner[5], outer[5];
    unsigned char want[20];
};
int mu_known_hash_parse(struct mu_known_hash *h, const char *name); /* 0 or MU_EINVAL */
bool mu_known_hash_is(const struct mu_known_hash *h, const char *name, size_t len);

/* Decode n base64 characters into at most max bytes. The number of bytes, or -1. */
long mu_known_base64(const char *text, size_t n, unsigned char *out, size_t max);

#endif
