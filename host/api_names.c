/* Names of servers and groups. */
#include "muster.h"

#include "api_internal.h"
#include "core/nodeset.h"

bool muster_group_known(const struct muster *m, const char *name)
{
    return mu_inventory_group(m->inventory, name) != NULL;
}

const char *muster_name_closest(const struct muster *m, const char *name)
{
    return mu_inventory_closest(m->inventory, name);
}

char *muster_names_fold(const char *const *names, size_t n)
{
    struct mu_buf folded = MU_BUF_INIT;
    mu_nodeset_fold(&folded, names, n);
    char *text = mu_buf_take(&folded);
    mu_buf_free(&folded);
    return text;
}
