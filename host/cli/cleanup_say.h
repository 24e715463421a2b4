/* cleanup_say.h: what `muster cleanup` tells the operator.
 *
 * Purpose: what was left, by which run, when; what became of it; what remains and what to do then.
 * Owner: outcomes own their reason. Thread: the main thread. Must not know: how a cleanup is run.
 */
#ifndef MU_CLI_CLEANUP_SAY_H
#define MU_CLI_CLEANUP_SAY_H

#include "muster.h"

struct cleanup_outcome {
    const char *id; /* of the leftovers */
    size_t run;
    bool left;
    char *reason; /* why it is left; NULL: none is known */
};

/* One run and its servers, on standard output. */
void cleanup_say_run(const struct muster_leftovers *l, size_t run);
/* "N servers", "1 server" */
void cleanup_say_count(size_t n, const char *noun);
void cleanup_say_list_end(const struct muster_leftovers *l);
/* The end of a cleanup. */
void cleanup_say_outcomes(const struct muster_leftovers *l, const struct cleanup_outcome *all, size_t n);

#endif
