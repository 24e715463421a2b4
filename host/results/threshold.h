/* threshold.h: the rule that judges a metric.
 *
 * Purpose: what a rule may say, its text form, the judgement, and what a miss is called.
 * Owner: a mu_threshold owns its strings; mu_threshold_clear() frees them.
 * Thread: as results.h; what nobody changes, any thread may read.
 * Must not know: where a rule was written (script, inventory, command line), servers.
 */
#ifndef MU_RESULTS_THRESHOLD_H
#define MU_RESULTS_THRESHOLD_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* So much, or so many percent of what it is an amount of. */
struct mu_amount {
    enum { MU_AMOUNT_NONE, MU_AMOUNT_PLAIN, MU_AMOUNT_PERCENT } kind;
    double n; /* not negative, finite */
};
/* "10%", "10 %" or "5.5". MU_EINVAL says what is wrong, without naming what the amount is for. */
int mu_amount_parse(struct mu_amount *a, const char *text, struct mu_err *err);
double mu_amount_of(const struct mu_amount *a, double whole); /* 0 for none; a percentage of the size of whole */
void mu_amount_add(const struct mu_amount *a, struct mu_buf *out); /* "10 %", "5.5" */

/* How far a value may be from what the servers like it measured: peers.h. */
struct mu_peers {
    bool on;
    char *group_by;              /* the variable whose value makes servers alike; NULL: all are */
    struct mu_amount drop, rise; /* below and above their median; none: that side is free */
    unsigned min_cohort;         /* with fewer of them nothing is judged */
};
#define MU_PEERS_MIN_COHORT 5

/* How far a value may be from what the same server measured before: past.h. */
struct mu_history {
    bool on;
    unsigned last;               /* so many earlier values, at most */
    unsigned min_runs;           /* with fewer of them nothing is judged */
    struct mu_amount drop, rise; /* as those of peers */
};
#define MU_HISTORY_LAST 10
#define MU_HISTORY_MIN_RUNS 5

struct mu_threshold {
    char *metric;
    char *unit; /* NULL: none */
    bool has_min, has_max;
    bool min_open, max_open; /* the bound itself does not pass: "> 50", "< 50" */
    double min, max;
    bool has_reference;            /* then min and max are what it and its tolerance come to */
    double reference;
    struct mu_amount lower, upper; /* the tolerance; none: that side is not bounded */
    struct mu_peers peers;
    struct mu_history history;
};
/* Parse the string form: ">= 50", "> 50", "<= 5.5", "< 5.5", or two joined by a comma; a word behind the number is the unit:
 * ">= 50 MiB/s". Overwrites all but metric, so th is zeroed or cleared before. MU_EINVAL names what is wrong: also two
 * bounds of one direction, two different units, and bounds that no value can pass. On an error th has no bounds. */
int mu_threshold_parse(struct mu_threshold *th, const char *text, struct mu_err *err);
/* Work min and max out, where there is a reference. Rounded to 12 digits, so that 100 less 10 % is 90 and nothing near it. */
void mu_threshold_settle(struct mu_threshold *th);
int mu_threshold_copy(struct mu_threshold *to, const struct mu_threshold *from); /* MU_ENOMEM; to is cleared then */
void mu_threshold_clear(struct mu_threshold *th);
/* True when v passes; v is never NaN here. */
bool mu_threshold_passes(const struct mu_threshold *th, double v);
/* The rule as a JSON object, as an inventory writes it. */
void mu_threshold_add_json(const struct mu_threshold *th, struct mu_buf *out);
/* What v misses, in the words of the summary and without the unit: "< 50", "> 5.5", "<= 50" (for "> 50"). v must not
 * pass. */
void mu_threshold_miss(const struct mu_threshold *th, double v, struct mu_buf *out);
/* Where the bound that v misses comes from, to stand behind the unit: " (reference 100 - 10 %)"; else nothing. */
void mu_threshold_origin(const struct mu_threshold *th, double v, struct mu_buf *out);

#endif
