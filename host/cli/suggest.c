#include "suggest.h"

#include <string.h>

#define WORD_MAX 64

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned cli_edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    unsigned rows[3][WORD_MAX];

    if (la >= WORD_MAX || lb >= WORD_MAX)
        return strcmp(a, b) == 0 ? 0 : WORD_MAX;
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= lb; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(replaced, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[lb];
}

void cli_suggestion_start(struct cli_suggestion *s, const char *wanted)
{
    *s = (struct cli_suggestion){.wanted = wanted, .distance = (unsigned)-1};
}

void cli_suggestion_offer(struct cli_suggestion *s, const char *name)
{
    size_t len = strlen(s->wanted);
    /* A third of the word may be wrong; in short words one letter, or a swap. */
    unsigned allowed = len < 6 ? 1 : (unsigned)(len / 3);
    unsigned d = cli_edit_distance(s->wanted, name);

    if (d <= allowed && d < s->distance) {
        s->best = name;
        s->distance = d;
    }
}
