#include "core/nodeset_grid.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"

int mu_grid_new(struct mu_grid *grid, size_t n_dims, size_t n)
{
    *grid = (struct mu_grid){.n_dims = n_dims, .n = n};
    if (n < UINT32_MAX)
        grid->cells = reallocarray(NULL, n + 1, n_dims * sizeof *grid->cells);
    return grid->cells ? 0 : MU_ENOMEM;
}

void mu_grid_free(struct mu_grid *grid)
{
    for (size_t d = 0; d < grid->n_dims; d++) {
        free(grid->sets[d].start);
        free(grid->sets[d].values);
    }
    free(grid->cells);
    *grid = (struct mu_grid){0};
}

/* ---- boxes that differ in one dimension alone become one ---- */

struct order {
    size_t n_dims, last; /* dimension `last` is compared when all others are equal */
};

static int compare_values(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int compare_others(const uint32_t *a, const uint32_t *b, const struct order *o)
{
    int c = 0;

    for (size_t d = 0; d < o->n_dims && c == 0; d++)
        if (d != o->last)
            c = compare_values(a[d], b[d]);
    return c;
}

static int by_others(const void *pa, const void *pb, void *arg)
{
    const uint32_t *a = pa, *b = pb;
    const struct order *o = arg;
    int c = compare_others(a, b, o);

    return c ? c : compare_values(a[o->last], b[o->last]);
}

/* Merge along dimension d: the cell becomes the number of a set, the n-th box having the n-th set for now. */
static void merge(struct mu_grid *grid, size_t d, struct mu_grid_sets *sets)
{
    struct order o = {grid->n_dims, d};
    size_t row = grid->n_dims * sizeof *grid->cells, n = 0, used = 0;

    qsort_r(grid->cells, grid->n, row, by_others, &o);
    for (size_t i = 0; i < grid->n; i++) {
        uint32_t *point = grid->cells + i * grid->n_dims, *box = NULL;
        uint32_t value = point[d];

        if (n > 0)
            box = grid->cells + (n - 1) * grid->n_dims;
        if (box && compare_others(box, point, &o) == 0) {
            if (sets->values[used - 1] != value) /* not a point that is there twice */
                sets->values[used++] = value;
            continue;
        }
        box = grid->cells + n * grid->n_dims;
        memmove(box, point, row);
        box[d] = (uint32_t)n;
        sets->start[n++] = used;
        sets->values[used++] = value;
    }
    sets->start[n] = used;
    grid->n = n;
}

/* ---- equal sets get the same number ---- */

static size_t length(const struct mu_grid_sets *sets, uint32_t s)
{
    return sets->start[s + 1] - sets->start[s];
}

static int compare_sets(const struct mu_grid_sets *sets, uint32_t a, uint32_t b)
{
    size_t la = length(sets, a), lb = length(sets, b), n = la < lb ? la : lb;
    const uint32_t *va = sets->values + sets->start[a], *vb = sets->values + sets->start[b];
    int c = 0;

    for (size_t i = 0; i < n && c == 0; i++)
        c = compare_values(va[i], vb[i]);
    return c ? c : (la > lb) - (la < lb);
}

static int by_set(const void *pa, const void *pb, void *arg)
{
    return compare_sets(arg, *(const uint32_t *)pa, *(const uint32_t *)pb);
}

/* Number the sets in ascending order, so that boxes sort by what is in them. 0 or MU_ENOMEM. */
static int number_sets(struct mu_grid *grid, size_t d, struct mu_grid_sets *made)
{
    struct mu_grid_sets *out = &grid->sets[d];
    uint32_t *order = calloc(grid->n + 1, sizeof *order), *number = calloc(grid->n + 1, sizeof *number);
    size_t n = 0, used = 0;
    int rc = MU_ENOMEM;

    out->start = calloc(grid->n + 1, sizeof *out->start);
    out->values = calloc(made->start[grid->n] + 1, sizeof *out->values);
    if (!order || !number || !out->start || !out->values)
        goto out;
    for (size_t i = 0; i < grid->n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, grid->n, sizeof *order, by_set, made);
    for (size_t i = 0; i < grid->n; i++) {
        if (i == 0 || compare_sets(made, order[i - 1], order[i]) != 0) {
            size_t len = length(made, order[i]);
            memcpy(out->values + used, made->values + made->start[order[i]], len * sizeof *out->values);
            out->start[n++] = used;
            used += len;
        }
        number[order[i]] = (uint32_t)(n - 1);
    }
    out->start[n] = used;
    for (size_t i = 0; i < grid->n; i++)
        grid->cells[i * grid->n_dims + d] = number[i];
    rc = 0;
out:
    free(order);
    free(number);
    return rc;
}

int mu_grid_fold(struct mu_grid *grid)
{
    struct mu_grid_sets made = {calloc(grid->n + 1, sizeof *made.start), calloc(grid->n + 1, sizeof *made.values)};
    struct order ascending = {grid->n_dims, grid->n_dims - 1}; /* all are compared, from the first to the last */
    int rc = made.start && made.values ? 0 : MU_ENOMEM;

    for (size_t d = grid->n_dims; d-- > 0 && rc == 0;) {
        merge(grid, d, &made);
        rc = number_sets(grid, d, &made);
    }
    if (rc == 0)
        qsort_r(grid->cells, grid->n, grid->n_dims * sizeof *grid->cells, by_others, &ascending);
    free(made.start);
    free(made.values);
    return rc;
}
