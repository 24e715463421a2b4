/* What servers measured before, as one sorted answer of the database. */
#include <string.h>

#include "results/store_internal.h"
#include "results/store_look.h"

enum { ONE_BY_ONE = 16, /* so few servers are asked for one at a time: the others' values need not be read */
       RUNS_MORE = 10 };

/* How many runs are looked at: servers are not in each, and not every value counts. */
static int64_t runs_for(size_t last) { return (int64_t)(2 * last + RUNS_MORE); }

/* The newest of each metric come first, numbered by the database: no more than asked for leave it. */
#define PAST(more, nth)                                                                                                       \
    "SELECT server_id, step, metric, value FROM (SELECT s.server_id, t.name AS step, m.name AS metric, m.value,"          \
    " row_number() OVER (PARTITION BY s.server_id, t.name, m.name ORDER BY r.started_ms DESC, r.id DESC) AS nth"          \
    " FROM (SELECT id, started_ms FROM runs WHERE script_path = $1 AND params = coalesce($2, params)"                     \
    " AND run_id <> $3 AND started_ms < $4 AND replayed = 0 AND dry_run = 0 ORDER BY started_ms DESC, id DESC LIMIT $5) r" \
    " JOIN servers s ON s.run = r.id JOIN steps t ON t.server = s.id JOIN metrics m ON m.step = t.id"                     \
    " WHERE t.pass = 'run' AND t.status IN ('passed', 'failed') AND m.judgement <> 'missed' AND m.value IS NOT NULL" more  \
    ") AS past WHERE nth <= " nth " ORDER BY server_id, step, metric, nth"

static int read_past(struct mu_query *q, const struct mu_past_wanted *w, const char *server, struct mu_past *past,
                     struct mu_err *err)
{
    int row, rc = 0;
    mu_query_text(q, 1, w->script_path);
    mu_query_text(q, 2, w->params);
    mu_query_text(q, 3, w->except ? w->except : "");
    mu_query_int(q, 4, w->before_ms ? w->before_ms : INT64_MAX);
    mu_query_int(q, 5, runs_for(w->last));
    if (server)
        mu_query_text(q, 6, server);
    mu_query_int(q, server ? 7 : 6, (int64_t)w->last);
    while ((row = mu_query_step(q, err)) > 0 && !rc) {
        const char *id = mu_query_get_text(q, 0), *step = mu_query_get_text(q, 1), *metric = mu_query_get_text(q, 2);
        if (id && step && metric && mu_past_add(past, id, step, metric, mu_query_get_num(q, 3), w->last))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    mu_query_reset(q);
    return row < 0 ? row : rc;
}

int mu_store_load_past(struct mu_store *s, const struct mu_past_wanted *w, struct mu_past **out, struct mu_err *err)
{
    struct mu_query *q = NULL;
    struct mu_past *past = mu_past_new();
    bool singly = w->servers && w->n_servers <= ONE_BY_ONE;
    *out = NULL;
    if (!past)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    int rc = mu_query_new(&q, s->db, singly ? PAST(" AND s.server_id = $6", "$7") : PAST("", "$6"), err);
    for (size_t i = 0; !rc && i < (singly ? w->n_servers : 1); i++)
        rc = read_past(q, w, singly ? w->servers[i] : NULL, past, err);
    mu_query_free(q);
    if (!rc && mu_past_settle(past))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc)
        mu_past_free(past);
    else
        *out = past;
    return rc;
}
