#include "core/closest.h"

#include <string.h>

#define WORD_MAX 64

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned mu_edit_distance(const char *a, const char *b, unsigned most)
{
    size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
    unsigned rows[3][WORD_MAX];

    if (la >= WORD_MAX || lb >= WORD_MAX || (la > lb ? la - lb : lb - la) > most)
        return most + 1;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3], nearest;

        nearest = now[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(replaced, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
            nearest = least(nearest, now[j]);
        }
        if (nearest > most + 1) /* a swap may still take one off */
            return most + 1;
    }
    return rows[la % 3][lb];
}

void mu_closest_start(struct mu_closest *c, const char *wanted)
{
    size_t len = strlen(wanted);

    /* A third of the word may be wrong; in short words one letter, or a swap. */
    *c = (struct mu_closest){.wanted = wanted, .allowed = len < 6 ? 1 : (unsigned)(len / 3)};
}

void mu_closest_offer(struct mu_closest *c, const char *name)
{
    unsigned d = mu_edit_distance(c->wanted, name, c->allowed);

    if (d > c->allowed || (c->best && d == c->allowed))
        return;
    c->best = name;
    c->allowed = d;
}
