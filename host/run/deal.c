/* Dealing servers and marks to the crew, and what the main thread makes of its messages. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/collect.h"
#include "run/console.h"
#include "run/run_internal.h"

/* ---- dealing ---- */

static void deal_task(struct mu_run *run, enum mu_task_kind kind, size_t index, size_t peer, struct mu_verdict *verdict,
                      struct mu_repeat *repeat)
{
    const char *claimed = kind == MU_TASK_PAIR ? NULL : mu_claims_data(run->claims, index);
    struct mu_message *m;
    while (!(m = mu_message_new(MU_MSG_DEAL)))
        usleep(10000);
    run->in_flight++;
    m->kind = kind;
    m->task = index;
    m->peer = peer;
    m->verdict = verdict;
    m->repeat = repeat;
    while (claimed && !(m->text = strdup(claimed)))
        usleep(10000);
    run->crew->ops->deal(run->crew, m);
}

static void deal_mark(struct mu_run *run, size_t index)
{
    struct mu_task_result *t = &run->results->tasks[index];
    struct mu_verdict *verdict = NULL;
    if (mu_verdict_new(&verdict, t, run->id, run->owner, mu_clock_wall_ms())) {
        mu_task_result_set_mark(t, MU_MARK_FAILED, NULL, "out of memory", 0);
        mu_marks_settled(&run->marks);
        return;
    }
    mu_task_result_set_mark(t, MU_MARK_NONE, verdict->reason, NULL, 0);
    deal_task(run, MU_TASK_MARK, index, 0, verdict, NULL);
}

static void after_pairs(struct mu_run *run);

static void deal_server(struct mu_run *run)
{
    struct mu_verdict *verdict = NULL;
    run->results->tasks[run->dealt].dealt = true;
    if (run->config.lends_last && run->pairs.wanted && run->dealt == run->n - 1) {
        run->dealt++;
        run->results->tasks[run->n - 1].finished = true;
        mu_pairs_own_ended(run);
        after_pairs(run);
        return;
    }
    mu_progress_dealt(run, run->dealt);
    if (run->config.dry_run)
        mu_verdict_new_dry(&verdict, run->id, run->owner, mu_clock_wall_ms());
    deal_task(run,
              run->config.console   ? MU_TASK_CONSOLE
              : run->config.dry_run ? MU_TASK_DRY
              : run->config.left    ? MU_TASK_CLEANUP
                                    : MU_TASK_RUN,
              run->dealt, 0, verdict, NULL);
    run->dealt++;
}

/* Past those that have their result from before. */
static bool next_server(struct mu_run *run)
{
    while (run->dealt < run->n && mu_records_has(run, run->dealt))
        run->dealt++;
    return run->dealt < run->n;
}

void mu_run_deal(struct mu_run *run)
{
    size_t index, peer;
    struct mu_repeat *repeat;
    mu_run_interrupted(run);
    while (run->dealing && !run->interrupts_seen && mu_run_crew_has_room(run)) {
        if (mu_marks_next(&run->marks, run->n - run->done, &index))
            deal_mark(run, index);
        else if (next_server(run))
            deal_server(run);
        else if (mu_pairs_next(run, &index, &peer, &repeat))
            deal_task(run, MU_TASK_PAIR, index, peer, NULL, repeat);
        else if (mu_second_next(run, &index, &repeat))
            deal_task(run, MU_TASK_AGAIN, index, 0, NULL, repeat);
        else
            break;
    }
}

/* ---- collecting ---- */

void mu_run_final(struct mu_run *run, size_t server)
{
    const struct mu_task_result *t = &run->results->tasks[server];
    run->done++;
    mu_progress_note(run, server);
    mu_marks_finished(&run->marks, server, t->status);
    mu_records_final(run, server);
    if (run->config.on_done)
        run->config.on_done(run->config.on_done_arg, t, run->done, run->n);
}

void mu_run_measured(struct mu_run *run, size_t server)
{
    if (!mu_second_waits(run, server))
        mu_run_final(run, server);
}

/* Servers are final, or compared, when all their pairs are over. */
static void after_pairs(struct mu_run *run)
{
    for (size_t i = 0; mu_pairs_over(run) && i < run->n; i++) {
        mu_task_result_settle(&run->results->tasks[i]);
        mu_pairs_say_finished(run, i);
        mu_run_measured(run, i);
    }
    if (mu_pairs_over(run))
        mu_second_check(run, mu_run_final);
}

static void task_done(struct mu_run *run, const struct mu_message *m)
{
    struct mu_task_result *t = &run->results->tasks[m->task];
    struct mu_crew *crew = mu_run_crew_of(run, m->worker);
    run->in_flight--;
    if (crew != &run->local.crew) /* what it released may have come with it, and is looked at below */
        mu_claims_flush(run->claims);
    crew->ops->done(crew, m);
    if (m->kind == MU_TASK_MARK) {
        mu_marks_settled(&run->marks);
        return;
    }
    if (m->kind == MU_TASK_AGAIN) {
        mu_second_done(run, m->task, mu_run_final);
        return;
    }
    if (m->kind == MU_TASK_PAIR) {
        mu_pairs_done(run, m->task, m->peer, m->down);
        after_pairs(run);
        return;
    }
    mu_task_result_settle(t);
    mu_progress_note(run, m->task);
    if (run->pairs.wanted) {
        mu_pairs_own_ended(run);
        after_pairs(run);
        return;
    }
    mu_run_measured(run, m->task);
    mu_second_check(run, mu_run_final);
}

void mu_run_home_mail(void *arg, struct mu_msg *msg)
{
    struct mu_run *run = arg;
    struct mu_message *m = (struct mu_message *)msg;
    if (m && m->head.kind == MU_MSG_EXITED) {
        mu_crew_local_exited(&run->local, m);
    } else if (m && (mu_run_asked(run, m) || mu_run_prompted(run, m))) {
        /* nothing of it goes into the results */
    } else if (m && !run->over && !mu_run_fleet_mail(run, m)) {
        /* What still runs is the server's, and so is how it was reached. */
        bool servers = m->head.kind == MU_MSG_UNENDED || m->head.kind == MU_MSG_RETRIED;
        mu_collect(servers                     ? &run->results->tasks[m->task]
                   : m->kind == MU_TASK_AGAIN ? mu_second_result(run, m->task)
                   : m->kind == MU_TASK_PAIR  ? mu_pairs_result(run, m->task)
                                              : &run->results->tasks[m->task],
                   m);
        if (m->head.kind == MU_MSG_STARTED)
            mu_progress_started(run, m->task);
        mu_records_note(run, m);
        if (m->head.kind == MU_MSG_DONE)
            task_done(run, m);
    }
    if (!m)
        mu_records_nudged(run);
    mu_message_free(msg);
    mu_run_see_break(run);
    mu_progress_see_asked(run);
    mu_run_deal(run);
}

/* ---- the end ---- */

bool mu_run_finished(const struct mu_run *run)
{
    if (run->over)
        return true;
    if (run->interrupts_seen)
        return mu_run_crew_settled(run);
    return run->done == run->n && !mu_marks_open(&run->marks);
}

void mu_run_give_up(void *arg) { ((struct mu_run *)arg)->over = true; }

/* The queue is in the order of finishing; what became of whom does not depend on it. */
void mu_run_settle_marks(struct mu_run *run)
{
    const struct mu_marks *m = &run->marks;
    struct mu_run_result *r = run->results;
    bool over = mu_marks_over(m) && !r->interrupted;
    r->marks.candidates = m->n_candidates;
    r->marks.over = over;
    for (size_t i = 0; i < m->n_candidates; i++) {
        struct mu_task_result *t = &r->tasks[m->queue[i]];
        if (t->mark.state != MU_MARK_NONE)
            continue;
        if (i < m->n_dealt)
            mu_task_result_set_mark(t, MU_MARK_FAILED, NULL, "interrupted before it was known to be made", 1);
        else
            mu_task_result_set_mark(t, MU_MARK_WITHHELD, NULL, over ? "more than the cap allows" : "interrupted", 0);
    }
    if (over)
        mu_log(MU_ERROR, "Nobody is marked as broken: %zu of %zu servers were to be, more than the cap of %zu allows.",
               m->n_candidates, run->n, m->cap);
}
