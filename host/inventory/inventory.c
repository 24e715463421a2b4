#include "inventory/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "inventory/ansible.h"
#include "inventory/internal.h"

#define TIMEOUT_MS 30000
#define BOM "\xEF\xBB\xBF"

int mu_inventory_new(struct mu_inventory **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return MU_ENOMEM;
    (*out)->timeout_ms = TIMEOUT_MS;
    (*out)->groups = calloc(1, sizeof *(*out)->groups);
    if ((*out)->groups)
        return 0;
    free(*out);
    *out = NULL;
    return MU_ENOMEM;
}

static void entry_free(struct mu_entry *entry)
{
    if (!entry)
        return;
    mu_server_clear(&entry->srv);
    free(entry);
}

void mu_inventory_free(struct mu_inventory *inv)
{
    if (!inv)
        return;
    for (size_t i = 0; i < inv->n; i++)
        entry_free(inv->entries[i]);
    while (inv->sources) {
        struct mu_source *next = inv->sources->next;
        mu_source_free(inv->sources);
        inv->sources = next;
    }
    mu_ansible_free(inv->ansible);
    mu_groups_clear(inv->groups);
    mu_names_free(&inv->said);
    free(inv->groups);
    free(inv->entries);
    free(inv->slots);
    free(inv);
}

size_t mu_inventory_count(const struct mu_inventory *inv)
{
    return inv->n;
}

struct mu_server *mu_inventory_at(const struct mu_inventory *inv, size_t i)
{
    return i < inv->n ? &inv->entries[i]->srv : NULL;
}

/* ---- the index ---- */

static uint64_t hash_id(const char *id)
{
    return mu_names_hash(id, strlen(id));
}

static struct mu_entry *find(const struct mu_inventory *inv, const char *id, uint64_t hash)
{
    size_t mask = inv->n_slots - 1;

    if (!inv->n_slots)
        return NULL;
    for (size_t slot = hash & mask; inv->slots[slot]; slot = (slot + 1) & mask) {
        struct mu_entry *entry = inv->entries[inv->slots[slot] - 1];
        if (entry->hash == hash && strcmp(entry->srv.id, id) == 0)
            return entry;
    }
    return NULL;
}

struct mu_server *mu_inventory_find(const struct mu_inventory *inv, const char *id)
{
    struct mu_entry *entry = find(inv, id, hash_id(id));

    return entry ? &entry->srv : NULL;
}

static void index_put(struct mu_inventory *inv, size_t i)
{
    size_t mask = inv->n_slots - 1, slot = inv->entries[i]->hash & mask;

    while (inv->slots[slot])
        slot = (slot + 1) & mask;
    inv->slots[slot] = (uint32_t)(i + 1);
}

static void index_rebuild(struct mu_inventory *inv)
{
    if (!inv->n_slots)
        return;
    memset(inv->slots, 0, inv->n_slots * sizeof *inv->slots);
    for (size_t i = 0; i < inv->n; i++)
        index_put(inv, i);
}

size_t mu_inventory_longest_probe(const struct mu_inventory *inv)
{
    size_t longest = 0;

    for (size_t i = 0; i < inv->n; i++) {
        size_t mask = inv->n_slots - 1, slot = inv->entries[i]->hash & mask, steps = 1;
        while (inv->slots[slot] != i + 1) {
            slot = (slot + 1) & mask;
            steps++;
        }
        if (steps > longest)
            longest = steps;
    }
    return longest;
}

/* Room for one more entry, in the array and in the index. */
static int grow(struct mu_inventory *inv)
{
    if (inv->n == inv->cap) {
        size_t cap = inv->cap ? inv->cap * 2 : 16;
        struct mu_entry **entries = reallocarray(inv->entries, cap, sizeof(struct mu_entry *));
        if (!entries)
            return MU_ENOMEM;
        inv->entries = entries;
        inv->cap = cap;
    }
    if ((inv->n + 1) * 2 > inv->n_slots) {
        size_t n_slots = inv->n_slots ? inv->n_slots * 2 : 64;
        uint32_t *slots = calloc(n_slots, sizeof *slots);
        if (!slots)
            return MU_ENOMEM;
        free(inv->slots);
        inv->slots = slots;
        inv->n_slots = n_slots;
        index_rebuild(inv);
    }
    return 0;
}

/* ---- adding ---- */

static int there_already(const struct mu_entry *entry, struct mu_err *err)
{
    struct mu_quoted q;
    const char *id = mu_quote(&q, entry->srv.id, strlen(entry->srv.id));

    if (!entry->source)
        return mu_err_set(err, MU_EEXIST, "server \"%s\" is there already", id);
    if (entry->source->kind == MU_SOURCE_JSON)
        return mu_err_set(err, MU_EEXIST, "server \"%s\" is there already, as servers[%zu] of %s", id, entry->place,
                          entry->source->name);
    return mu_err_set(err, MU_EEXIST, "server \"%s\" is there already, in %s:%zu", id, entry->source->name,
                      entry->place);
}

int mu_inventory_add_from(struct mu_inventory *inv, const char *id, const struct mu_source *source, size_t place,
                          struct mu_server **out, struct mu_err *err)
{
    struct mu_entry *entry = NULL;
    const struct mu_entry *former;
    uint64_t hash = hash_id(id);
    int rc;

    if (out)
        *out = NULL;
    rc = mu_server_check_id(id, strlen(id), err);
    if (rc < 0)
        return rc;
    former = find(inv, id, hash);
    if (former)
        return there_already(former, err);
    if (inv->n >= UINT32_MAX - 1)
        return mu_err_set(err, MU_ELIMIT, "too many servers");
    entry = calloc(1, sizeof *entry);
    if (!entry || !(entry->srv.id = strdup(id)) || !(entry->srv.address = strdup(id)) || grow(inv) < 0) {
        entry_free(entry);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    entry->hash = hash;
    entry->source = source;
    entry->place = place;
    entry->groups = inv->groups;
    entry->srv.index = inv->n;
    mu_groups_clear(inv->groups);
    inv->entries[inv->n] = entry;
    index_put(inv, inv->n++);
    if (out)
        *out = &entry->srv;
    return 0;
}

int mu_inventory_add(struct mu_inventory *inv, const char *id, struct mu_server **out, struct mu_err *err)
{
    return mu_inventory_add_from(inv, id, NULL, 0, out, err);
}

/* ---- reading ---- */

/* Take the newest servers back until n are left. */
static void cut_back(struct mu_inventory *inv, size_t n)
{
    if (inv->n == n)
        return;
    mu_groups_clear(inv->groups);
    while (inv->n > n)
        entry_free(inv->entries[--inv->n]);
    index_rebuild(inv);
}

int mu_inventory_new_source(struct mu_inventory *inv, const char *name, struct mu_source **out, struct mu_err *err)
{
    int rc = mu_source_new(out, name);

    if (rc < 0)
        return mu_err_set(err, rc, "out of memory");
    (*out)->next = inv->sources;
    inv->sources = *out;
    return 0;
}

void mu_inventory_set_timeout(struct mu_inventory *inv, uint64_t timeout_ms)
{
    inv->timeout_ms = timeout_ms;
}

int mu_inventory_ansible(struct mu_inventory *inv, struct mu_ansible **out, struct mu_err *err)
{
    if (!inv->ansible && mu_ansible_new(&inv->ansible, inv) < 0)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *out = inv->ansible;
    if (inv->ansible->broken)
        return mu_err_set(err, MU_ESTATE, "an inventory before this one could not be read");
    return 0;
}

int mu_inventory_finish(struct mu_inventory *inv, size_t n, int rc, struct mu_err *err)
{
    if (rc == 0 && inv->ansible)
        rc = mu_ansible_settle(inv->ansible, err);
    else
        return rc;
    if (rc < 0) {
        inv->ansible->broken = true;
        cut_back(inv, n);
    }
    return rc;
}

static int read_own(struct mu_inventory *inv, struct mu_source *source, const char *text, size_t len, struct mu_err *err)
{
    size_t before = inv->n;
    int rc = source->kind == MU_SOURCE_JSON ? mu_inventory_read_json(inv, source, text, len, err)
                                            : mu_inventory_read_list(inv, source, text, len, err);

    if (rc == 0 && inv->n == before)
        rc = mu_err_set(err, MU_EINVAL, "no servers in %s", source->name);
    if (rc < 0)
        cut_back(inv, before);
    return rc;
}

/* Nothing has come of the newest source. */
static int drop(struct mu_inventory *inv, int rc)
{
    struct mu_source *source = inv->sources;

    inv->sources = source->next;
    mu_source_free(source);
    return rc;
}

int mu_inventory_read(struct mu_inventory *inv, const char *name, bool beside, const char *text, size_t len,
                      struct mu_err *err)
{
    struct mu_source *source = NULL;
    struct mu_ansible *a = NULL;
    int rc = mu_inventory_new_source(inv, name, &source, err);

    if (rc < 0)
        return rc;
    rc = mu_source_check(source, text, len, err);
    if (rc < 0)
        return drop(inv, rc);
    if (len >= strlen(BOM) && memcmp(text, BOM, strlen(BOM)) == 0) {
        text += strlen(BOM);
        len -= strlen(BOM);
    }
    source->kind = mu_source_kind(name, text, len, beside);
    if (source->kind == MU_SOURCE_JSON || source->kind == MU_SOURCE_LIST) {
        rc = read_own(inv, source, text, len, err);
        return rc < 0 ? drop(inv, rc) : 0;
    }
    rc = mu_inventory_ansible(inv, &a, err);
    if (rc < 0)
        return rc;
    rc = source->kind == MU_SOURCE_YAML ? mu_ansible_read_yaml(a, source, text, len, err)
                                        : mu_ansible_read_ini(a, source, text, len, err);
    a->broken = a->broken || rc < 0;
    return rc;
}

int mu_inventory_parse(struct mu_inventory *inv, const char *name, const char *text, size_t len, struct mu_err *err)
{
    size_t before = inv->n;

    return mu_inventory_finish(inv, before, mu_inventory_read(inv, name, false, text, len, err), err);
}

int mu_inventory_parse_back(struct mu_inventory *inv, const char *name, const char *text, size_t len, struct mu_err *err)
{
    struct mu_source *source = NULL;
    int rc = mu_inventory_new_source(inv, name, &source, err);

    if (rc < 0)
        return rc;
    source->kind = MU_SOURCE_JSON;
    source->any_name = true;
    rc = read_own(inv, source, text, len, err);
    return rc < 0 ? drop(inv, rc) : 0;
}
