/* closest.h: "did you mean": the known name nearest to a mistyped one.
 *
 * Purpose: names of servers and groups that were misspelt. Pure functions.
 * Owner: nothing is allocated; the name found is one of those offered.
 * Thread: any. Must not know: what the names are for.
 */
#ifndef MU_CORE_CLOSEST_H
#define MU_CORE_CLOSEST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours) between two words, or any number above most when there are more.
 * Words of more than 63 bytes are far apart. */
unsigned mu_edit_distance(const char *a, const char *b, unsigned most);

/* Keeps the nearest of the names it is shown, the first of them when several are. */
struct mu_closest {
    const char *wanted;
    const char *best; /* NULL: none near enough */
    unsigned allowed; /* edits, for the next name to be nearer */
};
void mu_closest_start(struct mu_closest *c, const char *wanted);
void mu_closest_offer(struct mu_closest *c, const char *name);

#endif
