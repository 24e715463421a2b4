/* threshold_read.h: a threshold from a table of fields, wherever that table is: in a script, or in an inventory's JSON.
 *
 * Purpose: one reading of what a rule may say, and one wording of what is wrong with it.
 * Owner: the caller owns table and threshold; values that a table gives stay its own.
 * Thread: any. Must not know: Lua, JSON, where a message is shown.
 */
#ifndef MU_RUN_THRESHOLD_READ_H
#define MU_RUN_THRESHOLD_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "results/threshold.h"

enum mu_given_kind { MU_GIVEN_NOTHING, MU_GIVEN_NUMBER, MU_GIVEN_TEXT, MU_GIVEN_TABLE, MU_GIVEN_OTHER };

/* The value of one field. */
struct mu_given {
    enum mu_given_kind kind;
    double number;
    const char *text;
    const char *type; /* for messages: "a string" */
};

struct mu_table {
    void *arg;
    void (*get)(void *arg, const char *field, struct mu_given *out);
    void (*enter)(void *arg, const char *field); /* a field that is a table: what follows is about that one */
    void (*leave)(void *arg);
    /* A name that is not among known (space separated), or NULL; "" for an entry without a name. */
    const char *(*unknown)(void *arg, const char *known);
};

#define MU_THRESHOLD_FIELDS "min max reference tolerance peers history unit"

/* th is zeroed but for metric; label names it in messages. On MU_EINVAL *word is the field where the mistake is, to find its line;
 * NULL: the threshold itself. allowed: the fields, MU_THRESHOLD_FIELDS and what the caller reads itself. */
int mu_threshold_read(struct mu_threshold *th, const struct mu_table *table, const char *label, const char *allowed,
                      const char **word, struct mu_err *err);
/* Every field of the table must be among known; what names the table. */
int mu_table_check(const struct mu_table *table, const char *what, const char *known, const char **word, struct mu_err *err);
/* Whether name is a word of known. */
bool mu_table_knows(const char *known, const char *name);

#endif
