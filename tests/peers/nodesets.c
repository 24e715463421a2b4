/* nodesets [SEED]: node sets made at random, and what muster makes of them, for tests/peers/nodesets to compare.
 *
 *   fold TAB names, joined by commas TAB what they fold to
 *   expand TAB a set TAB its names, joined by commas; or "!" and the message when it is malformed
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nodeset.h"

enum { FOLDS = 2000, EXPANDS = 2000, NAMES_MAX = 30 };

static uint64_t state;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 16) % n);
}

/* ---- folding ---- */

/* Of a set: as many indexes as it says, with numbers that are near one another. */
static void make_name(char *out, size_t size, unsigned dims, const char *const *words)
{
    static const int widths[] = {1, 1, 1, 2, 2, 3};
    size_t used = 0;

    for (unsigned d = 0; d < dims && used < size; d++) {
        unsigned number = below(4) ? below(8) : 95 + below(10);
        used += (size_t)snprintf(out + used, size - used, "%s%0*u", words[d], widths[below(6)], number);
    }
    if (used < size)
        snprintf(out + used, size - used, "%s", words[4]);
}

static void fold_some(void)
{
    static const char *const firsts[] = {"srv", "gpu-", "", "10.0.", "rack", "n_"};
    static const char *const nexts[] = {"-srv", ".", "n", "-", "x"};
    static const char *const lasts[] = {"", "", "", ".example.com", "-ib"};
    const char *words[5] = {firsts[below(6)], nexts[below(5)], nexts[below(5)], nexts[below(5)], lasts[below(5)]};
    unsigned dims = below(3) ? below(2) : below(5), n = 1 + below(NAMES_MAX);
    char names[NAMES_MAX][64];
    const char *texts[NAMES_MAX];
    struct mu_buf folded = MU_BUF_INIT;

    printf("fold\t");
    for (unsigned i = 0; i < n; i++) {
        if (below(12) == 0) /* other names among them */
            words[0] = firsts[below(6)];
        make_name(names[i], sizeof names[i], dims + (below(15) == 0), words);
        if (!names[i][0])
            snprintf(names[i], sizeof names[i], "login");
        texts[i] = names[i];
        printf("%s%s", i ? "," : "", names[i]);
    }
    mu_nodeset_fold(&folded, texts, n);
    printf("\t%s\n", folded.failed ? "out of memory" : mu_buf_cstr(&folded));
    mu_buf_free(&folded);
}

/* A full grid: where both must write the same. */
static void fold_grid(void)
{
    struct mu_buf folded = MU_BUF_INIT;
    char names[125][32];
    const char *texts[125];
    unsigned sides[3] = {1 + below(5), 1 + below(5), 1 + below(5)}, steps[3], starts[3], n = 0;

    for (unsigned d = 0; d < 3; d++) {
        starts[d] = below(12);
        steps[d] = 1 + below(2);
    }
    printf("fold\t");
    for (unsigned i = 0; i < sides[0] * sides[1] * sides[2]; i++) {
        unsigned at[3] = {i % sides[0], i / sides[0] % sides[1], i / sides[0] / sides[1]};
        snprintf(names[n], sizeof names[n], "r%un%02u-%u", starts[0] + at[0] * steps[0], starts[1] + at[1] * steps[1],
                 starts[2] + at[2] * steps[2]);
        texts[n] = names[n];
        printf("%s%s", n ? "," : "", names[n]);
        n++;
    }
    mu_nodeset_fold(&folded, texts, n);
    printf("\t%s\n", mu_buf_cstr(&folded));
    mu_buf_free(&folded);
}

/* ---- expanding ---- */

static int add_name(void *arg, const char *name)
{
    struct mu_buf *out = arg;

    mu_buf_addf(out, "%s%s", out->len ? "," : "", name);
    return 0;
}

static void add_range(struct mu_buf *set)
{
    int width = below(4) ? 0 : 2 + (int)below(2);
    unsigned lo = below(20), hi = lo + below(below(10) ? 12 : 100);

    if (below(25) == 0)
        hi = below(20);
    mu_buf_addf(set, "%0*u", width, lo);
    if (below(3)) {
        mu_buf_addf(set, "-%0*u", below(20) ? width : width + 1, hi);
        if (below(5) == 0)
            mu_buf_addf(set, "/%u", below(5));
    }
}

static void expand_some(void)
{
    static const char *const words[] = {"srv", "gpu-", "n", "rack-", "a"};
    struct mu_buf set = MU_BUF_INIT, names = MU_BUF_INIT;
    struct mu_err err = {0};

    for (unsigned terms = 1 + below(3), t = 0; t < terms; t++) {
        mu_buf_adds(&set, t ? "," : "");
        for (unsigned brackets = below(3), b = 0; b <= brackets; b++) {
            mu_buf_adds(&set, words[below(5)]);
            mu_buf_addc(&set, '[');
            for (unsigned ranges = 1 + below(3), r = 0; r < ranges; r++) {
                mu_buf_adds(&set, r ? "," : "");
                if (below(60))
                    add_range(&set);
            }
            if (below(100))
                mu_buf_addc(&set, ']');
        }
        mu_buf_adds(&set, below(3) ? "" : "-ib");
    }
    if (mu_nodeset_expand(mu_buf_cstr(&set), 10000000, add_name, &names, &err) != 0) {
        mu_buf_clear(&names);
        mu_buf_addf(&names, "!%s", err.msg);
    }
    printf("expand\t%s\t%s\n", mu_buf_cstr(&set), mu_buf_cstr(&names));
    mu_buf_free(&set);
    mu_buf_free(&names);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;

    state = seed * 0x9e3779b97f4a7c15u | 1;
    for (int i = 0; i < FOLDS; i++)
        i % 4 ? fold_some() : fold_grid();
    for (int i = 0; i < EXPANDS; i++)
        expand_some();
    return 0;
}
