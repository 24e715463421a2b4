/* An agent serves: jobs come and go to their guests, the connection is watched, and in the end it is drained. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/agent_internal.h"
#include "agents/roster.h"
#include "core/clock.h"

#define TICK_MS 250
#define FLUSH_MS 5000      /* for an answer */
#define RUN_ID_MAX 64
#define LAST_LETTERS_MS 2000 /* past the drain timeout, for what is still to be told */

static struct mu_guest *guest_of(struct mu_list *l) { return mu_list_entry(l, struct mu_guest, link); }

/* ---- jobs ---- */

struct mu_guest *mu_agent_guest(struct mu_agent *a, const char *run_id)
{
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next)
        if (!strcmp(guest_of(l)->run_id, run_id) && guest_of(l)->state < MU_GUEST_LEAVING)
            return guest_of(l);
    return NULL;
}

/* The run and the server that a task's subject names, both as this muster writes them. */
static bool read_subject(const char *subject, char run_id[RUN_ID_MAX + 1], size_t *index)
{
    const char *last = strrchr(subject, '.'), *run = last;
    char *end;
    while (run && run > subject && run[-1] != '.')
        run--;
    size_t len = run ? (size_t)(last - run) : 0;
    if (!last || !len || len > RUN_ID_MAX || strspn(last + 1, "0123456789") != strlen(last + 1) || !last[1] || strlen(last + 1) > 18)
        return false;
    memcpy(run_id, run, len);
    run_id[len] = '\0';
    for (const char *p = run_id; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_'))
            return false;
    *index = strtoul(last + 1, &end, 10);
    return true;
}

static void take_job(void *arg, struct mu_nats_job *job)
{
    struct mu_agent *a = arg;
    struct mu_wire_task task = {0};
    char run_id[RUN_ID_MAX + 1];
    struct mu_err err = {0};
    size_t len, index = 0;
    const void *bytes = mu_nats_job_bytes(job, &len);
    a->wanted -= a->wanted > 0;
    if (a->drains_seen) {
        mu_nats_job_give_back_free(job);
        return;
    }
    if (!read_subject(mu_nats_job_subject(job), run_id, &index)) {
        mu_log(MU_ERROR, "A job is no task of a run, and is thrown away: its subject is %s", mu_nats_job_subject(job));
        mu_nats_job_ack_free(job);
        mu_agent_want(a);
        return;
    }
    struct mu_guest *g = mu_agent_guest(a, run_id);
    if (!g && mu_guest_new(&g, a, run_id, &err)) {
        mu_log(MU_ERROR, "Run %s: a task is given back: %s", run_id, err.msg);
        mu_nats_job_give_back_free(job);
        mu_agent_want(a);
        return;
    }
    int rc = mu_wire_read_task(&task, bytes, len, &err);
    if (!rc && (strcmp(task.run_id, run_id) != 0 || task.index != index)) {
        rc = mu_err_set(&err, MU_EINVAL, "it is a task of another run or server than its subject says");
        mu_wire_task_clear(&task);
    }
    if (rc) { /* told in its name, so that nobody waits for it */
        mu_err_prefix(&err, "the task cannot be read");
        task = (struct mu_wire_task){.index = index};
    }
    mu_guest_take(g, &task, job, mu_nats_job_delivery(job), rc ? &err : NULL);
    mu_guest_go_on(g);
    mu_agent_want(a);
}

/* ---- the connection ---- */

static void lost(void *arg)
{
    struct mu_agent *a = arg;
    a->lost = true;
    mu_log(MU_ERROR, "No contact with %s for %.0f s: other agents may have been given the same servers. All tasks here are cancelled, their "
           "teardown runs, and nothing of them is told any more.", mu_nats_where(a->nats), (double)a->config.ack_wait_ms / 1000.0);
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next)
        mu_guest_cancel(guest_of(l), MU_GUEST_LOSE, mu_agent_grace_ms(a));
}

struct flush {
    struct mu_agent *agent;
    struct mu_nats *nats;
    uint64_t timeout_ms;
    int rc;
};

static void flush_work(void *data)
{
    struct flush *f = data;
    struct mu_err err;
    f->rc = mu_nats_flush(f->nats, f->timeout_ms, &err);
}

static void in_contact(struct mu_agent *a, uint64_t since_ms)
{
    uint64_t now = mu_clock_ms(), until = since_ms + a->config.ack_wait_ms;
    if (since_ms <= a->contact_ms && a->contact_ms)
        return;
    a->contact_ms = since_ms;
    if (a->lost)
        mu_log(MU_INFO, "There is contact with %s again: work is taken.", mu_nats_where(a->nats));
    a->lost = false;
    mu_timer_start(a->lost_timer, NULL, until > now ? until - now : 0);
    mu_agent_want(a);
}

static void flushed(void *arg)
{
    struct flush *f = arg;
    struct mu_agent *a = f->agent;
    a->flush = NULL;
    a->works--;
    if (!f->rc)
        in_contact(a, a->flush_began_ms);
}

static void flush(struct mu_agent *a)
{
    struct mu_err err;
    struct flush *f = a->flush ? NULL : calloc(1, sizeof *f);
    if (!f)
        return;
    uint64_t third = a->config.ack_wait_ms / 3;
    *f = (struct flush){.agent = a, .nats = a->nats, .timeout_ms = third < FLUSH_MS ? third : FLUSH_MS};
    a->flush_began_ms = mu_clock_ms();
    if (mu_work_start(&a->flush, a->loop, NULL, flush_work, f, free, flushed, f, &err))
        free(f);
    else
        a->works++;
}

/* Whoever has a job says so, before it is found out whether that was heard. */
static void renew(void *arg)
{
    struct mu_agent *a = arg;
    for (struct mu_list *g = a->guests.next; g != &a->guests; g = g->next)
        for (struct mu_list *l = guest_of(g)->seats.all.next; l != &guest_of(g)->seats.all; l = l->next) {
            struct mu_seat *seat = mu_list_entry(l, struct mu_seat, link);
            if (seat->job && !seat->fence.closed)
                mu_nats_job_working(seat->job);
        }
    flush(a);
    mu_timer_start(a->renew, NULL, a->config.ack_wait_ms / 3);
}

static void connection(void *arg, bool connected, const char *why)
{
    struct mu_agent *a = arg;
    if (!connected) {
        mu_log(MU_WARNING, "Lost the connection to %s: %s. What runs goes on for up to %.0f s meanwhile.", mu_nats_where(a->nats), why,
               (double)a->config.ack_wait_ms / 1000.0);
        return;
    }
    mu_log(MU_INFO, "Connected to %s again.", mu_nats_where(a->nats));
    mu_timer_start(a->renew, NULL, 0);
    mu_agent_beat(a);
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
        mu_guest_look(guest_of(l));
        mu_guest_ask_anew(guest_of(l), true);
    }
}

/* A run begins somewhere. What is of another version is told once. */
static void hailed(void *arg, const struct mu_nats_heard *heard)
{
    struct mu_agent *a = arg;
    struct mu_wire_word w;
    size_t at = 0;
    if (mu_wire_read_word(&w, heard->bytes, heard->len, &at, NULL))
        return;
    if (w.kind == MU_WORD_HAIL && w.text) {
        size_t len = strcspn(w.text, " ");
        bool ours = len == strlen(MUSTER_VERSION) && !strncmp(w.text, MUSTER_VERSION, len);
        struct mu_buf version = MU_BUF_INIT, run = MU_BUF_INIT;
        mu_buf_add_escaped(&version, w.text, len);
        mu_buf_add_escaped(&run, w.text + len + (w.text[len] == ' '), strlen(w.text + len + (w.text[len] == ' ')));
        if (!ours && (!a->versions_seen || strcmp(a->versions_seen, w.text) != 0)) {
            mu_log(MU_WARNING, "Run %s of muster %s is not taken: this agent is muster %s; install the same version on both.",
                   run.len ? run.data : "?", mu_buf_cstr(&version), MUSTER_VERSION);
            free(a->versions_seen);
            a->versions_seen = w.text;
            w.text = NULL;
        }
        mu_buf_free(&version);
        mu_buf_free(&run);
    }
    mu_wire_word_clear(&w);
}

/* ---- the beginning ---- */

static int open_queues(struct mu_agent *a, struct mu_err *err)
{
    size_t n = 0;
    while (a->groups[n])
        n++;
    const char **durables = calloc(n + 2, sizeof *durables);
    struct mu_buf queue = MU_BUF_INIT, durable = MU_BUF_INIT;
    int rc = durables ? mu_subjects_ensure(a->nats, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; !rc && (i < n || (!n && !i)); i++) {
        mu_subject_queue(&queue, n ? a->groups[i] : NULL);
        rc = mu_subjects_ensure_queue(a->nats, mu_buf_cstr(&queue), (int64_t)a->config.ack_wait_ms, err);
        mu_subject_durable(&durable, mu_buf_cstr(&queue));
        if (!rc && !(durables[i] = strdup(mu_buf_cstr(&durable))))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    if (!rc)
        rc = mu_nats_pull_new(&a->pull, a->nats, MU_STREAM_TASKS, durables, take_job, a, err);
    for (size_t i = 0; durables && i <= n; i++)
        free((char *)durables[i]);
    free(durables);
    mu_buf_free(&queue);
    mu_buf_free(&durable);
    return rc;
}

static void tick(void *arg)
{
    struct mu_agent *a = arg;
    uint64_t now = mu_clock_ms();
    if (now - a->beat_ms >= MU_BEAT_EVERY_MS)
        mu_agent_beat(a);
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next)
        mu_guest_tick(guest_of(l), now);
    mu_agent_want(a);
    mu_timer_start(a->tick, NULL, TICK_MS);
}

/* What would keep it from reaching servers is told now, not with the first task. */
static int check_ssh(const struct mu_agent *a, struct mu_err *err)
{
    struct mu_ssh_shared *ssh = NULL;
    int rc = mu_ssh_shared_new(&ssh, &a->settings.ssh, err);
    mu_ssh_shared_free(ssh);
    return rc;
}

static int begin(struct mu_agent *a, struct mu_err *err)
{
    mu_loop_raise_fd_limit();
    int rc = check_ssh(a, err);
    if (!rc)
        rc = mu_nats_open(&a->nats, &a->config.nats, a->loop, connection, a, err);
    if (rc)
        return rc;
    a->tick = mu_timer_new(a->loop, tick, a);
    a->renew = mu_timer_new(a->loop, renew, a);
    a->lost_timer = mu_timer_new(a->loop, lost, a);
    if (!a->tick || !a->renew || !a->lost_timer)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rc = open_queues(a, err);
    if (!rc)
        rc = mu_nats_listen(&a->hail, a->nats, MU_SUBJECT_HAIL, hailed, a, err);
    if (rc)
        return rc;
    struct mu_buf groups = MU_BUF_INIT;
    for (size_t i = 0; a->groups[i]; i++)
        mu_buf_addf(&groups, "%s%s", i ? ", " : " of ", a->groups[i]);
    mu_log(MU_INFO, "Agent %s takes work%s from %s: up to %u servers at a time. agent_id=%s", a->name, mu_buf_cstr(&groups),
           mu_nats_where(a->nats), a->slots, a->id);
    mu_buf_free(&groups);
    in_contact(a, mu_clock_ms());
    mu_agent_beat(a);
    mu_timer_start(a->tick, NULL, TICK_MS);
    mu_timer_start(a->renew, NULL, a->config.ack_wait_ms / 3);
    mu_agent_want(a);
    return 0;
}

/* ---- the end ---- */

static void see_drain(struct mu_agent *a, uint64_t now)
{
    int drains = atomic_load(&a->drains), before = a->drains_seen;
    a->drains_seen = drains;
    if (drains && !before) {
        size_t n = 0;
        mu_nats_pull_free(a->pull); /* what it has fetched goes back */
        a->pull = NULL;
        for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
            mu_guest_give_back(guest_of(l));
            n += mu_guest_at_work(guest_of(l));
        }
        mu_log(MU_INFO, "Draining: nothing more is taken; %zu task%s at work may end within %.0f s.", n, n == 1 ? "" : "s",
               (double)a->config.drain_timeout_ms / 1000.0);
        a->drain_until_ms = now + a->config.drain_timeout_ms;
        mu_agent_beat(a);
    }
    if (drains > 1 && before < 2) {
        mu_log(MU_WARNING, "Leaving at once: what runs is killed, and given back.");
        a->drain_until_ms = now;
    }
    if (drains && now >= a->drain_until_ms && (!a->drain_cancelled || (drains > 1 && before < 2))) {
        size_t n = 0;
        for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
            n += mu_guest_at_work(guest_of(l));
            mu_guest_cancel(guest_of(l), MU_GUEST_GIVE_BACK, drains > 1 ? 0 : mu_agent_grace_ms(a));
            if (drains > 1)
                mu_guest_kill(guest_of(l));
        }
        if (n && drains < 2)
            mu_log(MU_WARNING, "The time for draining is over: %zu task%s cancelled, with %.0f s for teardown, and given back.", n,
                   n == 1 ? " is" : "s are", (double)mu_agent_grace_ms(a) / 1000.0);
        a->drain_cancelled = true;
    }
}

/* Drained: nothing runs, and what was to be told is told, and was taken, as far as the time allows. */
static bool is_over(struct mu_agent *a, uint64_t now)
{
    bool wait = a->works > 0;
    if (!a->drains_seen)
        return false;
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
        struct mu_guest *g = guest_of(l);
        bool late = now >= a->drain_until_ms, too_late = a->drains_seen > 1 || now >= a->drain_until_ms + mu_agent_grace_ms(a) + LAST_LETTERS_MS;
        wait = wait || (mu_guest_at_work(g) && !(too_late && now >= a->drain_until_ms + LAST_LETTERS_MS));
        wait = wait || (mu_guest_owes(g) && !late);
        wait = wait || (!mu_outbox_is_empty(g->outbox) && !too_late);
    }
    return !wait;
}

/* Those whose workers have left. From outside callbacks, since they are joined. */
static void reap(struct mu_agent *a)
{
    for (struct mu_list *l = a->guests.next, *next; l != &a->guests; l = next) {
        next = l->next;
        if (guest_of(l)->state == MU_GUEST_GONE)
            mu_guest_free(guest_of(l));
    }
}

static void end(struct mu_agent *a)
{
    if (a->nats && a->drains_seen)
        mu_agent_beat(a);
    mu_nats_pull_free(a->pull);
    mu_nats_listen_end(a->hail);
    a->pull = NULL;
    a->hail = NULL;
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next)
        mu_guest_part(guest_of(l));
    mu_nats_close(a->nats); /* from here on nothing of it calls back: guests may go with letters under way */
    for (struct mu_list *l = a->guests.next, *next; l != &a->guests; l = next) {
        next = l->next;
        mu_guest_free(guest_of(l));
    }
    mu_timer_free(a->tick);
    mu_timer_free(a->renew);
    mu_timer_free(a->lost_timer);
    a->tick = a->renew = a->lost_timer = NULL;
    a->nats = NULL;
}

int mu_agent_go(struct mu_agent *a, struct mu_err *err)
{
    struct mu_logger *former = mu_logger_use(a->logger);
    int rc = begin(a, err);
    while (!rc && !is_over(a, mu_clock_ms())) {
        see_drain(a, mu_clock_ms());
        if (is_over(a, mu_clock_ms()))
            break;
        mu_loop_turn(a->loop, true);
        reap(a);
    }
    end(a);
    if (!rc)
        mu_log(MU_INFO, "Agent %s has left.", a->name);
    mu_logger_use(former);
    return rc;
}
