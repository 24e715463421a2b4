/* former.h: a run that was cut off, to be gone on with.
 * Owner: the caller, until mu_run_new() takes it. Thread: the main one. Must not know: options, where servers come from.
 *
 * A server is measured anew unless it came to its end. With pair steps all are, since who is paired with whom depends on all.
 * Of a run that was finished nothing is: there is only to say once more what came of it, since it may have been killed before.
 */
#ifndef MU_RUN_FORMER_H
#define MU_RUN_FORMER_H

#include "results/store.h"

struct mu_former {
    struct mu_store *store;
    struct mu_store_run run;
    struct mu_run_result *results;
    bool *anew; /* a server each */
    bool *final;
    size_t n_anew;
};

/* Of the run with this id, NULL: the last that was cut off or interrupted. MU_ESTATE: it is still at work. */
int mu_former_open(struct mu_former **out, const char *where, const char *run_id, struct mu_err *err);
/* Only to look at, in whatever state; run_id NULL: the last of this script (an absolute path). Not for mu_run_new(). */
int mu_former_look(struct mu_former **out, const char *where, const char *run_id, const char *script_path, struct mu_err *err);
int mu_former_words(const struct mu_former *f, char ***out); /* its invocation, NULL-terminated. MU_ENOMEM */
bool mu_former_is_finished(const struct mu_former *f); /* nothing is measured, the results stand */
void mu_former_all_anew(struct mu_former *f);
void mu_former_free(struct mu_former *f); /* NULL allowed */

#endif
