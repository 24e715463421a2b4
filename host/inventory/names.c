#include "inventory/names.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"

/* FNV-1a, with a final mix because ids of a fleet differ in their last digits only and the low bits pick the slot. */
uint64_t mu_names_hash(const char *name, size_t len)
{
    uint64_t h = 14695981039346656037ULL;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211ULL;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
}

/* The slot where the name is, or belongs. */
static size_t slot_of(const struct mu_names *t, const char *name, size_t len)
{
    size_t mask = t->n_slots - 1, slot = mu_names_hash(name, len) & mask;

    for (; t->slots[slot]; slot = (slot + 1) & mask) {
        const char *there = t->at[t->slots[slot] - 1];
        if (strncmp(there, name, len) == 0 && !there[len])
            break;
    }
    return slot;
}

bool mu_names_find(const struct mu_names *t, const char *name, size_t len, size_t *number)
{
    size_t slot;

    if (!t->n_slots)
        return false;
    slot = slot_of(t, name, len);
    if (!t->slots[slot])
        return false;
    *number = t->slots[slot] - 1;
    return true;
}

static int grow(struct mu_names *t)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 4;
        char **at = reallocarray(t->at, cap, sizeof *at);
        if (!at)
            return MU_ENOMEM;
        t->at = at;
        t->cap = cap;
    }
    if ((t->n + 1) * 2 > t->n_slots) {
        size_t n_slots = t->n_slots ? t->n_slots * 2 : 8;
        uint32_t *slots = calloc(n_slots, sizeof *slots);
        if (!slots)
            return MU_ENOMEM;
        free(t->slots);
        t->slots = slots;
        t->n_slots = n_slots;
        for (size_t i = 0; i < t->n; i++)
            slots[slot_of(t, t->at[i], strlen(t->at[i]))] = (uint32_t)(i + 1);
    }
    return 0;
}

int mu_names_add(struct mu_names *t, const char *name, size_t len, size_t *number)
{
    char *copy;

    if (mu_names_find(t, name, len, number))
        return 0;
    if (t->n >= UINT32_MAX - 1 || grow(t) < 0 || !(copy = strndup(name, len)))
        return MU_ENOMEM;
    t->at[t->n] = copy;
    *number = t->n;
    t->slots[slot_of(t, name, len)] = (uint32_t)++t->n;
    return 1;
}

void mu_names_free(struct mu_names *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->at[i]);
    free(t->at);
    free(t->slots);
    *t = (struct mu_names){0};
}
