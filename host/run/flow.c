/* Which phase comes next, for each kind of task. */
#include "core/clock.h"
#include "run/console.h"
#include "run/engine.h"
#include "run/fleet.h"
#include "run/phase.h"
#include "run/task.h"
#include "run/worker.h"

static const struct mu_engine *engine_of(const struct mu_task *t) { return t->worker->engine; }
static const struct mu_script *script_of(const struct mu_task *t) { return t->worker->engine->script; }

/* ---- each returns false when the phase is none of this task's, or could not begin ---- */

/* A server's own task that has nothing to measure, since all is measured in pairs, does nothing to it either. */
static bool setup(struct mu_task *t)
{
    if (script_of(t)->has_setup && (t->kind != MU_TASK_RUN || mu_steps_has_own(t)) && mu_phase_start(t, MU_PHASE_SETUP, engine_of(t)->setup_timeout_ms, "setup") == 0)
        return true;
    t->phase = MU_PHASE_SETUP;
    return false;
}

static bool on_failure(struct mu_task *t)
{
    return script_of(t)->has_on_failure && t->n_failures && !t->cancelled &&
           mu_phase_start(t, MU_PHASE_ON_FAILURE, engine_of(t)->teardown_timeout_ms, "on_failure") == 0;
}

static bool teardown(struct mu_task *t)
{
    struct mu_remote *r = t->of_peer ? &t->peer : &t->remote;
    if (!script_of(t)->has_teardown || (t->kind == MU_TASK_RUN && !mu_steps_has_own(t)))
        return false;
    if (r->state == MU_REMOTE_LOST)
        mu_remote_reset(r); /* it may be back */
    return mu_phase_start(t, MU_PHASE_TEARDOWN, engine_of(t)->teardown_timeout_ms, "teardown") == 0;
}

/* An earlier attempt was cut off: what its claim stands for is destroyed before anything is set up anew. That is not to
 * cost this one its time. */
static bool tidy(struct mu_task *t)
{
    if (!t->claim.data || !teardown(t))
        return false;
    mu_log(MU_INFO, "Destroying what an earlier attempt left behind.");
    t->tidies = true;
    t->tidied_ms = mu_clock_ms();
    return true;
}

static void tidied(struct mu_task *t)
{
    t->tidies = false;
    t->deadline_ms += mu_clock_ms() - t->tidied_ms;
    mu_remote_disconnect(&t->remote); /* whom teardown spoke to, or could not reach, is not there any more */
    t->stop_steps = false;
}

/* ---- the kinds; each returns false when nothing is left to do ---- */

static bool run(struct mu_task *t)
{
    bool ok = t->phase_error.code == 0;
    switch (t->phase) {
    case MU_PHASE_LOAD:
        if (!ok || t->cancelled)
            return false;
        if (tidy(t) || setup(t))
            return true;
        ok = t->phase_error.code == 0;
        /* fallthrough */
    case MU_PHASE_SETUP:
        if (!ok)
            t->stop_steps = true;
        break;
    case MU_PHASE_WHEN:
        if (ok ? mu_steps_after_when(t) : mu_steps_close(t))
            return true;
        break;
    case MU_PHASE_STEP:
        if (mu_steps_again(t) || mu_steps_close(t))
            return true;
        break;
    case MU_PHASE_KEPT:
        break;
    case MU_PHASE_ON_FAILURE:
        return teardown(t);
    case MU_PHASE_TEARDOWN:
        if (!t->tidies || t->killed)
            return false;
        tidied(t);
        if (ok && t->cancelled) /* meanwhile, and so teardown was not; nothing else tells of it */
            mu_task_add_failure(t, MU_ST_CANCELLED, NULL, NULL, "interrupted", "interrupted");
        if (!ok || t->cancelled)
            return false; /* nothing was begun that could be taken back */
        if (setup(t))
            return true;
        t->stop_steps = t->phase_error.code != 0;
        break;
    case MU_PHASE_MARK:
    case MU_PHASE_CONSOLE:
    case MU_PHASE_BEFORE_ALL:
    case MU_PHASE_AFTER_ALL:
    case MU_PHASE_END:
        return false;
    }
    return mu_steps_next(t) || on_failure(t) || teardown(t);
}

/* A hook of one of the two, then of the other. */
static bool of(struct mu_task *t, bool peer, bool (*hook)(struct mu_task *t))
{
    t->of_peer = peer;
    if ((!peer || t->peer_began) && hook(t))
        return true;
    t->of_peer = false;
    return false;
}

/* Without confirming: who is doubted is paired anew. */
static bool pair(struct mu_task *t)
{
    bool ok = t->phase_error.code == 0, peer = t->of_peer;
    t->of_peer = false;
    switch (t->phase) {
    case MU_PHASE_LOAD:
        if (!ok || t->cancelled)
            return false;
        if (of(t, false, setup))
            return true;
        ok = t->phase_error.code == 0;
        t->peer_began = true; /* there is no setup, or it could not begin; then neither can the other's */
        peer = true;
        /* fallthrough */
    case MU_PHASE_SETUP:
        if (!ok)
            t->stop_steps = true;
        else if (!peer && !t->cancelled) {
            t->peer_began = true;
            if (of(t, true, setup))
                return true;
        }
        break;
    case MU_PHASE_STEP:
        if (mu_steps_close(t))
            return true;
        break;
    case MU_PHASE_KEPT:
        break;
    case MU_PHASE_ON_FAILURE:
        return (!peer && of(t, true, on_failure)) || of(t, false, teardown) || of(t, true, teardown);
    case MU_PHASE_TEARDOWN:
        return !peer && of(t, true, teardown);
    default:
        return false; /* ended at once */
    }
    return mu_steps_next(t) || of(t, false, on_failure) || of(t, false, teardown) || of(t, true, teardown);
}

static bool mark(struct mu_task *t)
{
    bool loaded = t->phase == MU_PHASE_LOAD && !t->phase_error.code;
    return (loaded || t->phase == MU_PHASE_MARK) && mu_mark_start(t);
}

static bool cleanup(struct mu_task *t)
{
    return t->phase == MU_PHASE_LOAD && !t->phase_error.code && !t->cancelled && teardown(t);
}

/* What a hook makes of a server that nothing was done to is shown to the end, also when an earlier one refused. */
static bool dry(struct mu_task *t)
{
    if (t->cancelled || (t->phase == MU_PHASE_LOAD && t->phase_error.code))
        return false;
    switch (t->phase) {
    case MU_PHASE_LOAD:
        if (setup(t))
            return true;
        /* fallthrough */
    case MU_PHASE_SETUP:
        mu_steps_skip_rest(t);
        if (teardown(t))
            return true;
        /* fallthrough */
    case MU_PHASE_TEARDOWN:
        return mu_mark_start(t);
    default:
        return false;
    }
}

void mu_task_advance(struct mu_task *t)
{
    bool goes_on = false;
    switch (t->kind) {
    case MU_TASK_RUN:
    case MU_TASK_AGAIN:
        goes_on = run(t);
        break;
    case MU_TASK_PAIR:
        goes_on = pair(t);
        break;
    case MU_TASK_MARK:
        goes_on = mark(t);
        break;
    case MU_TASK_CLEANUP:
        goes_on = cleanup(t);
        break;
    case MU_TASK_CONSOLE:
        goes_on = mu_console_advance(t);
        break;
    case MU_TASK_DRY:
        goes_on = dry(t);
        break;
    case MU_TASK_BEFORE_ALL:
    case MU_TASK_AFTER_ALL:
        goes_on = mu_fleet_start(t);
        break;
    }
    if (!goes_on)
        mu_task_end(t);
}
