/* api_replay.c: transcripts of runs, through muster.h. */
#include "api_internal.h"

#include "run/tape.h"

struct adding {
    struct muster *m;
    size_t n;
    struct muster_error *err;
};

static int add(void *arg, const char *id)
{
    struct adding *a = arg;
    a->n++;
    return muster_server_known(a->m, id) ? 0 : muster_server_add(a->m, id, NULL, a->err);
}

int muster_replay_servers(struct muster *m, const struct muster_script *script, const char *dir, size_t *n,
                          struct muster_error *err)
{
    struct mu_err e = {0};
    struct adding a = {.m = m, .err = err};
    int rc = mu_tapes_servers(dir, script->script->path, add, &a, &e);
    *n = a.n;
    return rc && e.code ? mu_api_give(err, &e) : rc;
}

const char *muster_run_record_problem(const struct muster_run *run) { return mu_run_record_problem(run->run); }
