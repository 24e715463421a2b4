/* api_servers.c: the engine's servers, and which of them are chosen, through muster.h. */
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"

/* The choice has one entry a server: it grows with the inventory. */
int mu_api_fit_choice(struct muster *m)
{
    size_t n = mu_inventory_count(m->inventory);
    if (!m->chosen || m->n_chosen == n)
        return 0;
    bool *more = realloc(m->chosen, (n ? n : 1) * sizeof *more);
    if (!more)
        return MU_ENOMEM;
    for (size_t i = m->n_chosen; i < n; i++)
        more[i] = false;
    m->chosen = more;
    m->n_chosen = n;
    return 0;
}

int muster_inventory_load(struct muster *m, const char *path, struct muster_error *err)
{
    struct mu_err e = {0};
    struct mu_logger *former = mu_logger_use(m->logger);
    int rc = mu_inventory_load(m->inventory, path, &e);
    mu_logger_use(former);
    if (!rc && mu_api_fit_choice(m))
        return mu_api_give_nomem(err);
    return mu_api_give_result(err, rc, &e);
}

int muster_server_add(struct muster *m, const char *id, const char *address, struct muster_error *err)
{
    struct mu_err e = {0};
    struct mu_server *srv = NULL;
    int rc = mu_inventory_add(m->inventory, id, &srv, &e);
    if (!rc && address)
        rc = mu_server_set(srv, "address", address, &e);
    if (!rc && mu_api_fit_choice(m))
        return mu_api_give_nomem(err);
    return mu_api_give_result(err, rc, &e);
}

int muster_server_set(struct muster *m, const char *id, const char *name, const char *value, struct muster_error *err)
{
    struct mu_err e = {0};
    struct mu_server *srv = mu_inventory_find(m->inventory, id);
    int rc = srv ? mu_server_set(srv, name, value, &e) : mu_err_set(&e, MU_ENOENT, "there is no server '%s'", id);
    return mu_api_give_result(err, rc, &e);
}

size_t muster_server_count(const struct muster *m) { return mu_inventory_count(m->inventory); }

const char *muster_server_id(const struct muster *m, size_t i)
{
    return i < mu_inventory_count(m->inventory) ? mu_inventory_at(m->inventory, i)->id : NULL;
}

const char *muster_server_address(const struct muster *m, size_t i)
{
    return i < mu_inventory_count(m->inventory) ? mu_inventory_at(m->inventory, i)->address : NULL;
}

bool muster_server_known(const struct muster *m, const char *id) { return mu_inventory_find(m->inventory, id) != NULL; }

int muster_select(struct muster *m, const char *pattern, struct muster_error *err)
{
    struct mu_err e = {0};
    size_t n = mu_inventory_count(m->inventory);
    if (!pattern) {
        free(m->chosen);
        m->chosen = NULL;
        m->adding = false;
        return 0;
    }
    bool *now = calloc(n ? n : 1, sizeof *now);
    if (!now)
        return mu_api_give_nomem(err);
    int rc = mu_pattern_select(m->inventory, pattern, now, &e);
    if (rc) {
        free(now);
        return mu_api_give(err, &e);
    }
    m->adding = false;
    for (size_t i = 0; m->chosen && i < n && i < m->n_chosen; i++)
        now[i] = now[i] && m->chosen[i];
    free(m->chosen);
    m->chosen = now;
    m->n_chosen = n;
    return 0;
}

int muster_select_add(struct muster *m, const char *id, struct muster_error *err)
{
    struct mu_err e = {0};
    struct mu_server *srv = mu_inventory_find(m->inventory, id);
    if (!srv) {
        mu_err_set(&e, MU_ENOENT, "there is no server '%s'", id);
        return mu_api_give(err, &e);
    }
    if (!m->chosen || !m->adding) {
        size_t n = mu_inventory_count(m->inventory);
        bool *none = calloc(n, sizeof *none);
        if (!none)
            return mu_api_give_nomem(err);
        free(m->chosen);
        m->chosen = none;
        m->n_chosen = n;
        m->adding = true;
    }
    m->chosen[srv->index] = true;
    return 0;
}

bool muster_server_selected(const struct muster *m, size_t i)
{
    return i < mu_inventory_count(m->inventory) && (!m->chosen || (i < m->n_chosen && m->chosen[i]));
}
