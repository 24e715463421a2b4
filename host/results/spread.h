/* spread.h: the middle of some numbers, and how far they are from it.
 *
 * Purpose: median and median absolute deviation, which a few odd values do not move. Owner: nothing is kept.
 * Thread: any. Must not know: what the numbers are of.
 */
#ifndef MU_RESULTS_SPREAD_H
#define MU_RESULTS_SPREAD_H

#include <stddef.h>

/* Times this, the median absolute deviation is what the standard deviation would be, were the numbers spread normally. */
#define MU_MAD_TO_SIGMA 1.4826

/* Each sorts v, in n log n; n is not 0, and no number is NaN. */
double mu_spread_median(double *v, size_t n);
/* The median of the distances from middle, which become v. */
double mu_spread_mad(double *v, size_t n, double middle);

#endif
