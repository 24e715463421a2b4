/* suggest.h: "did you mean": the known name nearest to a mistyped one.
 *
 * Purpose: commands and option names that were misspelt. Pure functions.
 * Owner: nothing is allocated; the name returned is one of those given.
 * Thread: any.
 * Must not know: what the names are for.
 */
#ifndef MU_CLI_SUGGEST_H
#define MU_CLI_SUGGEST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours) between two words; words over 63 bytes count as far apart. */
unsigned cli_edit_distance(const char *a, const char *b);

/* Keeps the best of the names it is shown. */
struct cli_suggestion {
    const char *wanted;
    const char *best; /* NULL: none near enough */
    unsigned distance;
};
void cli_suggestion_start(struct cli_suggestion *s, const char *wanted);
void cli_suggestion_offer(struct cli_suggestion *s, const char *name);

#endif
