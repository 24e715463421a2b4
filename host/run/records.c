#include "run/records.h"

#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "results/peers.h"
#include "run/ask.h"
#include "run/former.h"
#include "run/records_head.h"
#include "run/run_internal.h"

/* ---- trouble ---- */

static void see(int rc, const struct mu_err *err)
{
    if (rc)
        mu_log(MU_ERROR, "%s. This run is not kept any further; it goes on, and is reported at its end as ever.", err->msg);
}

static bool is_kept(const struct mu_run *run) { return run->records.store && mu_store_is_writing(run->records.store); }

/* ---- the beginning ---- */

/* What is rehearsed, typed or given back is no measurement; a replay is one only for who asks for it. */
static bool is_for_keeping(const struct mu_run_config *c)
{
    return c->db && !c->dry_run && !c->console && !c->left && (!c->replay_dir || c->db_required);
}

int mu_records_open(struct mu_run *run, struct mu_err *err)
{
    struct mu_records *r = &run->records;
    const struct mu_run_config *c = &run->config;
    struct mu_err why = {0};
    if (r->former) {
        r->store = r->former->store;
        return 0;
    }
    if (!is_for_keeping(c))
        return 0;
    struct mu_logger *former = mu_logger_use(run->engine.logger);
    int rc = mu_db_is_url(c->db) ? mu_err_set(&why, MU_EINVAL, "results %s: a run is kept in a file, each step at once; `muster db push` copies "
                                              "it there afterwards", mu_db_url_shown(c->db))
                                 : mu_store_open(&r->store, c->db, true, &why);
    if (rc && !c->db_required)
        mu_log(MU_WARNING, "%s. This run is not kept; --no-db says so without this line.", why.msg);
    mu_logger_use(former);
    if (rc && c->db_required && err)
        *err = why;
    return c->db_required ? rc : 0;
}

void mu_records_free(struct mu_run *run)
{
    struct mu_records *r = &run->records;
    mu_timer_free(r->window);
    if (r->former)
        mu_former_free(r->former); /* and its store */
    else
        mu_store_close(r->store);
    free(r->asked);
    *r = (struct mu_records){0};
}

static void window_closed(void *arg)
{
    struct mu_run *run = arg;
    mu_mailbox_rest(run->home, false);
    mu_mailbox_nudge(run->home); /* and with it comes what was posted meanwhile */
}

void mu_records_nudged(struct mu_run *run) { run->records.due = run->records.waits; }

void mu_records_begin(struct mu_run *run)
{
    struct mu_records *r = &run->records;
    struct mu_err err = {0};
    if (!r->store)
        return;
    r->window = mu_timer_new(run->loop, window_closed, run);
    if (!r->window)
        return;
    int rc = r->former ? mu_store_resume(r->store, &r->former->run, run->results, r->former->anew, &err)
                       : mu_records_insert(run, &err);
    see(rc, &err);
    run->engine.keeps = is_kept(run);
    if (!rc)
        mu_log(MU_INFO, "Run %s%s, kept in %s.", run->id, r->former ? ", resumed" : "", mu_store_where(r->store));
}

bool mu_records_has(const struct mu_run *run, size_t server)
{
    return run->records.former && !run->records.former->anew[server];
}

/* A mark that was made, or decided against, stays; what was not, or did not work, is decided anew. */
static void restore_marks(struct mu_run *run)
{
    struct mu_marks *m = &run->marks;
    for (size_t i = 0; i < run->n; i++) {
        struct mu_task_result *t = &run->results->tasks[i];
        if (!mu_records_has(run, i) || !run->records.former->final[i])
            continue;
        if (t->mark.state == MU_MARK_MADE || t->mark.state == MU_MARK_KEPT) {
            if (mu_marks_finished(m, i, t->status)) {
                m->n_dealt++;
                m->n_settled++;
            }
        } else if (t->mark.state != MU_MARK_NONE) {
            mu_task_result_set_mark(t, MU_MARK_NONE, NULL, NULL, 0);
        }
    }
    for (size_t i = 0; i < run->n; i++) {
        const struct mu_task_result *t = &run->results->tasks[i];
        if (mu_records_has(run, i) && run->records.former->final[i] && t->mark.state == MU_MARK_NONE)
            mu_marks_finished(m, i, t->status);
    }
}

void mu_records_restore(struct mu_run *run)
{
    const struct mu_former *f = run->records.former;
    if (!f)
        return;
    mu_log(MU_INFO, "%zu of %zu servers have their result already; %zu %s measured now.", run->n - f->n_anew, run->n, f->n_anew,
           f->n_anew == 1 ? "is" : "are");
    restore_marks(run);
    for (size_t i = 0; i < run->n; i++)
        run->done += mu_records_has(run, i) && f->final[i];
    for (size_t i = 0; i < run->n; i++)
        if (mu_records_has(run, i) && !f->final[i])
            mu_run_measured(run, i);
    mu_second_check(run, mu_run_final);
    mu_records_flush(run);
}

/* ---- what comes in ---- */

static void ask(struct mu_run *run, int worker, uint64_t ticket)
{
    struct mu_records *r = &run->records;
    if (r->n_asked == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 64;
        struct mu_record_question *more = realloc(r->asked, cap * sizeof *more);
        if (!more) { /* better an early word than none */
            mu_run_turn_came(run, worker, ticket, NULL);
            return;
        }
        r->asked = more;
        r->cap = cap;
    }
    r->asked[r->n_asked++] = (struct mu_record_question){worker, ticket};
}

/* Its peers, or its partners, are still to decide about it when it has ended. */
static bool waits_for_others(const struct mu_run *run, const struct mu_task_result *t)
{
    bool any = run->pairs.wanted;
    for (size_t i = 0; i < t->n_steps; i++)
        any = any || mu_peers_any(&t->steps[i]);
    return any;
}

static void put(struct mu_run *run, const struct mu_message *m)
{
    struct mu_store *s = run->records.store;
    const struct mu_task_result *t = &run->results->tasks[m->task];
    bool own = m->kind != MU_TASK_AGAIN && m->kind != MU_TASK_PAIR;
    struct mu_err err = {0};
    int rc = 0;
    switch (m->head.kind) {
    case MU_MSG_STARTED:
        if (own)
            mu_store_note_worker(s, m->task, m->worker);
        break;
    case MU_MSG_STEP: {
        const struct mu_task_result *at = own                        ? t
                                          : m->kind == MU_TASK_AGAIN ? mu_second_result(run, m->task)
                                                                     : mu_pairs_result(run, m->task);
        if (own)
            mu_store_put(s, run->results, m->task);
        else if (at->n_steps)
            rc = mu_store_put_pass(s, m->task, m->kind == MU_TASK_AGAIN ? "again" : "pair", &at->steps[at->n_steps - 1], &err);
        break;
    }
    case MU_MSG_FAILURE:
    case MU_MSG_UNENDED:
        if (own)
            mu_store_put(s, run->results, m->task);
        break;
    case MU_MSG_FACTS:
        rc = !m->text ? 0 : mu_store_put_facts(s, m->task, m->text, &err);
        break;
    case MU_MSG_KEEP:
        rc = mu_store_put_artefact(s, m->task, m->text, m->wall_ms, m->plain.data, m->plain.len, &err);
        break;
    case MU_MSG_MARK:
        mu_store_put_server(s, run->results, m->task);
        break;
    case MU_MSG_ENDING:
        if (waits_for_others(run, t))
            mu_store_put_server(s, run->results, m->task);
        else
            rc = mu_store_final(s, run->results, m->task, false, &err);
        break;
    default:
        break;
    }
    see(rc, &err);
}

void mu_records_note(struct mu_run *run, struct mu_message *m)
{
    if (m->head.kind == MU_MSG_ENDING) {
        struct mu_task_result *t = &run->results->tasks[m->task];
        t->finished = true;
        t->duration_ms = m->took_ms;
        mu_task_result_settle(t);
    }
    if (is_kept(run))
        put(run, m);
    if ((m->head.kind == MU_MSG_STEP || m->head.kind == MU_MSG_ENDING) && m->number)
        ask(run, m->worker, m->number);
}

void mu_records_final(struct mu_run *run, size_t server)
{
    const struct mu_task_result *t = &run->results->tasks[server];
    struct mu_err err = {0};
    if (!is_kept(run))
        return;
    bool changed = waits_for_others(run, t);
    if (!changed && mu_store_is_final(run->records.store, server))
        return; /* since it ended */
    see(mu_store_final(run->records.store, run->results, server, changed, &err), &err);
}

/* Whether there may be more to come in a moment, and nobody has waited for too long yet. */
static bool waits_for_more(struct mu_run *run)
{
    struct mu_records *r = &run->records;
    if (r->due || r->n_asked >= run->in_flight || run->interrupts_seen || run->over)
        return false;
    if (!r->waits) {
        bool many = run->in_flight >= MU_RECORDS_MANY;
        mu_timer_start(r->window, NULL, many ? MU_RECORDS_MANY_WINDOW_MS : MU_RECORDS_WINDOW_MS);
        mu_mailbox_rest(run->home, many);
    }
    r->waits = true;
    return true;
}

void mu_records_flush(struct mu_run *run)
{
    struct mu_records *r = &run->records;
    struct mu_err err = {0};
    if (!mu_records_waits(run) || waits_for_more(run))
        return;
    r->waits = r->due = false;
    mu_timer_stop(r->window);
    mu_mailbox_rest(run->home, false);
    if (is_kept(run))
        see(mu_store_commit(r->store, &err), &err);
    for (size_t i = 0; i < r->n_asked; i++)
        mu_run_turn_came(run, r->asked[i].worker, r->asked[i].ticket, NULL);
    r->n_asked = 0;
}

bool mu_records_waits(const struct mu_run *run)
{
    const struct mu_records *r = &run->records;
    return r->window && (r->n_asked || mu_store_has_put(r->store));
}

void mu_records_end(struct mu_run *run)
{
    struct mu_err err = {0};
    if (is_kept(run))
        see(mu_store_end(run->records.store, run->results, &err), &err);
}
