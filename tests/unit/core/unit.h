/* unit.h: what every cmocka program of this folder starts with, and a random number generator that gives the same
 * numbers on every machine. */
#ifndef MU_TESTS_UNIT_CORE_UNIT_H
#define MU_TESTS_UNIT_CORE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline uint32_t next_random(uint64_t *state) /* xorshift64*; the state is not 0 */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 2685821657736338717ull >> 32);
}

/* Bytes that are often text, often control characters, and often the beginning of something in UTF-8. */
static inline void random_bytes(uint64_t *state, char *out, size_t n)
{
    static const char *const pieces[] = {
        "\xc2\x85", "\xe2\x80\xae",     "\xe2\x81\xa6", "\xe2\x80\xa8", "\xed\xa0\x80", "\xf0\x9f\x9a\x80",
        "\xc0\x80", "\xf4\x90\x80\x80", "\xef\xbf\xbf", "]]>",          "\\n"};

    for (size_t i = 0; i < n;) {
        uint32_t r = next_random(state);
        const char *p = pieces[(r >> 8) % COUNT(pieces)];
        if (r % 4 == 0)
            while (*p && i < n)
                out[i++] = *p++;
        else if (r % 4 == 1)
            out[i++] = (char)(' ' + (r >> 8) % 95);
        else if (r % 4 == 2)
            out[i++] = (char)((r >> 8) % 32);
        else
            out[i++] = (char)(r >> 8);
    }
}

#endif
