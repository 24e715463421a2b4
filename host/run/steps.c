/* A task's steps: which is next, what is skipped, and the one that is measured again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "results/confirm.h"
#include "results/reason.h"
#include "run/engine.h"
#include "run/messages.h"
#include "run/phase.h"
#include "run/task.h"
#include "run/worker.h"

static const struct mu_engine *engine_of(const struct mu_task *t) { return t->worker->engine; }
static const struct mu_script *script_of(const struct mu_task *t) { return t->worker->engine->script; }

/* ---- skipping ---- */

/* Steps that were not picked are no part of the run, and a repeated task does not touch the other steps. Pair steps are not
 * a server's own, and are all that a pair does. */
static bool is_left_alone(const struct mu_task *t, size_t i)
{
    const bool *only = engine_of(t)->only;
    bool pair = script_of(t)->steps[i].pair;
    if (t->kind == MU_TASK_PAIR ? !pair : pair && t->kind != MU_TASK_DRY)
        return true;
    return (t->repeat && !t->repeat->steps[i]) || (only && !only[i]);
}

static bool is_withheld(const struct mu_task *t, size_t i)
{
    return script_of(t)->steps[i].destructive && !engine_of(t)->allow_destructive;
}

/* In its own task a server decides whether it takes part in pair steps: with the first of them, for they have one `when`. */
static bool is_asked(const struct mu_task *t, size_t i)
{
    const bool *only = engine_of(t)->only;
    const struct mu_step *st = script_of(t)->steps;
    if (t->kind != MU_TASK_RUN || !st[i].pair || !st[i].has_when || (only && !only[i]))
        return false;
    for (size_t j = 0; j < i; j++)
        if (st[j].pair && (!only || only[j]))
            return false;
    return true;
}

bool mu_steps_has_own(const struct mu_task *t)
{
    for (size_t i = 0; i < script_of(t)->n_steps; i++)
        if (!is_left_alone(t, i))
            return true;
    return false;
}

static void post_skip(struct mu_task *t, size_t i)
{
    struct mu_step_result *r = mu_step_result_new(script_of(t)->steps[i].name);
    t->step_status[i] = MU_ST_SKIPPED;
    if (!r)
        return;
    r->status = MU_ST_SKIPPED;
    r->started_ms = mu_clock_wall_ms();
    if (t->kind == MU_TASK_DRY)
        mu_step_result_add_failure(r, MU_ST_SKIPPED, NULL, NULL, "dry run", "dry run");
    else if ((r->withheld = is_withheld(t, i)))
        mu_step_result_add_failure(r, MU_ST_SKIPPED, NULL, NULL, MU_WITHHELD, MU_WITHHELD);
    mu_post_step_take(t, r);
}

static void post_skipped(struct mu_task *t, size_t i)
{
    t->step_status[i] = MU_ST_SKIPPED;
    if (!is_left_alone(t, i))
        post_skip(t, i);
}

static bool needs_met(const struct mu_task *t, const struct mu_step *st)
{
    if (t->kind == MU_TASK_PAIR) /* of both, or they would be no pair */
        return true;
    for (size_t i = 0; i < st->n_needs; i++)
        for (size_t j = 0; j < t->step; j++)
            if (!strcmp(script_of(t)->steps[j].name, st->needs[i]) && t->step_status[j] != MU_ST_PASSED)
                return false;
    return true;
}

void mu_steps_skip_rest(struct mu_task *t)
{
    for (; t->step < script_of(t)->n_steps; t->step++)
        post_skipped(t, t->step);
}

/* Past the deadline nothing more is started, and the server says so once. */
static void note_deadline(struct mu_task *t)
{
    if (t->cancelled || mu_clock_ms() < t->deadline_ms)
        return;
    t->cancelled = true;
    for (size_t i = 0; i < t->n_failures; i++)
        if (!strcmp(t->failures[i].cause, "deadline passed"))
            return;
    t->phase = MU_PHASE_END; /* the failure belongs to no phase */
    mu_task_add_failure(t, MU_ST_TIMEOUT, "TimeoutError", NULL, "deadline passed", "the server's deadline passed between steps");
}

/* ---- one after the other ---- */

static int measure(struct mu_task *t)
{
    const struct mu_step *st = &script_of(t)->steps[t->step];
    char what[96];
    snprintf(what, sizeof what, "step %s", st->name);
    return mu_phase_start(t, MU_PHASE_STEP, st->timeout_ms, what);
}

/* The step's verdict is said, and the next one's turn has come. */
static void say_closed(struct mu_task *t)
{
    struct mu_ctx *ctx = mu_ctx_with_str(t->ctx, "step", script_of(t)->steps[t->step].name);
    struct mu_ctx *former = mu_ctx_enter(ctx);
    mu_log(MU_INFO, "Step finished: %s (%.1f s).", mu_status_name(t->step_status[t->step]), (double)t->step_took_ms / 1000.0);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    t->step++;
}

static void kept(struct mu_task *t)
{
    say_closed(t);
    mu_task_advance(t);
}

static struct mu_step_result *close_step(struct mu_task *t)
{
    struct mu_step_result *r = t->result;
    r->duration_ms = t->step_took_ms = mu_clock_ms() - t->step_started_ms;
    t->step_status[t->step] = r->status;
    if (r->status != MU_ST_PASSED && engine_of(t)->fail_fast)
        t->stop_steps = true;
    t->result = NULL;
    return r;
}

bool mu_steps_close(struct mu_task *t)
{
    t->phase = MU_PHASE_KEPT;
    if (mu_keep_step_take(t, close_step(t), kept))
        return true;
    say_closed(t);
    return false;
}

void mu_steps_close_at_once(struct mu_task *t)
{
    mu_post_step_take(t, close_step(t));
    say_closed(t);
}

bool mu_steps_next(struct mu_task *t)
{
    const struct mu_script *s = script_of(t);
    while (t->step < s->n_steps) {
        const struct mu_step *st = &s->steps[t->step];
        note_deadline(t);
        bool asked = is_asked(t, t->step);
        if ((is_left_alone(t, t->step) && !asked) || t->cancelled || t->stop_steps || is_withheld(t, t->step) || !needs_met(t, st)) {
            post_skipped(t, t->step++);
            continue;
        }
        t->result = mu_step_result_new(st->name);
        if (!t->result) {
            mu_task_add_failure(t, MU_ST_ERROR, NULL, NULL, "out of memory", "out of memory");
            return false;
        }
        t->result->started_ms = mu_clock_wall_ms();
        t->step_started_ms = mu_clock_ms();
        t->when_said_no = false;
        t->failures_before = t->n_failures;
        t->worst_before = t->worst;
        char what[96];
        snprintf(what, sizeof what, "step %s", st->name);
        bool ask = asked || (st->has_when && t->kind != MU_TASK_PAIR);
        if ((ask ? mu_phase_start(t, MU_PHASE_WHEN, st->timeout_ms, what) : measure(t)) == 0)
            return true;
        mu_steps_close_at_once(t);
    }
    return false;
}

bool mu_steps_after_when(struct mu_task *t)
{
    bool pair = script_of(t)->steps[t->step].pair;
    if (t->when_said_no || pair) {
        mu_step_result_free(t->result);
        t->result = NULL;
    }
    if (t->when_said_no) {
        mu_log(MU_DEBUG, "Step %s skipped: its when said no.", script_of(t)->steps[t->step].name);
        post_skip(t, t->step++);
        return false;
    }
    if (pair) { /* it takes part, and is paired when all have ended */
        t->step++;
        return false;
    }
    if (measure(t) == 0)
        return true;
    mu_steps_close_at_once(t);
    return false;
}

/* ---- measuring again ---- */

/* An operation on the server that failed is not made again for being sure, and a cancelled task begins nothing. */
static bool to_be_confirmed(const struct mu_task *t)
{
    const struct mu_step_result *r = t->result;
    if (r->status != MU_ST_FAILED || t->cancelled || r->measured > script_of(t)->steps[t->step].confirm)
        return false;
    for (size_t i = 0; i < r->n_failures; i++)
        if (r->failures[i].type && !strcmp(r->failures[i].type, "ServerOperationError"))
            return false;
    return true;
}

static void add_earlier(void *arg, const struct mu_reason *reason)
{
    struct mu_buf *text = arg;
    mu_buf_adds(text, text->len ? "; " : "");
    mu_reason_text(reason, text);
}

/* A fresh result in place of the one that failed, which lives on as text. */
static bool start_over(struct mu_task *t)
{
    struct mu_step_result *failed = t->result, *r = mu_step_result_new(failed->name);
    struct mu_buf earlier = MU_BUF_INIT;
    if (failed->earlier)
        mu_buf_adds(&earlier, failed->earlier);
    mu_reason_each_in_step(failed, add_earlier, &earlier);
    if (r)
        r->earlier = strdup(mu_buf_cstr(&earlier));
    mu_buf_free(&earlier);
    if (!r || !r->earlier) {
        mu_step_result_free(r);
        return false;
    }
    r->started_ms = failed->started_ms;
    r->measured = failed->measured + 1;
    r->log = failed->log;
    failed->log = (struct mu_buf)MU_BUF_INIT;
    mu_step_result_free(failed);
    t->result = r;
    mu_task_forget_failures(t, t->failures_before);
    t->worst = t->worst_before;
    return true;
}

/* It failed once and was not measured a second time: that is neither failed nor unreachable. */
static void not_confirmed(struct mu_task *t)
{
    struct mu_step_result *r = t->result;
    for (size_t i = 0; i < r->n_failures; i++)
        mu_failure_not_confirmed(&r->failures[i], r->earlier);
    for (size_t i = t->failures_before; i < t->n_failures; i++)
        mu_failure_not_confirmed(&t->failures[i], r->earlier);
    r->status = MU_ST_ERROR;
    t->worst = mu_status_worst(t->worst_before, MU_ST_ERROR);
    mu_log(MU_WARNING, "Could not be measured again; failed first: %s.", r->earlier);
}

bool mu_steps_again(struct mu_task *t)
{
    struct mu_ctx *ctx = mu_ctx_with_str(t->ctx, "step", t->result->name), *former = mu_ctx_enter(ctx);
    bool again = to_be_confirmed(t) && start_over(t);
    if (again) {
        mu_log(MU_WARNING, "Measuring again, since it failed: %s.", t->result->earlier);
        again = measure(t) == 0;
    }
    const struct mu_step_result *r = t->result;
    if (!again && r->measured > 1) {
        if (r->status == MU_ST_PASSED)
            mu_log(MU_INFO, "Passed when measured again; before that: %s.", r->earlier);
        else if (r->status != MU_ST_FAILED && r->status != MU_ST_CANCELLED)
            not_confirmed(t);
    }
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    return again;
}
