/* names.h: collects what mu_nodeset_expand() gives out. */
#ifndef MU_TESTS_UNIT_CORE_NAMES_H
#define MU_TESTS_UNIT_CORE_NAMES_H

#include <stdlib.h>
#include <string.h>

struct list {
    char **names;
    size_t n, cap;
    size_t stop_at; /* 0: never */
};

static inline int collect(void *arg, const char *name)
{
    struct list *l = arg;

    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->names = realloc(l->names, l->cap * sizeof *l->names);
    }
    l->names[l->n++] = strdup(name);
    return l->stop_at && l->n == l->stop_at ? 77 : 0;
}

static inline void list_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    memset(l, 0, sizeof *l);
}

#endif
