#include "run/load_past.h"

#include <limits.h>
#include <stdlib.h>

#include "results/store_look.h"
#include "run/former.h"
#include "run/records_head.h"
#include "run/run_internal.h"

static int load(struct mu_run *run, unsigned last, struct mu_err *err)
{
    const struct mu_script *s = run->engine.script;
    struct mu_buf params = MU_BUF_INIT;
    const char **ids = calloc(run->n ? run->n : 1, sizeof *ids);
    char real[PATH_MAX];
    int rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    mu_records_params(&params, s);
    for (size_t i = 0; ids && i < run->n; i++)
        ids[i] = run->servers[i]->id;
    if (ids && !params.failed)
        rc = mu_store_load_past(run->records.store,
                                &(struct mu_past_wanted){.script_path = realpath(s->path, real) ? real : s->path,
                                                         .params = mu_buf_cstr(&params), .except = run->id,
                                                         .before_ms = run->config.former ? run->results->started_ms : 0,
                                                         .servers = ids, .n_servers = run->n, .last = last},
                                &run->past, err);
    free(ids);
    mu_buf_free(&params);
    return rc;
}

void mu_run_load_past(struct mu_run *run)
{
    struct mu_err err = {0};
    unsigned last;
    if (!run->rules || !mu_rules_history(run->rules, &last))
        return;
    run->engine.past_why = run->config.replay_dir ? "a replay reads no earlier runs, unless --db names them"
                                                  : "there is no database of earlier runs";
    if (!run->records.store)
        return;
    if (load(run, last, &err)) {
        mu_log(MU_WARNING, "%s. What is to be judged by earlier runs is not judged.", err.msg);
        run->engine.past_why = "earlier runs could not be read";
        return;
    }
    run->engine.past = run->past;
    run->engine.past_why = NULL;
}
