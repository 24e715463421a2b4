/* sha256.h: the checksum of a file on its way. libcrypto does it, which is there for host keys anyway.
 * Owner: the caller. Thread: one at a time. Must not know: whose bytes they are.
 */
#ifndef MU_SSH_SHA256_H
#define MU_SSH_SHA256_H

#include <stddef.h>

#define MU_SHA256_HEX 64

struct mu_sha256;
struct mu_sha256 *mu_sha256_new(void); /* NULL when out of memory */
void mu_sha256_add(struct mu_sha256 *s, const void *bytes, size_t n);
void mu_sha256_end(struct mu_sha256 *s, char hex[MU_SHA256_HEX + 1]); /* once; "" when libcrypto refused */
void mu_sha256_free(struct mu_sha256 *s);                             /* NULL allowed */

#endif
