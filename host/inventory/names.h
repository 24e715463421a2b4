/* names.h: names and their numbers: each different name gets the next number, from 0.
 *
 * Purpose: look a group or a server up by name in constant time, wherever the inventory needs it.
 * Owner: the table owns its copies of the names; a name stays where it is until mu_names_free().
 * Thread: as the inventory. Must not know: what is named.
 */
#ifndef MU_INVENTORY_NAMES_H
#define MU_INVENTORY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mu_names {
    char **at; /* by number */
    size_t n, cap;
    uint32_t *slots; /* number + 1, 0 for none; at most half full */
    size_t n_slots;
};

uint64_t mu_names_hash(const char *name, size_t len);
/* *number is that of the name, which is added when it is new. 1: it is new; 0: it was there; MU_ENOMEM. */
int mu_names_add(struct mu_names *t, const char *name, size_t len, size_t *number);
bool mu_names_find(const struct mu_names *t, const char *name, size_t len, size_t *number);
void mu_names_free(struct mu_names *t); /* empty again */

#endif
