/* api_push.c: runs that were kept into a shared database, through muster/history.h. */
#include "api_kept.h"
#include "results/store_push.h"

int muster_kept_push(struct muster *m, const char *from, const char *to, void (*each)(void *arg, const char *run_id, size_t n_servers),
                     void *arg, struct muster_push *out, struct muster_error *err)
{
    struct mu_logger *former = mu_logger_use(m->logger);
    struct mu_store *source = NULL, *target = NULL;
    struct mu_push said = {0};
    struct mu_err e = {0};
    int rc = 0;
    if (!mu_db_is_url(to))
        rc = mu_err_set(&e, MU_EINVAL, "runs are pushed to a PostgreSQL: write postgresql://USER@HOST/DATABASE");
    if (!rc)
        rc = mu_store_open(&source, from, false, &e);
    if (!rc)
        rc = mu_store_open(&target, to, true, &e);
    if (!rc)
        rc = mu_store_push(source, target, each, arg, &said, &e);
    mu_store_close(target);
    mu_store_close(source);
    mu_logger_use(former);
    *out = (struct muster_push){said.pushed, said.there, said.not_ended};
    return mu_api_give_result(err, rc, &e);
}
