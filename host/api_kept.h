/* api_kept.h: a database of runs behind muster/history.h, for the files of the api.
 * Owner: as history.h says. Thread: likewise. Must not know: what a database is.
 */
#ifndef MU_API_KEPT_H
#define MU_API_KEPT_H

#include "api_internal.h"
#include "muster/history.h"
#include "results/store_look.h"

struct muster_kept {
    struct muster *m;
    struct mu_store *store;
};

/* What a row says, borrowed from it. */
void mu_api_kept_run(const struct mu_run_row *row, struct muster_kept_run *out);

#endif
