/* Inventories as Ansible prints them. */
#include <stdlib.h>

#include "api_internal.h"

void muster_inventory_set_timeout(struct muster *m, uint64_t timeout_ms) { mu_inventory_set_timeout(m->inventory, timeout_ms); }

int muster_inventory_show(struct muster *m, enum muster_inventory_form form, const char *name, char **text,
                          struct muster_error *err)
{
    struct mu_err e = {0};
    struct mu_buf out = MU_BUF_INIT;
    const struct mu_server *srv = form == MUSTER_INVENTORY_SERVER && name ? mu_inventory_find(m->inventory, name) : NULL;
    int rc = 0;
    switch (form) {
    case MUSTER_INVENTORY_LIST:
        rc = mu_inventory_show_list(m->inventory, &out, &e);
        break;
    case MUSTER_INVENTORY_SERVER:
        rc = srv ? mu_inventory_show_server(srv, &out, &e)
                 : mu_err_set(&e, MU_ENOENT, "there is no server '%s'", name ? name : "");
        break;
    case MUSTER_INVENTORY_GRAPH:
        rc = mu_inventory_show_graph(m->inventory, name ? name : MU_GROUP_ALL, &out, &e);
        break;
    }
    *text = rc ? NULL : mu_buf_take(&out);
    if (!rc && !*text)
        rc = mu_err_set(&e, MU_ENOMEM, "out of memory");
    mu_buf_free(&out);
    return mu_api_give_result(err, rc, &e);
}
