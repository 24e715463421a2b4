/* known_names.c: see known_names.h. */
#include "ssh/known_names.h"

#include <stdlib.h>
#include <string.h>

int mu_known_names_init(struct mu_known_names *t)
{
    t->n_buckets = 1024;
    t->buckets = calloc(t->n_buckets, sizeof(struct mu_known_name *));
    return t->buckets ? 0 : MU_ENOMEM;
}

void mu_known_names_free(struct mu_known_names *t)
{
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct mu_known_name *n = t->buckets[i], *next; n; n = next) {
            next = n->next;
            for (struct mu_known_ref *r = n->refs, *more; r; r = more) {
                more = r->next;
                free(r);
            }
            free(n);
        }
    }
    free(t->buckets);
}

static uint64_t name_hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, mixed at the end because the buckets take the low bits */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h ^ (h >> 32);
}

struct mu_known_name *mu_known_names_find(struct mu_known_names *t, const char *name)
{
    uint64_t h = name_hash(name);

    for (struct mu_known_name *n = t->buckets[h & (t->n_buckets - 1)]; n; n = n->next) {
        atomic_fetch_add_explicit(&t->comparisons, 1, memory_order_relaxed);
        if (n->hash == h && !strcmp(n->name, name))
            return n;
    }
    return NULL;
}

static void grow_buckets(struct mu_known_names *t)
{
    size_t size = t->n_buckets * 4;
    struct mu_known_name **buckets = calloc(size, sizeof(*buckets));

    if (!buckets)
        return; /* longer chains, nothing worse */
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct mu_known_name *n = t->buckets[i], *next; n; n = next) {
            next = n->next;
            n->next = buckets[n->hash & (size - 1)];
            buckets[n->hash & (size - 1)] = n;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->n_buckets = size;
}

struct mu_known_name *mu_known_names_get(struct mu_known_names *t, const char *name)
{
    struct mu_known_name *n = mu_known_names_find(t, name);
    size_t size = strlen(name) + 1;

    if (n)
        return n;
    if (t->n_names >= t->n_buckets)
        grow_buckets(t);
    n = calloc(1, sizeof(*n) + size);
    if (!n)
        return NULL;
    memcpy(n->name, name, size);
    n->refs_end = &n->refs;
    n->hash = name_hash(name);
    n->next = t->buckets[n->hash & (t->n_buckets - 1)];
    t->buckets[n->hash & (t->n_buckets - 1)] = n;
    t->n_names++;
    return n;
}

int mu_known_name_add(struct mu_known_name *n, const struct mu_known_key *key)
{
    struct mu_known_ref *r = malloc(sizeof(*r));

    if (!r)
        return MU_ENOMEM;
    *r = (struct mu_known_ref){NULL, key};
    *n->refs_end = r; /* in the file's order */
    n->refs_end = &r->next;
    return 0;
}
