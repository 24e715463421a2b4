/* api_progress.c: how far a run is, and who is where, through muster.h. */
#include "api_internal.h"
#include "run/progress.h"

static void tell(void *arg, const struct mu_progress_now *now)
{
    struct muster_run *run = arg;
    const struct muster_progress progress = {
        .total = now->total,
        .waiting = now->waiting,
        .done = now->done,
        .running = now->running,
        .failed = now->failed,
        .not_measured = now->not_measured,
        .elapsed_ms = now->elapsed_ms,
        .left_ms = now->left_ms,
        .per_minute = now->per_minute,
        .interrupted = now->interrupted,
    };
    run->on_progress(run->on_progress_arg, run, &progress);
}

void mu_api_watch(struct muster_run *run, const struct muster_run_options *options, struct mu_run_config *config)
{
    run->on_progress = options->on_progress;
    run->on_progress_arg = options->on_progress_arg;
    config->on_progress = options->on_progress ? tell : NULL;
    config->on_progress_arg = run;
    config->progress_every_ms = options->progress_every_ms;
}

void muster_run_ask_progress(struct muster_run *run) { mu_run_ask_progress(run->run); }

int muster_run_where(const struct muster_run *run, size_t server, struct muster_where *out)
{
    struct muster_where where = {0};
    if (server >= mu_run_results(run->run)->n_tasks ||
        !mu_progress_where(run->run, server, &where.doing, &where.step, &where.for_ms))
        return MU_ENOENT;
    where.server_id = mu_run_results(run->run)->tasks[server].server_id;
    *out = where;
    return 0;
}

const char *muster_run_at_work(struct muster_run *run, size_t max_lines)
{
    mu_buf_clear(&run->at_work);
    mu_progress_at_work(run->run, max_lines, &run->at_work);
    return mu_buf_cstr(&run->at_work);
}
