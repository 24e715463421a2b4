/* rules.h: which threshold judges a metric of a server: the command line's, else the inventory's, else the script's.
 *
 * Purpose: a threshold may differ by server. What a script says is struct mu_rule; what a run adds to it is here.
 * Owner: the run owns a mu_rules, which borrows the script and the servers.
 * Thread: made and freed by one; any may read. Must not know: Lua, tasks, how a value is judged.
 */
#ifndef MU_RUN_RULES_H
#define MU_RUN_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "inventory/inventory.h"
#include "results/threshold.h"

struct mu_script;

/* A variable that must have one of these values, as text; the name "group": a group that the server must be in. */
struct mu_condition {
    char *name;
    char **values;
    size_t n_values;
};
#define MU_CONDITION_GROUP "group"
bool mu_condition_holds(const struct mu_condition *c, const struct mu_server *srv);

/* One rule of a metric: of several, the first whose conditions all hold is the threshold. */
struct mu_rule {
    struct mu_threshold th;
    struct mu_condition *where;
    size_t n_where;
    size_t place; /* among the rules of its metric, from 0 */
};
void mu_rule_clear(struct mu_rule *r);

/* What "cpu.score" names. MU_EINVAL when there is no such step, or when the step has thresholds and none for that metric;
 * the message says what there is. *metric points into name. */
int mu_rules_target(const struct mu_script *s, const char *name, size_t *step, const char **metric, struct mu_err *err);

struct mu_rules;
/* Reads what the servers' variables say of thresholds: "thresholds", a JSON object as {"cpu.score": {"min": 40}} or
 * {"cpu.score": ">= 40"}, and "threshold.cpu.score", ">= 40", which wins over the former. Every mistake is MU_EINVAL and names the server.
 * An entry of servers may be NULL: nobody is there (yet). */
int mu_rules_new(struct mu_rules **out, const struct mu_script *s, struct mu_server *const *servers, size_t n,
                 struct mu_err *err);
/* servers[i] is another one now, or NULL: what its variables say is read anew. Nobody else may read of i meanwhile. After an
 * error they say nothing. */
int mu_rules_seat(struct mu_rules *r, size_t i, struct mu_err *err);
void mu_rules_free(struct mu_rules *r);
/* NULL: nothing judges that metric on that server. */
const struct mu_threshold *mu_rules_find(const struct mu_rules *r, size_t server, size_t step, const char *metric);
/* Every threshold of a step that holds for a server, one a call; *at is 0 for the first. NULL: there are no more. */
const struct mu_threshold *mu_rules_next(const struct mu_rules *r, size_t server, size_t step, size_t *at);
/* Whether a rule that holds for one of the servers looks at its past, and the greatest number of values that one does. */
bool mu_rules_history(const struct mu_rules *r, unsigned *last);

#endif
