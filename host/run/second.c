#include "run/second.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "results/confirm.h"
#include "results/peers.h"
#include "run/run_internal.h"

#define BEFORE_AGAIN "interrupted before it was measured again"
#define BEFORE_ALL "the run was interrupted"

struct mu_repeat *mu_repeat_new(size_t n_steps, const char *why)
{
    struct mu_repeat *r = calloc(1, sizeof *r + n_steps * sizeof *r->steps);
    if (r && !(r->why = strdup(why))) {
        free(r);
        return NULL;
    }
    if (r)
        r->n = n_steps;
    return r;
}

void mu_repeat_free(struct mu_repeat *r)
{
    if (!r)
        return;
    free(r->why);
    free(r);
}

int mu_second_init(struct mu_run *run)
{
    struct mu_second *s = &run->second;
    size_t n = run->n ? run->n : 1;
    s->waits = calloc(n, sizeof *s->waits);
    s->servers = calloc(n, sizeof(struct mu_second_server *));
    s->queue = calloc(n, sizeof *s->queue);
    return s->waits && s->servers && s->queue ? 0 : MU_ENOMEM;
}

void mu_second_free(struct mu_run *run)
{
    struct mu_second *s = &run->second;
    for (size_t i = 0; s->servers && i < run->n; i++) {
        if (s->servers[i])
            mu_task_result_clear(&s->servers[i]->result);
        free(s->servers[i]);
    }
    free(s->waits);
    free(s->servers);
    free(s->queue);
    mu_cohorts_free(s->cohorts);
    *s = (struct mu_second){0};
}

/* ---- what is asked of results and script ---- */

static bool variable(void *arg, size_t server, const char *name, struct mu_buf *out)
{
    const struct mu_var *var = mu_server_var(((struct mu_run *)arg)->servers[server], name);
    if (var)
        mu_var_text(var, out);
    return var != NULL;
}

static size_t step_index(const struct mu_script *s, const char *name)
{
    size_t i = 0;
    while (i < s->n_steps && strcmp(s->steps[i].name, name) != 0)
        i++;
    return i;
}

static struct mu_step_result *find_step(struct mu_task_result *t, const char *name)
{
    for (size_t i = 0; i < t->n_steps; i++)
        if (!strcmp(t->steps[i].name, name))
            return &t->steps[i];
    return NULL;
}

/* Lines of the main thread about one server's step carry both, as those of its task did. */
static void say(struct mu_run *run, size_t server, const char *step, enum mu_level level, const char *what, const char *about)
{
    struct mu_ctx *of_server = mu_ctx_with_str(NULL, "server_id", run->servers[server]->id);
    struct mu_ctx *ctx = mu_ctx_with_str(of_server, "step", step), *former = mu_ctx_enter(ctx);
    mu_log(level, "%s%s", what, about);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    mu_ctx_unref(of_server);
}

/* ---- verdicts ---- */

static void settle(struct mu_run *run, size_t server)
{
    struct mu_task_result *t = &run->results->tasks[server];
    for (size_t i = 0; i < t->n_steps; i++) {
        struct mu_step_result *s = &t->steps[i];
        size_t before = s->n_failures;
        mu_peers_settle(s);
        for (size_t k = before; k < s->n_failures; k++)
            say(run, server, s->name, MU_ERROR, "Benchmark failed: PerformanceBelowExpected: ",
                s->failures[k].message ? s->failures[k].message : "");
    }
}

static void make_final(struct mu_run *run, size_t server, void (*final)(struct mu_run *, size_t))
{
    run->second.waiting--;
    run->second.waits[server] = false;
    mu_task_result_settle(&run->results->tasks[server]);
    final(run, server);
}

static void give_up(struct mu_run *run, size_t server, const char *why, void (*final)(struct mu_run *, size_t))
{
    struct mu_task_result *t = &run->results->tasks[server];
    for (size_t i = 0; i < t->n_steps; i++)
        mu_peers_void(&t->steps[i], why);
    settle(run, server); /* what passed */
    make_final(run, server, final);
}

/* ---- who is measured once more ---- */

/* How often the steps that were missed may still be measured again: as often as the one that may least. */
static unsigned tries_left(const struct mu_run *run, size_t server)
{
    const struct mu_task_result *t = &run->results->tasks[server];
    const struct mu_second_server *s = run->second.servers[server];
    unsigned least = UINT_MAX, made = s ? s->tries : 0;
    for (size_t i = 0; i < t->n_steps; i++) {
        size_t step = step_index(run->engine.script, t->steps[i].name);
        if (mu_peers_missed(&t->steps[i]) && step < run->engine.script->n_steps &&
            run->engine.script->steps[step].confirm_peers < least)
            least = run->engine.script->steps[step].confirm_peers;
    }
    return least > made ? least - made : 0;
}

static bool missed_any(const struct mu_task_result *t)
{
    for (size_t i = 0; i < t->n_steps; i++)
        if (mu_peers_missed(&t->steps[i]))
            return true;
    return false;
}

/* The server has been compared: it is final, or measured once more. */
static void decide(struct mu_run *run, size_t server, void (*final)(struct mu_run *, size_t))
{
    struct mu_task_result *t = &run->results->tasks[server];
    struct mu_second *s = &run->second;
    mu_task_result_settle(t);
    /* Who has failed by itself already is not measured again for being sure of more. */
    if (!missed_any(t) || t->status == MU_ST_FAILED || !tries_left(run, server)) {
        settle(run, server);
        make_final(run, server, final);
        return;
    }
    const char *why_not = NULL;
    if (run->interrupts_seen)
        why_not = BEFORE_AGAIN;
    else if (mu_claims_data(run->claims, server))
        why_not = "what it installed is still there, so it was not measured again";
    else if (!s->servers[server] && !(s->servers[server] = calloc(1, sizeof **s->servers)))
        why_not = "out of memory";
    if (why_not) {
        give_up(run, server, why_not, final);
        return;
    }
    s->queue[(s->n_queue++) % run->n] = server; /* each server is there once at most */
}

static void judge_all(struct mu_run *run, void (*final)(struct mu_run *, size_t))
{
    struct mu_second *s = &run->second;
    s->judged = true;
    bool ok = mu_cohorts_new(&s->cohorts, run->results, variable, run) == 0;
    for (size_t i = 0; ok && i < run->n; i++)
        for (size_t j = 0; !s->waits[i] && mu_records_has(run, i) && j < run->results->tasks[i].n_steps; j++)
            mu_cohorts_restore(s->cohorts, &run->results->tasks[i].steps[j]);
    for (size_t i = 0; i < run->n; i++) {
        struct mu_task_result *t = &run->results->tasks[i];
        for (size_t j = 0; ok && s->waits[i] && j < t->n_steps; j++)
            mu_cohorts_judge(s->cohorts, i, &t->steps[j], variable, run);
        if (s->waits[i] && ok)
            decide(run, i, final);
        else if (s->waits[i])
            give_up(run, i, "out of memory", final);
    }
    if (s->n_queue)
        mu_log(MU_WARNING, "%zu server%s measured again, since %s behind %s peers.", s->n_queue,
               s->n_queue == 1 ? " is" : "s are", s->n_queue == 1 ? "it is" : "they are", s->n_queue == 1 ? "its" : "their");
}

bool mu_second_is_open(const struct mu_task_result *t)
{
    for (size_t i = 0; i < t->n_steps; i++)
        for (size_t j = 0; j < t->steps[i].n_metrics; j++) {
            const char *note = t->steps[i].metrics[j].peers.note;
            if (note && (!strcmp(note, BEFORE_ALL) || !strcmp(note, BEFORE_AGAIN)))
                return true;
        }
    return false;
}

bool mu_second_waits(struct mu_run *run, size_t server)
{
    const struct mu_task_result *t = &run->results->tasks[server];
    for (size_t i = 0; i < t->n_steps; i++)
        if (mu_peers_any(&t->steps[i])) {
            run->second.waiting++;
            run->second.waits[server] = true;
            return true;
        }
    return false;
}

void mu_second_check(struct mu_run *run, void (*final)(struct mu_run *, size_t))
{
    /* Interrupted, the first measurements are not all there. */
    if (run->second.waiting && !run->second.judged && !run->interrupts_seen && run->done + run->second.waiting == run->n)
        judge_all(run, final);
}

/* ---- once more ---- */

/* The steps that were missed, and what they need. Steps are needed by later ones alone, so one pass backwards is enough. */
static void choose_steps(const struct mu_run *run, const struct mu_task_result *t, struct mu_repeat *r)
{
    const struct mu_script *s = run->engine.script;
    for (size_t i = 0; i < t->n_steps; i++) {
        size_t step = step_index(s, t->steps[i].name);
        if (step < r->n && mu_peers_missed(&t->steps[i]))
            r->steps[step] = true;
    }
    for (size_t i = s->n_steps; i-- > 0;)
        for (size_t k = 0; r->steps[i] && k < s->steps[i].n_needs; k++)
            r->steps[step_index(s, s->steps[i].needs[k])] = true;
}

bool mu_second_next(struct mu_run *run, size_t *server, struct mu_repeat **repeat)
{
    struct mu_second *s = &run->second;
    struct mu_buf why = MU_BUF_INIT;
    if (s->n_dealt == s->n_queue)
        return false;
    *server = s->queue[s->n_dealt % run->n];
    struct mu_task_result *t = &run->results->tasks[*server];
    for (size_t i = 0; i < t->n_steps; i++)
        mu_peers_reasons(&t->steps[i], &why);
    *repeat = mu_repeat_new(run->engine.script->n_steps, mu_buf_cstr(&why));
    mu_buf_free(&why);
    if (!*repeat)
        return false; /* tried again with the next message */
    choose_steps(run, t, *repeat);
    s->n_dealt++;
    s->servers[*server]->tries++;
    return true;
}

struct mu_task_result *mu_second_result(struct mu_run *run, size_t server) { return &run->second.servers[server]->result; }

/* What went wrong outside steps is the server's, as if it had been the first time. */
static void keep_failures(struct mu_task_result *t, const struct mu_task_result *from, bool first_is_told)
{
    for (size_t i = 0; i < from->n_failures; i++) {
        const struct mu_failure *f = &from->failures[i];
        bool told = i == 0 && first_is_told && f->status != MU_ST_FAILED;
        if (f->status != MU_ST_CANCELLED && !told)
            mu_task_result_add_failure(t, f->status, f->type, f->where, f->cause, f->message);
    }
}

/* The first measurement stays, but it is an error that there is no second one. True when that tells of from's first failure. */
static bool not_measured(struct mu_run *run, size_t server, struct mu_step_result *first, const struct mu_step_result *second,
                         const struct mu_task_result *from, const char *earlier)
{
    bool own = second && second->n_failures;
    const struct mu_failure *f = own ? &second->failures[0] : from->n_failures ? &from->failures[0] : NULL;
    const char *cause = f && f->cause ? f->cause : "skipped", *message = f && f->message ? f->message : "skipped";
    mu_peers_void(first, "it could not be measured again");
    if (mu_step_result_add_failure(first, MU_ST_ERROR, f ? f->type : NULL, NULL, cause, message) == 0)
        mu_failure_not_confirmed(&first->failures[first->n_failures - 1], earlier);
    say(run, server, first->name, MU_WARNING, "Could not be measured again; failed first: ", earlier);
    return f && !own;
}

static bool cancelled(const struct mu_run *run, const struct mu_task_result *from, const struct mu_step_result *second)
{
    bool any = second && second->status == MU_ST_CANCELLED;
    for (size_t i = 0; i < from->n_failures; i++)
        any = any || from->failures[i].status == MU_ST_CANCELLED;
    return any || (run->interrupts_seen && (!second || second->status == MU_ST_SKIPPED));
}

/* The second result in place of the first, which lives on as text. */
static void replace(struct mu_run *run, size_t server, struct mu_step_result *first, struct mu_step_result *second, struct mu_buf *earlier)
{
    if (second->earlier)
        mu_buf_addf(earlier, "; %s", second->earlier);
    free(second->earlier);
    second->earlier = earlier->failed ? NULL : strdup(mu_buf_cstr(earlier));
    second->measured += first->measured;
    second->started_ms = first->started_ms;
    second->duration_ms += first->duration_ms;
    struct mu_step_result former = *first;
    *first = *second;
    *second = former; /* cleared with what it came from */
    if (!mu_cohorts_judge(run->second.cohorts, server, first, variable, run) && first->status == MU_ST_PASSED)
        say(run, server, first->name, MU_INFO, "Passed when measured again; before that: ", first->earlier ? first->earlier : "");
}

static bool take_over(struct mu_run *run, size_t server, struct mu_step_result *first)
{
    struct mu_task_result *from = mu_second_result(run, server);
    struct mu_step_result *second = find_step(from, first->name);
    struct mu_buf earlier = MU_BUF_INIT;
    bool told = false;
    if (first->earlier)
        mu_buf_adds(&earlier, first->earlier);
    mu_peers_reasons(first, &earlier);
    if (cancelled(run, from, second))
        mu_peers_void(first, BEFORE_AGAIN);
    else if (!second || (second->status != MU_ST_PASSED && second->status != MU_ST_FAILED))
        told = not_measured(run, server, first, second, from, mu_buf_cstr(&earlier));
    else
        replace(run, server, first, second, &earlier);
    mu_buf_free(&earlier);
    return told;
}

void mu_second_done(struct mu_run *run, size_t server, void (*final)(struct mu_run *, size_t))
{
    struct mu_task_result *t = &run->results->tasks[server], *from = mu_second_result(run, server);
    bool told = false;
    for (size_t i = 0; i < t->n_steps; i++)
        if (mu_peers_missed(&t->steps[i]))
            told = take_over(run, server, &t->steps[i]) || told;
    keep_failures(t, from, told);
    t->duration_ms += from->duration_ms;
    mu_task_result_clear(from);
    decide(run, server, final);
}

void mu_second_end(struct mu_run *run, void (*final)(struct mu_run *, size_t))
{
    for (size_t i = 0; run->second.waiting && i < run->n; i++)
        if (run->second.waits[i])
            give_up(run, i, run->second.judged ? BEFORE_AGAIN : BEFORE_ALL, final);
}
