/* override.h: what a server's variables say of thresholds; internal to run/.
 *
 * Purpose: read them once, before anything runs. Owner: rules.c owns what is read.
 * Thread: any. Must not know: which of several thresholds holds.
 */
#ifndef MU_RUN_OVERRIDE_H
#define MU_RUN_OVERRIDE_H

#include "inventory/inventory.h"
#include "results/threshold.h"

struct mu_script;

struct mu_override {
    size_t step;
    struct mu_threshold th;
};
/* Of two for one metric the first holds. */
struct mu_overrides {
    struct mu_override *items;
    size_t n;
};

/* Messages name the variable, not the server. On an error *o is to be cleared all the same. */
int mu_overrides_read(struct mu_overrides *o, const struct mu_script *s, const struct mu_server *srv, struct mu_err *err);
void mu_overrides_clear(struct mu_overrides *o);

#endif
