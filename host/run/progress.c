#include "run/progress.h"

#include <stdlib.h>

#include "core/clock.h"
#include "run/run_internal.h"
#include "run/where.h"

enum noted { NOT_DONE, FINE, FAILED, NOT_MEASURED };

#define EVERY_MS 1000

static void tell(struct mu_run *run)
{
    struct mu_progress_now now;
    if (!run->config.on_progress)
        return;
    mu_progress_now(run, &now);
    run->config.on_progress(run->config.on_progress_arg, &now);
}

static uint64_t every_ms(const struct mu_run *run)
{
    return run->config.progress_every_ms ? run->config.progress_every_ms : EVERY_MS;
}

static void tick(void *arg)
{
    struct mu_run *run = arg;
    mu_timer_start(run->progress.timer, NULL, every_ms(run));
    tell(run);
}

int mu_progress_init(struct mu_run *run)
{
    struct mu_progress *p = &run->progress;
    p->timer = mu_timer_new(run->loop, tick, run);
    p->where = mu_where_new(run->n);
    p->begun_ms = calloc(run->n + 1, sizeof *p->begun_ms);
    p->noted = calloc(run->n + 1, sizeof *p->noted);
    run->engine.where = p->where;
    return p->timer && p->where && p->begun_ms && p->noted ? 0 : MU_ENOMEM;
}

void mu_progress_free(struct mu_run *run)
{
    mu_timer_free(run->progress.timer);
    free(run->progress.where);
    free(run->progress.begun_ms);
    free(run->progress.noted);
}

void mu_progress_start(struct mu_run *run)
{
    if (run->config.on_progress)
        mu_timer_start(run->progress.timer, NULL, every_ms(run));
}

void mu_progress_stop(struct mu_run *run) { mu_timer_stop(run->progress.timer); }

static void begun(struct mu_progress *p, size_t server)
{
    p->begun_ms[server] = mu_clock_ms();
    if (!p->first_ms)
        p->first_ms = p->begun_ms[server];
}

void mu_progress_dealt(struct mu_run *run, size_t server)
{
    struct mu_progress *p = &run->progress;
    if (!mu_run_is_elsewhere(run)) {
        begun(p, server);
        return;
    }
    p->begun_ms[server] = MU_PROGRESS_QUEUED;
    p->queued++;
}

void mu_progress_started(struct mu_run *run, size_t server)
{
    struct mu_progress *p = &run->progress;
    if (p->begun_ms[server] != MU_PROGRESS_QUEUED)
        return;
    p->queued--;
    begun(p, server);
}

void mu_progress_note(struct mu_run *run, size_t server)
{
    struct mu_progress *p = &run->progress;
    const struct mu_task_result *t = &run->results->tasks[server];
    mu_progress_started(run, server); /* if it never was */
    enum noted now = mu_task_result_is_failed(t) ? FAILED : mu_task_result_is_unmeasured(t) ? NOT_MEASURED : FINE;
    if (p->noted[server] == NOT_DONE) {
        p->done++;
        p->took_ms += t->duration_ms;
    }
    p->failed += (size_t)(now == FAILED) - (size_t)(p->noted[server] == FAILED);
    p->not_measured += (size_t)(now == NOT_MEASURED) - (size_t)(p->noted[server] == NOT_MEASURED);
    p->noted[server] = (unsigned char)now;
}

void mu_progress_see_asked(struct mu_run *run)
{
    int asked = atomic_load(&run->progress.asked);
    if (asked == run->progress.asked_seen)
        return;
    run->progress.asked_seen = asked;
    tell(run);
}

/* Who is done took so long on average; who is not will, and those who have begun have a part of it behind them. What is
 * left is shared by as many as are in flight, and cannot be over before the one that began last. */
static uint64_t estimate(const struct mu_run *run, uint64_t now)
{
    const struct mu_progress *p = &run->progress;
    if (!p->done || p->done == run->n || run->interrupts_seen)
        return 0;
    uint64_t mean = p->took_ms / p->done, work = mean * (run->n - run->dealt + p->queued), longest = 0;
    for (size_t i = 0; i < run->dealt; i++) {
        uint64_t age = now - p->begun_ms[i];
        if (p->noted[i] != NOT_DONE || p->begun_ms[i] == MU_PROGRESS_QUEUED || age >= mean)
            continue;
        work += mean - age;
        longest = mean - age > longest ? mean - age : longest;
    }
    size_t at_once = run->forks && !p->queued ? run->forks : run->in_flight - p->queued;
    uint64_t left = work / (at_once ? at_once : 1);
    return left > longest ? left : longest;
}

void mu_progress_now(const struct mu_run *run, struct mu_progress_now *out)
{
    const struct mu_progress *p = &run->progress;
    uint64_t now = mu_clock_ms(), elapsed = p->first_ms ? now - p->first_ms : 0;
    *out = (struct mu_progress_now){
        .total = run->n,
        .waiting = run->n - run->dealt + p->queued,
        .running = run->in_flight - p->queued,
        .done = p->done,
        .failed = p->failed,
        .not_measured = p->not_measured,
        .elapsed_ms = elapsed,
        .left_ms = estimate(run, now),
        .per_minute = elapsed ? (double)p->done * 60000.0 / (double)elapsed : 0,
        .interrupted = run->interrupts_seen > 0,
    };
}

bool mu_progress_where(const struct mu_run *run, size_t server, const char **doing, const char **step, uint64_t *for_ms)
{
    static const char *const names[] = {
        [MU_PHASE_LOAD] = "loading", [MU_PHASE_SETUP] = "setup",       [MU_PHASE_WHEN] = "step",
        [MU_PHASE_STEP] = "step",    [MU_PHASE_ON_FAILURE] = "on_failure", [MU_PHASE_TEARDOWN] = "teardown",
        [MU_PHASE_MARK] = "mark",    [MU_PHASE_CONSOLE] = "console",
    };
    const struct mu_script *s = run->engine.script;
    enum mu_phase phase;
    size_t at;
    uint64_t since, now = mu_clock_ms();
    if (!mu_where_get(run->progress.where, server, &phase, &at, &since) || phase > MU_PHASE_CONSOLE)
        return false;
    *doing = names[phase];
    *step = (phase == MU_PHASE_STEP || phase == MU_PHASE_WHEN) && at < s->n_steps ? s->steps[at].name : NULL;
    *for_ms = now > since ? now - since : 0;
    return true;
}
