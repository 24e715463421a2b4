#include "run/pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "run/pair_results.h"
#include "run/pairs_internal.h"
#include "run/run_internal.h"

#define INTERRUPTED "interrupted before it was paired"
#define INTERRUPTED_ANEW "interrupted before it was paired anew"

static const struct mu_script *script_of(const struct mu_run *run) { return run->engine.script; }
static const char *id_of(const struct mu_run *run, size_t server) { return run->servers[server]->id; }

bool mu_pairs_is_lent(const struct mu_run *run, size_t server) { return run->config.lends_last && server == run->n - 1; }

bool mu_pairs_is_part(const struct mu_run *run, size_t step)
{
    return script_of(run)->steps[step].pair && (!run->engine.only || run->engine.only[step]);
}

int mu_pairs_init(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    bool measures = !run->config.console && !run->config.dry_run && !run->config.left;
    for (size_t i = 0; measures && i < script_of(run)->n_steps; i++)
        p->wanted = p->wanted || mu_pairs_is_part(run, i);
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

void mu_pairs_skip(struct mu_run *run, size_t server, enum mu_status status, const char *why)
{
    for (size_t i = 0; i < script_of(run)->n_steps; i++) {
        const struct mu_step *st = &script_of(run)->steps[i];
        if (!mu_pairs_is_part(run, i) || mu_pair_find_step(&run->results->tasks[server], st->name))
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
        if (mu_pairs_is_part(run, i) && (!now || mu_pair_is_bad(now)) && !mu_pair_find_step(from, name))
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

/* ---- rounds ---- */

/* It was bad with those alone that were bad, too. */
static void settle_untold(struct mu_run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        const struct mu_pairs_server *s = &run->pairs.servers[i];
        for (size_t j = 0; s->tries && s->doubted && !s->told && j < script_of(run)->n_steps; j++) {
            struct mu_step_result *r =
                mu_pairs_is_part(run, j) ? mu_pair_find_step(&run->results->tasks[i], script_of(run)->steps[j].name) : NULL;
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
        mu_pairs_form_first(run);
    p->formed = true;
    if (!p->n_round)
        mu_pairs_form_next(run);
    p->over = p->n_round == 0;
    for (size_t i = 0; p->over && i < run->n; i++)
        if (run->pairs.servers[i].fit && !run->pairs.servers[i].tries)
            mu_pairs_skip(run, i, MU_ST_SKIPPED, "no other server to pair with: its partner was unreachable");
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
        mu_pairs_is_part(run, step) ? mu_pair_find_step(&run->results->tasks[server], script->steps[step].name) : NULL;
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

/* The pair came to nothing, and a connection that could not be made is why. */
static bool was_unreachable(const struct mu_task_result *from)
{
    bool unreachable = false;
    for (size_t i = 0; i < from->n_failures; i++)
        unreachable = unreachable || from->failures[i].status == MU_ST_UNREACHABLE;
    for (size_t i = 0; i < from->n_steps; i++) {
        if (from->steps[i].status == MU_ST_PASSED)
            return false;
        unreachable = unreachable || from->steps[i].status == MU_ST_UNREACHABLE;
    }
    return unreachable;
}

/* Its partner is unreachable, and so of no help to anyone. */
static void leave(struct mu_run *run, size_t server, size_t partner)
{
    struct mu_buf why = MU_BUF_INIT;
    run->pairs.servers[server].left = true;
    mu_buf_addf(&why, "since %s was unreachable.", id_of(run, partner));
    say(run, server, NULL, MU_WARNING, "Its pair tells nothing of it, ", mu_buf_cstr(&why));
    mu_buf_free(&why);
}

/* The pair's result is the server's, unless it is about the partner alone. */
static void learn(struct mu_run *run, size_t server, size_t partner, const struct mu_task_result *from, bool down, bool other_down)
{
    struct mu_pairs_server *s = &run->pairs.servers[server];
    if (other_down && !down) {
        leave(run, server, partner);
        return;
    }
    take(run, server, partner, from);
    if (down) {
        s->fit = s->doubted = false;
        s->told = true;
    }
}

void mu_pairs_done(struct mu_run *run, size_t first, size_t second, const bool down[2])
{
    struct mu_pairs *p = &run->pairs;
    struct mu_task_result *from = mu_pairs_result(run, first);
    bool helps = false;
    for (size_t i = 0; i < p->n_round; i++)
        helps = helps || (p->round[i].first == first && p->round[i].helps);
    bool unreachable = was_unreachable(from), first_down = unreachable && down[0], second_down = unreachable && down[1];
    complete(run, first, from);
    learn(run, first, second, from, first_down, second_down);
    if (!helps)
        learn(run, second, first, from, second_down, first_down);
    if (second_down)
        p->servers[second].good = p->servers[second].fit = false; /* also one that helped */
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
    if (mu_pairs_is_lent(run, server))
        return;
    snprintf(text, sizeof text, "%s (%.1f s).", mu_status_name(t->status), (double)t->duration_ms / 1000.0);
    say(run, server, NULL, t->status == MU_ST_PASSED ? MU_INFO : MU_WARNING, "Server finished: ", text);
}

static void not_anew(struct mu_run *run, size_t server)
{
    struct mu_task_result *t = &run->results->tasks[server];
    for (size_t i = 0; i < script_of(run)->n_steps; i++) {
        struct mu_step_result *now = mu_pairs_is_part(run, i) ? mu_pair_find_step(t, script_of(run)->steps[i].name) : NULL;
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
            mu_pairs_skip(run, i, MU_ST_CANCELLED, INTERRUPTED);
    }
}
