#include "run/pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "run/pair_results.h"
#include "run/run_internal.h"

#define INTERRUPTED "interrupted before it was paired"
#define INTERRUPTED_ANEW "interrupted before it was paired anew"

static const struct mu_script *script_of(const struct mu_run *run) { return run->engine.script; }
static const char *id_of(const struct mu_run *run, size_t server) { return run->servers[server]->id; }

/* It stands for a good server, and is measured in pairs alone. */
static bool is_lent(const struct mu_run *run, size_t server) { return run->config.lends_last && server == run->n - 1; }

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
    run->engine.pairs = true;
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

/* step NULL: of the server. */
static void say(const struct mu_run *run, size_t server, const char *step, enum mu_level level, const char *what, const char *about)
{
    struct mu_ctx *of_server = mu_ctx_with_str(NULL, "server_id", id_of(run, server));
    struct mu_ctx *ctx = step ? mu_ctx_with_str(of_server, "step", step) : mu_ctx_ref(of_server), *former = mu_ctx_enter(ctx);
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
        if (!is_part(run, i) || mu_pair_find_step(&run->results->tasks[server], st->name))
            continue;
        bool withheld = st->destructive && !run->engine.allow_destructive;
        struct mu_step_result *r =
            add_step(&run->results->tasks[server], st->name, withheld ? MU_ST_SKIPPED : status, withheld ? MU_WITHHELD : why);
        if (r)
            r->withheld = withheld;
        if (r && !withheld && why)
            say(run, server, st->name, MU_WARNING, "Skipped: ", why);
    }
}

/* What a pair came to is told by its steps alone: those that never came are added, and what went wrong outside them is the
 * first's that did not pass. */
static void complete(struct mu_run *run, size_t first, struct mu_task_result *from)
{
    struct mu_step_result *blamed = NULL;
    for (size_t i = 0; i < script_of(run)->n_steps; i++) {
        const char *name = script_of(run)->steps[i].name;
        const struct mu_step_result *now = mu_pair_find_step(&run->results->tasks[first], name);
        if (is_part(run, i) && (!now || mu_pair_is_bad(now)) && !mu_pair_find_step(from, name))
            add_step(from, name, MU_ST_SKIPPED, NULL);
    }
    for (size_t i = from->n_steps; i-- > 0;)
        if (mu_pair_is_bad(&from->steps[i]) || !blamed)
            blamed = &from->steps[i];
    for (size_t i = 0; blamed && i < from->n_failures; i++) {
        const struct mu_failure *f = &from->failures[i];
        mu_step_result_add_failure(blamed, f->status, f->type, NULL, f->cause, f->message);
    }
}

/* The second result in place of the first, which lives on as text. */
static void replace(struct mu_run *run, size_t server, size_t former_partner, struct mu_step_result *first,
                    struct mu_step_result *second)
{
    struct mu_buf earlier = MU_BUF_INIT;
    if (first->earlier)
        mu_buf_adds(&earlier, first->earlier);
    size_t before = earlier.len;
    mu_pair_add_reasons(first, id_of(run, former_partner), &earlier);
    if (earlier.len == before && mu_pair_is_bad(first)) /* its pair broke off before it */
        mu_buf_addf(&earlier, "%s%s: not measured, with %s", before ? "; " : "", first->name, id_of(run, former_partner));
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
        struct mu_step_result *now = mu_pair_find_step(t, from->steps[i].name), *r;
        if (now && !mu_pair_is_bad(now))
            continue; /* it was good with the other one */
        r = mu_step_result_copy(&from->steps[i]);
        bad = bad || mu_pair_is_bad(&from->steps[i]);
        cancelled = cancelled || from->steps[i].status == MU_ST_CANCELLED;
        if (!r)
            continue;
        mu_pair_name_partner(r, id_of(run, partner));
        if (now) {
            replace(run, server, s->partner, now, r);
            mu_step_result_free(r);
        } else {
            mu_task_result_add_step_take(t, r);
        }
    }
    t->duration_ms += from->duration_ms;
    s->good = !bad;
    s->told = run->pairs.servers[partner].good;
    s->doubted = bad && !cancelled && (!s->told || s->tries == 0);
    s->partner = partner;
    s->tries++;
}

/* ---- who is fit ---- */

static bool needs_met(const struct mu_task_result *t, const struct mu_step *st)
{
    for (size_t i = 0; i < st->n_needs; i++) {
        const struct mu_step_result *needed = mu_pair_find_step(t, st->needs[i]);
        if (!needed || needed->status != MU_ST_PASSED)
            return false;
    }
    return true;
}

/* What its own task made of a pair step: its `when` said no, or did not work. NULL: it takes part. */
static const struct mu_step_result *declined(const struct mu_run *run, const struct mu_task_result *t)
{
    for (size_t i = 0; i < t->n_steps; i++)
        for (size_t j = 0; j < script_of(run)->n_steps; j++)
            if (is_part(run, j) && !strcmp(t->steps[i].name, script_of(run)->steps[j].name))
                return &t->steps[i];
    return NULL;
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
        if (is_lent(run, i)) {
            p->servers[i].good = true;
            continue;
        }
        const struct mu_task_result *t = &run->results->tasks[i];
        const struct mu_step_result *no = declined(run, t);
        const char *why = !no ? why_not(run, t) : no->status == MU_ST_SKIPPED ? NULL : "not paired: its when did not work";
        p->servers[i].fit = !no && !why;
        fit += !no && !why;
        if (no || why)
            skip(run, i, MU_ST_SKIPPED, why);
    }
    for (size_t i = 0; i < run->n; i++) {
        if (!p->servers[i].fit)
            continue;
        if (fit == 1 && !run->config.lends_last) {
            skip(run, i, MU_ST_SKIPPED, "no other server to pair with");
            p->servers[i].fit = false;
        } else if (before == run->n) {
            before = i;
        } else {
            add_pair(p, before, i, false);
            p->servers[before].first = true;
            before = run->n;
        }
    }
    p->odd = fit > 1 ? before : run->n; /* a lent server is good, so that none has to be tried */
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

/* Nobody is good, and no odd one is left to try: every first with the second of the next pair, once. Where a pair had one
 * bad server, this finds who is good, unless they all meet their like. */
static bool shift(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t n = 0, firsts = 0;
    for (size_t i = 0; i < run->n; i++) {
        if (p->servers[i].good)
            return false;
        firsts += p->servers[i].tries && p->servers[i].doubted && p->servers[i].first;
    }
    if (p->shifted || firsts < 2)
        return false;
    p->shifted = true;
    size_t *all = calloc(firsts, sizeof *all);
    if (!all)
        return false; /* then they are not told apart */
    for (size_t i = 0; i < run->n; i++)
        if (p->servers[i].tries && p->servers[i].doubted && p->servers[i].first)
            all[n++] = i;
    for (size_t i = 0; i < n; i++) {
        size_t second = p->servers[all[(i + 1) % n]].partner;
        if (p->servers[second].doubted && !p->servers[second].first)
            add_pair(p, all[i], second, false);
    }
    free(all);
    mu_log(MU_WARNING, "No pair did well: %zu are made of others.", p->n_round);
    return p->n_round > 0;
}

static void form_next(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t at = 0, anew = 0;
    if (try_odd(run) || shift(run))
        return;
    for (size_t i = 0; i < run->n; i++) {
        struct mu_pairs_server *s = &p->servers[i];
        if (!s->fit || (s->tries && !s->doubted))
            continue;
        size_t partner = find_good(run, i, &at);
        if (partner < run->n)
            add_pair(p, i, partner, true);
        anew += s->tries && partner < run->n;
    }
    if (anew)
        mu_log(MU_WARNING, "%zu server%s paired anew, since %s not do well with the first partner.", anew, anew == 1 ? " is" : "s are",
               anew == 1 ? "it did" : "they did");
}

/* It was bad with those alone that were bad, too. */
static void settle_untold(struct mu_run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        const struct mu_pairs_server *s = &run->pairs.servers[i];
        for (size_t j = 0; s->tries && s->doubted && !s->told && j < script_of(run)->n_steps; j++) {
            struct mu_step_result *r =
                is_part(run, j) ? mu_pair_find_step(&run->results->tasks[i], script_of(run)->steps[j].name) : NULL;
            if (!r || !mu_pair_is_bad(r))
                continue;
            mu_pair_untold(r, id_of(run, i), id_of(run, s->partner));
            say(run, i, r->name, MU_WARNING, "It is not known which server of the pair this is about: ", "there was no good one to pair them with.");
        }
    }
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
    if (p->over)
        settle_untold(run);
}

void mu_pairs_own_ended(struct mu_run *run)
{
    if (run->pairs.wanted && ++run->pairs.own_ended == run->n)
        form(run);
}

bool mu_pairs_over(const struct mu_run *run) { return run->pairs.over; }

/* ---- one pair ---- */

/* The step is to be measured again for this server; why: what it came to with the last partner. */
static bool is_doubted(const struct mu_run *run, size_t server, size_t step, struct mu_buf *why)
{
    const struct mu_script *script = script_of(run);
    const struct mu_step_result *r =
        is_part(run, step) ? mu_pair_find_step(&run->results->tasks[server], script->steps[step].name) : NULL;
    if (!r || !mu_pair_is_bad(r))
        return false;
    if (why)
        mu_pair_add_reasons(r, id_of(run, run->pairs.servers[server].partner), why);
    return true;
}

static struct mu_repeat *repeat_of(struct mu_run *run, const struct mu_pair *pair)
{
    size_t n = script_of(run)->n_steps;
    struct mu_buf why = MU_BUF_INIT;
    for (size_t i = 0; i < n; i++)
        is_doubted(run, pair->first, i, &why);
    struct mu_repeat *repeat = mu_repeat_new(n, mu_buf_cstr(&why));
    mu_buf_free(&why);
    for (size_t i = 0; repeat && i < n; i++)
        repeat->steps[i] = is_doubted(run, pair->first, i, NULL) || (!pair->helps && is_doubted(run, pair->second, i, NULL));
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
        if (p->servers[pair->first].tries && !(*repeat = repeat_of(run, pair)))
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

void mu_pairs_say_finished(const struct mu_run *run, size_t server)
{
    const struct mu_task_result *t = &run->results->tasks[server];
    char text[64];
    if (is_lent(run, server))
        return;
    snprintf(text, sizeof text, "%s (%.1f s).", mu_status_name(t->status), (double)t->duration_ms / 1000.0);
    say(run, server, NULL, t->status == MU_ST_PASSED ? MU_INFO : MU_WARNING, "Server finished: ", text);
}

static void not_anew(struct mu_run *run, size_t server)
{
    struct mu_task_result *t = &run->results->tasks[server];
    for (size_t i = 0; i < script_of(run)->n_steps; i++) {
        struct mu_step_result *now = is_part(run, i) ? mu_pair_find_step(t, script_of(run)->steps[i].name) : NULL;
        struct mu_step_result *r = now && mu_pair_is_bad(now) ? mu_step_result_new(now->name) : NULL;
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
