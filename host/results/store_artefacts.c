/* Files that steps kept. */
#include "results/store_internal.h"

int mu_store_put_artefact(struct mu_store *s, size_t server, const char *name, int64_t kept_ms, const void *bytes, size_t n,
                          struct mu_err *err)
{
    struct mu_query *q;
    if (!mu_store_is_writing(s))
        return 0;
    int rc = mu_store_enter(s, err);
    if (!rc && (rc = mu_store_query(s, MU_SQ_ARTEFACT, &q, err)) == 0) {
        mu_query_int(q, 1, s->kept[server].id);
        mu_query_text(q, 2, name);
        mu_query_int(q, 3, kept_ms);
        mu_query_blob(q, 4, n ? bytes : "", n);
        rc = mu_query_run(q, err);
    }
    return mu_store_leave(s, rc);
}

int mu_store_artefacts(struct mu_store *s, const struct mu_store_run *run, bool bytes, mu_store_artefact_fn *fn, void *arg,
                       struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db,
                          bytes ? "SELECT s.server_id, a.name, a.kept_ms, length(a.bytes), a.bytes FROM artefacts a JOIN servers s"
                                  " ON s.id = a.server WHERE s.run = $1 ORDER BY s.idx, a.name"
                                : "SELECT s.server_id, a.name, a.kept_ms, length(a.bytes), NULL FROM artefacts a JOIN servers s"
                                  " ON s.id = a.server WHERE s.run = $1 ORDER BY s.idx, a.name", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, run->id);
    while ((rc = mu_query_step(q, err)) > 0) {
        size_t n;
        struct mu_store_artefact a = {mu_query_get_text(q, 0), mu_query_get_text(q, 1), mu_query_get_int(q, 2), NULL,
                                      (size_t)mu_query_get_int(q, 3)};
        if (bytes)
            a.bytes = mu_query_get_blob(q, 4, &n);
        if ((rc = fn(arg, &a)) != 0)
            break;
    }
    mu_query_free(q);
    return rc;
}
