#include "run/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "results/reason.h"
#include "run/run_internal.h"

#define INTERRUPTED "interrupted before it was paired"
#define INTERRUPTED_ANEW "interrupted before it was paired anew"

static const struct mu_script *script_of(const struct mu_run *run) { return run->engine.script; }
static const char *id_of(const struct mu_run *run, size_t server) { return run->servers[server]->id; }

static bool is_part(const struct mu_run *run, size_t step)
{
    return script_of(run)->steps[step].pair && (!run->engine.only || run->engine.only[step]);
}

int mu_pairs_init(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    bool measures = !run->config.console && !run->config.dry_run && !run->config.left;
    for (size_t i = 0; measures && i < script_of(run)->n_steps; i++)
        p->wanted = p->wanted || is_part(run, i);
    if (!p->wanted)
        return 0;
    p->servers = calloc(run->n + 1, sizeof *p->servers);
    p->round = calloc(run->n + 1, sizeof *p->round);
    return p->servers && p->round ? 0 : MU_ENOMEM;
}

void mu_pairs_free(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    for (size_t i = 0; p->servers && i < run->n; i++)
        mu_task_result_clear(&p->servers[i].result);
    free(p->servers);
    free(p->round);
    *p = (struct mu_pairs){0};
}

/* ---- results ---- */

static struct mu_step_result *find_step(const struct mu_task_result *t, const char *name)
{
    for (size_t i = 0; i < t->n_steps; i++)
        if (!strcmp(t->steps[i].name, name))
            return &t->steps[i];
    return NULL;
}

/* Of a pair step that was dealt. */
static bool is_bad(const struct mu_step_result *s) { return s->status != MU_ST_PASSED && !s->withheld; }

static void say(struct mu_run *run, size_t server, const char *step, enum mu_level level, const char *what, const char *about)
{
    struct mu_ctx *of_server = mu_ctx_with_str(NULL, "server_id", id_of(run, server));
    struct mu_ctx *ctx = mu_ctx_with_str(of_server, "step", step), *former = mu_ctx_enter(ctx);
    mu_log(level, "%s%s", what, about);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    mu_ctx_unref(of_server);
}

/* A pair step that did not run, or did not end, in place of one that has no result. */
static struct mu_step_result *add_step(struct mu_task_result *t, const char *name, enum mu_status status, const char *why)
{
    struct mu_step_result *r = mu_step_result_new(name);
    if (!r)
        return NULL;
    r->status = MU_ST_SKIPPED;
    r->started_ms = mu_clock_wall_ms();
    if (why)
        mu_step_result_add_failure(r, status, NULL, NULL, why, why);
    return mu_task_result_add_step_take(t, r) ? NULL : &t->steps[t->n_steps - 1];
}

static void skip(struct mu_run *run, size_t server, enum mu_status status, const char *why)
{
    for (size_t i = 0; i < script_of(run)->n_steps; i++) {
        const struct mu_step *st = &script_of(run)->steps[i];
        if (!is_part(run, i))
            continue;
        bool withheld = st->destructive && !run->engine.allow_destructive;
        struct mu_step_result *r =
            add_step(&run->results->tasks[server], st->name, withheld ? MU_ST_SKIPPED : status, withheld ? MU_WITHHELD : why);
        if (r)
            r->withheld = withheld;
        if (r && !withheld)
            say(run, server, st->name, MU_WARNING, "Skipped: ", why);
    }
}

/* At the end of the first line; what follows is where it happened. */
static void name_partner(struct mu_step_result *s, const char *partner)
{
    for (size_t i = 0; i < s->n_failures; i++) {
        struct mu_failure *f = &s->failures[i];
        struct mu_buf text = MU_BUF_INIT;
        size_t line = f->message ? strcspn(f->message, "\n") : 0;
        if (f->message) {
            mu_buf_add(&text, f->message, line);
            mu_buf_addf(&text, ", with %s%s", partner, f->message + line);
        }
        char *now = f->message && !text.failed ? strdup(mu_buf_cstr(&text)) : NULL;
        if (now) {
            free(f->message);
            f->message = now;
        }
        mu_buf_free(&text);
    }
}

/* What a pair came to is told by its steps alone: those that never came are added, and what went wrong outside them is the
 * first's that did not pass. */
static void complete(struct mu_run *run, size_t first, struct mu_task_result *from)
{
    struct mu_step_result *blamed = NULL;
    for (size_t i = 0; i < script_of(run)->n_steps; i++) {
        const char *name = script_of(run)->steps[i].name;
        const struct mu_step_result *now = find_step(&run->results->tasks[first], name);
        if (is_part(run, i) && (!now || is_bad(now)) && !find_step(from, name))
            add_step(from, name, MU_ST_SKIPPED, NULL);
    }
    for (size_t i = from->n_steps; i-- > 0;)
        if (is_bad(&from->steps[i]) || !blamed)
            blamed = &from->steps[i];
    for (size_t i = 0; blamed && i < from->n_failures; i++) {
        const struct mu_failure *f = &from->failures[i];
        mu_step_result_add_failure(blamed, f->status, f->type, NULL, f->cause, f->message);
    }
}

struct adding {
    struct mu_buf *text;
    const char *partner;
};

static void add_earlier(void *arg, const struct mu_reason *reason)
{
    const struct adding *a = arg;
    mu_buf_adds(a->text, a->text->len ? "; " : "");
    mu_reason_text(reason, a->text);
    mu_buf_addf(a->text, ", with %s", a->partner);
}

/* The second result in place of the first, which lives on as text. */
static void replace(struct mu_run *run, size_t server, size_t former_partner, struct mu_step_result *first,
                    struct mu_step_result *second)
{
    struct mu_buf earlier = MU_BUF_INIT;
    mu_reason_each_in_step(first, add_earlier, &(struct adding){&earlier, id_of(run, former_partner)});
    if (!earlier.len) /* its pair broke off before it */
        mu_buf_addf(&earlier, "%s: not measured, with %s", first->name, id_of(run, former_partner));
    free(second->earlier);
    second->earlier = earlier.failed ? NULL : strdup(mu_buf_cstr(&earlier));
    mu_buf_free(&earlier);
    second->measured += first->measured;
    second->started_ms = first->started_ms;
    second->duration_ms += first->duration_ms;
    struct mu_step_result former = *first;
    *first = *second;
    *second = former; /* cleared with what it came from */
    bool passed = first->status == MU_ST_PASSED;
    say(run, server, first->name, passed ? MU_INFO : MU_WARNING,
        passed ? "Passed when paired anew; before that: " : "Paired anew, it did not pass either; before that: ",
        first->earlier ? first->earlier : "");
}

/* The pair's result is about this server. The same may be taken by both. */
static void take(struct mu_run *run, size_t server, size_t partner, const struct mu_task_result *from)
{
    struct mu_pairs_server *s = &run->pairs.servers[server];
    struct mu_task_result *t = &run->results->tasks[server];
    bool bad = false, cancelled = false;
    for (size_t i = 0; i < from->n_steps; i++) {
        struct mu_step_result *now = find_step(t, from->steps[i].name), *r = mu_step_result_copy(&from->steps[i]);
        bad = bad || is_bad(&from->steps[i]);
        cancelled = cancelled || from->steps[i].status == MU_ST_CANCELLED;
        if (!r)
            continue;
        name_partner(r, id_of(run, partner));
        if (now) {
            replace(run, server, s->partner, now, r);
            mu_step_result_free(r);
        } else {
            mu_task_result_add_step_take(t, r);
        }
    }
    t->duration_ms += from->duration_ms;
    s->good = !bad;
    s->doubted = s->tries == 0 && bad && !cancelled;
    s->partner = partner;
    s->tries++;
}

/* ---- who is fit ---- */

static bool needs_met(const struct mu_task_result *t, const struct mu_step *st)
{
    for (size_t i = 0; i < st->n_needs; i++) {
        const struct mu_step_result *needed = find_step(t, st->needs[i]);
        if (!needed || needed->status != MU_ST_PASSED)
            return false;
    }
    return true;
}

/* NULL: it may be paired. In words that fold over servers. */
static const char *why_not(const struct mu_run *run, const struct mu_task_result *t)
{
    for (size_t i = 0; i < t->n_steps; i++)
        if (t->steps[i].status == MU_ST_UNREACHABLE)
            return "not paired: it was unreachable";
    for (size_t i = 0; i < t->n_failures; i++)
        return t->failures[i].status == MU_ST_UNREACHABLE ? "not paired: it was unreachable" : "not paired: its own task broke off";
    for (size_t i = 0; i < t->n_steps; i++)
        if (t->steps[i].status == MU_ST_CANCELLED)
            return "not paired: its own task broke off";
    if (run->engine.fail_fast && t->status != MU_ST_PASSED && t->status != MU_ST_SKIPPED)
        return "not paired: an earlier step did not pass (--fail-fast)";
    for (size_t i = 0; i < script_of(run)->n_steps; i++)
        if (is_part(run, i) && !needs_met(t, &script_of(run)->steps[i]))
            return "not paired: a step that is needed did not pass";
    return NULL;
}

/* ---- rounds ---- */

static void add_pair(struct mu_pairs *p, size_t first, size_t second, bool helps)
{
    p->round[p->n_round++] = (struct mu_pair){first, second, helps, false};
}

static void form_first(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t before = run->n, fit = 0;
    for (size_t i = 0; i < run->n; i++) {
        const char *why = why_not(run, &run->results->tasks[i]);
        p->servers[i].fit = !why;
        fit += !why;
        if (why)
            skip(run, i, MU_ST_SKIPPED, why);
    }
    for (size_t i = 0; i < run->n; i++) {
        if (!p->servers[i].fit)
            continue;
        if (fit == 1) {
            skip(run, i, MU_ST_SKIPPED, "no other server to pair with");
            p->servers[i].fit = false;
        } else if (before == run->n) {
            before = i;
        } else {
            add_pair(p, before, i, false);
            before = run->n;
        }
    }
    p->odd = fit > 1 ? before : run->n;
}

/* Whom to pair a server with that was paired before, or is the odd one; run->n: nobody. `at` goes round among the good. */
static size_t find_good(const struct mu_run *run, size_t server, size_t *at)
{
    const struct mu_pairs_server *s = run->pairs.servers;
    for (size_t i = 0; i < run->n; i++) {
        size_t candidate = (*at + i) % run->n;
        if (candidate == server || !s[candidate].good || (s[server].tries && s[server].partner == candidate))
            continue;
        *at = candidate + 1;
        return candidate;
    }
    return run->n;
}

/* Nobody is good: then it is the odd one that may be, and shows who else is. It is paired with anyone. */
static bool try_odd(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t odd = p->odd;
    for (size_t i = 0; i < run->n; i++)
        if (p->servers[i].good)
            return false;
    if (odd == run->n || p->servers[odd].tries > 1 || (p->servers[odd].tries && !p->servers[odd].doubted))
        return false;
    for (size_t i = 0; i < run->n; i++) {
        if (i == odd || !p->servers[i].fit || (p->servers[odd].tries && p->servers[odd].partner == i))
            continue;
        add_pair(p, odd, i, true);
        return true;
    }
    return false;
}

static void form_next(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t at = 0, anew = 0;
    if (try_odd(run))
        return;
    for (size_t i = 0; i < run->n; i++) {
        struct mu_pairs_server *s = &p->servers[i];
        if (!s->fit || (s->tries && !s->doubted))
            continue;
        size_t partner = find_good(run, i, &at);
        if (partner < run->n)
            add_pair(p, i, partner, true);
        else
            s->doubted = false; /* it stands */
        anew += s->tries && partner < run->n;
    }
    if (anew)
        mu_log(MU_WARNING, "%zu server%s paired anew, since %s not do well with the first partner.", anew, anew == 1 ? " is" : "s are",
               anew == 1 ? "it did" : "they did");
}

/* The round that was is over, or there was none. */
static void form(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    p->n_round = p->n_dealt = p->n_ended = 0;
    if (run->interrupts_seen)
        return;
    if (!p->formed)
        form_first(run);
    p->formed = true;
    if (!p->n_round)
        form_next(run);
    p->over = p->n_round == 0;
}

void mu_pairs_own_ended(struct mu_run *run)
{
    if (run->pairs.wanted && ++run->pairs.own_ended == run->n)
        form(run);
}

bool mu_pairs_over(const struct mu_run *run) { return run->pairs.over; }

/* ---- one pair ---- */

/* What the first was doubted for: steps, and why. */
static struct mu_repeat *repeat_of(struct mu_run *run, size_t server)
{
    const struct mu_script *script = script_of(run);
    struct mu_buf why = MU_BUF_INIT;
    for (size_t i = 0; i < script->n_steps; i++) {
        const struct mu_step_result *r = is_part(run, i) ? find_step(&run->results->tasks[server], script->steps[i].name) : NULL;
        if (r && is_bad(r))
            mu_reason_each_in_step(r, add_earlier, &(struct adding){&why, id_of(run, run->pairs.servers[server].partner)});
    }
    struct mu_repeat *repeat = mu_repeat_new(script->n_steps, mu_buf_cstr(&why));
    mu_buf_free(&why);
    for (size_t i = 0; repeat && i < script->n_steps; i++) {
        const struct mu_step_result *r = is_part(run, i) ? find_step(&run->results->tasks[server], script->steps[i].name) : NULL;
        repeat->steps[i] = r && is_bad(r);
    }
    return repeat;
}

bool mu_pairs_next(struct mu_run *run, size_t *first, size_t *second, struct mu_repeat **repeat)
{
    struct mu_pairs *p = &run->pairs;
    *repeat = NULL;
    for (size_t i = 0; p->n_dealt < p->n_round && i < p->n_round; i++) {
        struct mu_pair *pair = &p->round[i];
        if (pair->dealt || p->servers[pair->first].busy || p->servers[pair->second].busy)
            continue;
        if (p->servers[pair->first].tries && !(*repeat = repeat_of(run, pair->first)))
            return false; /* tried again with the next message */
        pair->dealt = true;
        p->n_dealt++;
        p->servers[pair->first].busy = p->servers[pair->second].busy = true;
        *first = pair->first;
        *second = pair->second;
        return true;
    }
    return false;
}

struct mu_task_result *mu_pairs_result(struct mu_run *run, size_t first) { return &run->pairs.servers[first].result; }

void mu_pairs_done(struct mu_run *run, size_t first, size_t second)
{
    struct mu_pairs *p = &run->pairs;
    struct mu_task_result *from = mu_pairs_result(run, first);
    bool helps = false;
    for (size_t i = 0; i < p->n_round; i++)
        helps = helps || (p->round[i].first == first && p->round[i].helps);
    complete(run, first, from);
    take(run, first, second, from);
    if (!helps)
        take(run, second, first, from);
    mu_task_result_clear(from);
    p->servers[first].busy = p->servers[second].busy = false;
    if (++p->n_ended == p->n_round)
        form(run);
}

/* ---- the end ---- */

static void not_anew(struct mu_run *run, size_t server)
{
    struct mu_task_result *t = &run->results->tasks[server];
    for (size_t i = 0; i < script_of(run)->n_steps; i++) {
        struct mu_step_result *now = is_part(run, i) ? find_step(t, script_of(run)->steps[i].name) : NULL;
        struct mu_step_result *r = now && is_bad(now) ? mu_step_result_new(now->name) : NULL;
        if (!r)
            continue;
        mu_step_result_add_failure(r, MU_ST_CANCELLED, NULL, NULL, INTERRUPTED_ANEW, INTERRUPTED_ANEW);
        r->measured = 0;
        replace(run, server, run->pairs.servers[server].partner, now, r);
        mu_step_result_free(r);
    }
}

void mu_pairs_end(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    for (size_t i = 0; p->wanted && !p->over && i < run->n; i++) {
        struct mu_pairs_server *s = &p->servers[i];
        if (s->doubted)
            not_anew(run, i);
        else if (run->results->tasks[i].finished && !s->tries && (!p->formed || s->fit))
            skip(run, i, MU_ST_CANCELLED, INTERRUPTED);
    }
}
