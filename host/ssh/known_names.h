/* known_names.h: a hash table from names to known_hosts records.
 *
 * Purpose: plain names found in constant time. Owner: the table owns its names, not the records that they refer to.
 * Thread: finding: any number at once; the rest: one, alone (known_hosts.c locks). Must not know: files, patterns.
 */
#ifndef MU_SSH_KNOWN_NAMES_H
#define MU_SSH_KNOWN_NAMES_H

#include <stdatomic.h>
#include <stdint.h>

#include "ssh/known_hosts.h"

struct mu_known_ref {
    struct mu_known_ref *next;
    const struct mu_known_key *key;
};

struct mu_known_name {
    struct mu_known_name *next;
    struct mu_known_ref *refs, **refs_end;
    uint64_t hash;
    bool searched; /* the hashed lines were searched for it */
    char name[];
};

struct mu_known_names {
    struct mu_known_name **buckets;
    size_t n_buckets, n_names; /* n_buckets is a power of two */
    atomic_size_t comparisons;
};

int mu_known_names_init(struct mu_known_names *t); /* 0 or MU_ENOMEM */
void mu_known_names_free(struct mu_known_names *t);
struct mu_known_name *mu_known_names_find(struct mu_known_names *t, const char *name); /* NULL when not there */
struct mu_known_name *mu_known_names_get(struct mu_known_names *t, const char *name); /* made when not there, or NULL */
int mu_known_name_add(struct mu_known_name *n, const struct mu_known_key *key);       /* 0 or MU_ENOMEM */

#endif
