/* Pairs: who is fit, and the rounds. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "run/pair_results.h"
#include "run/pairs_internal.h"
#include "run/run_internal.h"

static const struct mu_script *script_of(const struct mu_run *run) { return run->engine.script; }

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
            if (mu_pairs_is_part(run, j) && !strcmp(t->steps[i].name, script_of(run)->steps[j].name))
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
        if (mu_pairs_is_part(run, i) && !needs_met(t, &script_of(run)->steps[i]))
            return "not paired: a step that is needed did not pass";
    return NULL;
}

/* ---- rounds ---- */

static void add_pair(struct mu_pairs *p, size_t first, size_t second, bool helps)
{
    p->round[p->n_round++] = (struct mu_pair){first, second, helps, false};
}

void mu_pairs_form_first(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t before = run->n, fit = 0;
    for (size_t i = 0; i < run->n; i++) {
        if (mu_pairs_is_lent(run, i)) {
            p->servers[i].good = true;
            continue;
        }
        const struct mu_task_result *t = &run->results->tasks[i];
        const struct mu_step_result *no = declined(run, t);
        const char *why = !no ? why_not(run, t) : no->status == MU_ST_SKIPPED ? NULL : "not paired: its when did not work";
        p->servers[i].fit = !no && !why;
        fit += !no && !why;
        if (no || why)
            mu_pairs_skip(run, i, MU_ST_SKIPPED, why);
    }
    for (size_t i = 0; i < run->n; i++) {
        if (!p->servers[i].fit)
            continue;
        if (fit == 1 && !run->config.lends_last) {
            mu_pairs_skip(run, i, MU_ST_SKIPPED, "no other server to pair with");
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

/* Those left by unreachable partners are paired with each other, as in the first round, when nobody is known to be good. */
static bool pair_left(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t before = run->n, n = 0, left = 0;
    for (size_t i = 0; i < run->n; i++) {
        if (p->servers[i].good)
            return false;
        bool new = p->servers[i].fit && !p->servers[i].tries;
        n += new;
        left += new && p->servers[i].left;
    }
    for (size_t i = 0; left && i < run->n; i++) {
        struct mu_pairs_server *s = &p->servers[i];
        if (!s->fit || s->tries)
            continue;
        s->first = before == run->n && n > 1;
        if (s->first) {
            before = i;
        } else if (before < run->n) {
            add_pair(p, before, i, false);
            before = run->n;
        }
        p->odd = before < run->n || n == 1 ? i : run->n; /* the last of an odd number */
    }
    return p->n_round > 0;
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
    if (odd == run->n || !p->servers[odd].fit || p->servers[odd].tries > 1 || (p->servers[odd].tries && !p->servers[odd].doubted))
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

void mu_pairs_form_next(struct mu_run *run)
{
    struct mu_pairs *p = &run->pairs;
    size_t at = 0, anew = 0;
    if (pair_left(run) || try_odd(run) || shift(run))
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
