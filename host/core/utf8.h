/* utf8.h: one decoder for all that must tell text from arbitrary bytes.
 *
 * Purpose: strict UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 * Owner: none. Thread: any. Must not know: what the text is for.
 */
#ifndef MU_CORE_UTF8_H
#define MU_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decode the character at s, of which n bytes are there. Returns its length 1–4 and sets *cp, or 0 when the first byte
 * does not start a valid character (or n is 0). */
size_t mu_utf8_decode(const char *s, size_t n, uint32_t *cp);

/* The greatest length up to n at which s can be cut without cutting a character in two; s[0..n) may end in the middle
 * of one. Bytes that are no UTF-8 anyway are left alone. */
size_t mu_utf8_cut(const char *s, size_t n);

#endif
