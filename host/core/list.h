/* list.h: an intrusive doubly linked list, circular with a head, as in the BSD and Linux kernels' lists.
 * Purpose: queues and sets of objects that must leave in constant time. Owner: the objects own their links.
 * Thread: the list's user sees to it. Must not know: what is linked.
 */
#ifndef MU_CORE_LIST_H
#define MU_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct mu_list {
    struct mu_list *next, *prev;
};

#define mu_list_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* A list that is empty, or a link that is in none. */
static inline void mu_list_init(struct mu_list *l) { l->next = l->prev = l; }
static inline bool mu_list_empty(const struct mu_list *l) { return l->next == l; }
static inline bool mu_list_linked(const struct mu_list *l) { return l->next && l->next != l; }
static inline void mu_list_push(struct mu_list *head, struct mu_list *l) /* at the end */
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
static inline void mu_list_remove(struct mu_list *l) /* harmless when not linked */
{
    if (!l->next)
        return;
    l->next->prev = l->prev;
    l->prev->next = l->next;
    l->next = l->prev = l;
}
static inline struct mu_list *mu_list_pop(struct mu_list *head) /* the first, or NULL */
{
    struct mu_list *l = head->next;
    if (l == head)
        return NULL;
    mu_list_remove(l);
    return l;
}

#endif
