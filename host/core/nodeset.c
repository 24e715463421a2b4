#include "core/nodeset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/nodeset_grid.h"

#define MAX_DIGITS 18 /* of an index: every such number fits uint64_t */
#define MAX_INDEXES MU_GRID_DIMS

struct run {
    uint16_t start, len;
};

/* A name with the runs of digits in it that are its indexes. */
struct name {
    const char *text;
    struct run runs[MAX_INDEXES];
    size_t n;
};

/* The digits of an index as they are written. */
struct digits {
    const char *p;
    size_t len;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The last runs of digits, from the back; one that is too long is text. */
static void split(const char *text, struct name *out)
{
    size_t end = strlen(text), start;

    *out = (struct name){.text = text};
    if (end > UINT16_MAX)
        return;
    for (; end > 0 && out->n < MAX_INDEXES; end = start) {
        while (end > 0 && !is_digit(text[end - 1]))
            end--;
        for (start = end; start > 0 && is_digit(text[start - 1]);)
            start--;
        if (start < end && end - start <= MAX_DIGITS)
            out->runs[out->n++] = (struct run){(uint16_t)start, (uint16_t)(end - start)};
    }
    for (size_t i = 0; i < out->n / 2; i++) {
        struct run first = out->runs[i];
        out->runs[i] = out->runs[out->n - 1 - i];
        out->runs[out->n - 1 - i] = first;
    }
}

/* Compare what is not an index. An index sorts as a '%', as it does in ClusterShell. */
static int by_pattern(const void *pa, const void *pb)
{
    const struct name *a = pa, *b = pb;
    const char *ta = a->text, *tb = b->text;

    for (size_t ra = 0, rb = 0;; ta++, tb++) {
        bool index_a = ra < a->n && ta == a->text + a->runs[ra].start;
        bool index_b = rb < b->n && tb == b->text + b->runs[rb].start;
        unsigned char ca = index_a ? '%' : (unsigned char)*ta, cb = index_b ? '%' : (unsigned char)*tb;

        if (ca != cb)
            return ca < cb ? -1 : 1;
        if (index_a != index_b)
            return index_a ? 1 : -1;
        if (index_a) {
            ta += a->runs[ra++].len - 1;
            tb += b->runs[rb++].len - 1;
        } else if (ca == '\0') {
            return 0;
        }
    }
}

/* ---- the values of one index ---- */

static struct digits index_of(const struct name *name, size_t d)
{
    return (struct digits){name->text + name->runs[d].start, name->runs[d].len};
}

static bool padded(struct digits v)
{
    return v.len > 1 && *v.p == '0';
}

static uint64_t number_of(struct digits v)
{
    uint64_t n = 0;

    for (size_t i = 0; i < v.len; i++)
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    return n;
}

/* Short ones first, as ClusterShell has them: 2, 10, 01, 002 are 2, 01, 10, 002. */
static int compare_digits(struct digits a, struct digits b)
{
    return a.len != b.len ? (a.len < b.len ? -1 : 1) : memcmp(a.p, b.p, a.len);
}

static int by_index(const void *pa, const void *pb, void *d)
{
    const struct name *const *a = pa, *const *b = pb;

    return compare_digits(index_of(*a, *(size_t *)d), index_of(*b, *(size_t *)d));
}

/* Give each name its cell in dimension d, and each value its digits. */
static void number_values(struct mu_grid *grid, size_t d, const struct name *names, const struct name **order,
                          struct digits *values)
{
    size_t rank = 0;

    for (size_t i = 0; i < grid->n; i++)
        order[i] = &names[i];
    qsort_r(order, grid->n, sizeof *order, by_index, &d);
    for (size_t i = 0; i < grid->n; i++) {
        struct digits v = index_of(order[i], d);
        rank += i > 0 && compare_digits(values[rank], v) != 0;
        values[rank] = v;
        grid->cells[(size_t)(order[i] - names) * grid->n_dims + d] = (uint32_t)rank;
    }
}

/* Whether the range that starts with first goes on from last to next: 08-11 and 9-10 are ranges. Once one of them is
 * padded all have its width; what is padded does not go on what is not. */
static bool goes_on(struct digits first, struct digits last, struct digits next)
{
    if (padded(first) ? next.len != first.len : padded(next))
        return false;
    return number_of(next) == number_of(last) + 1;
}

static void add_set(struct mu_buf *out, const struct mu_grid_sets *sets, uint32_t s, const struct digits *values)
{
    const uint32_t *at = sets->values + sets->start[s];
    size_t n = sets->start[s + 1] - sets->start[s];

    if (n > 1)
        mu_buf_addc(out, '[');
    for (size_t i = 0, last; i < n; i = last + 1) {
        for (last = i; last + 1 < n && goes_on(values[at[i]], values[at[last]], values[at[last + 1]]);)
            last++;
        if (i > 0)
            mu_buf_addc(out, ',');
        mu_buf_add(out, values[at[i]].p, values[at[i]].len);
        if (last > i) {
            mu_buf_addc(out, '-');
            mu_buf_add(out, values[at[last]].p, values[at[last]].len);
        }
    }
    if (n > 1)
        mu_buf_addc(out, ']');
}

static void add_box(struct mu_buf *out, const struct mu_grid *grid, size_t i, const struct name *like,
                    struct digits *const *values)
{
    const char *text = like->text;

    for (size_t d = 0; d < like->n; d++) {
        const char *index = like->text + like->runs[d].start;
        mu_buf_add(out, text, (size_t)(index - text));
        add_set(out, &grid->sets[d], grid->cells[i * grid->n_dims + d], values[d]);
        text = index + like->runs[d].len;
    }
    mu_buf_adds(out, text);
}

/* names[0..n) differ in their indexes alone, and have some. */
static int add_group(struct mu_buf *out, const struct name *names, size_t n)
{
    struct digits *values[MAX_INDEXES] = {NULL}, *all = NULL;
    const struct name **order = NULL;
    struct mu_grid grid;
    int rc = mu_grid_new(&grid, names->n, n);

    all = reallocarray(NULL, n, names->n * sizeof *all);
    order = calloc(n, sizeof *order);
    if (rc < 0 || !all || !order) {
        rc = MU_ENOMEM;
        goto out;
    }
    for (size_t d = 0; d < names->n; d++) {
        values[d] = all + d * n;
        number_values(&grid, d, names, order, values[d]);
    }
    rc = mu_grid_fold(&grid);
    for (size_t i = 0; i < grid.n && rc == 0; i++) {
        if (i > 0)
            mu_buf_addc(out, ',');
        add_box(out, &grid, i, names, values);
    }
out:
    mu_grid_free(&grid);
    free(all);
    free(order);
    return rc;
}

void mu_nodeset_fold(struct mu_buf *out, const char *const *texts, size_t n)
{
    struct name *names = NULL;
    size_t used = 0, i, end;

    if (n == 0)
        return;
    names = reallocarray(NULL, n, sizeof *names);
    if (!names) {
        out->failed = true;
        return;
    }
    for (i = 0; i < n; i++)
        if (texts[i] && *texts[i])
            split(texts[i], &names[used++]);
    qsort(names, used, sizeof *names, by_pattern);
    for (i = 0; i < used; i = end) {
        for (end = i + 1; end < used && by_pattern(&names[i], &names[end]) == 0;)
            end++;
        if (i > 0)
            mu_buf_addc(out, ',');
        if (end - i == 1 || names[i].n == 0)
            mu_buf_adds(out, names[i].text);
        else if (add_group(out, &names[i], end - i) < 0)
            out->failed = true;
    }
    free(names);
}
