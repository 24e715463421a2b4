/* pairs_internal.h: pairs from inside: what pairs.c (results) and pairs_form.c (rounds) share.
 * Owner: the run. Thread: the main one. Must not know: what pairs.h must not.
 */
#ifndef MU_RUN_PAIRS_INTERNAL_H
#define MU_RUN_PAIRS_INTERNAL_H

#include "run/pairs.h"

/* It stands for a good server, and is measured in pairs alone. */
bool mu_pairs_is_lent(const struct mu_run *run, size_t server);
bool mu_pairs_is_part(const struct mu_run *run, size_t step); /* a pair step that this run is about */
/* The server's pair steps that have no result are skipped; why NULL: without a word. */
void mu_pairs_skip(struct mu_run *run, size_t server, enum mu_status status, const char *why);

/* pairs_form.c: the pairs of a round, none when there is nothing to do. */
void mu_pairs_form_first(struct mu_run *run);
void mu_pairs_form_next(struct mu_run *run);

#endif
