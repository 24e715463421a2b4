/* nodeset_grid.h: points in several dimensions gathered into few boxes: the folding of names with several indexes.
 *
 * Purpose: (1,1) (1,2) (2,1) (2,2) become {1,2} x {1,2}. Part of nodeset.c, which knows what the numbers stand for.
 * Owner: the caller's; mu_grid_free() ends a grid, also one whose folding failed.
 * Thread: any, one at a time. Must not know: names, digits, padding.
 *
 * Dimension by dimension, the last one first, points that differ in that dimension alone become one, with a set of values
 * there: n log n for each dimension, however irregular the points are. A full box comes out as one; what is none may come
 * out in more boxes than the least possible number.
 */
#ifndef MU_CORE_NODESET_GRID_H
#define MU_CORE_NODESET_GRID_H

#include <stddef.h>
#include <stdint.h>

#define MU_GRID_DIMS 8

/* The sets of values of one dimension: set s is values[start[s]] up to values[start[s + 1]], ascending. */
struct mu_grid_sets {
    size_t *start;
    uint32_t *values;
};

struct mu_grid {
    size_t n_dims; /* 1 to MU_GRID_DIMS */
    size_t n;      /* points, then boxes */
    uint32_t *cells; /* cells[i * n_dims + d]: a value, and when folded the number of a set of dimension d */
    struct mu_grid_sets sets[MU_GRID_DIMS];
};

/* Make room for n points, whose cells the caller fills. 0 or MU_ENOMEM. */
int mu_grid_new(struct mu_grid *grid, size_t n_dims, size_t n);
/* Fold; points may be there twice. The boxes are in ascending order. 0 or MU_ENOMEM. */
int mu_grid_fold(struct mu_grid *grid);
void mu_grid_free(struct mu_grid *grid);

#endif
