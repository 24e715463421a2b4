/* The connection of an agent: who has a job says so, whether that is heard is found out, and what is said to all agents. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define FLUSH_MS 5000 /* for an answer */

static struct mu_guest *guest_of(struct mu_list *l) { return mu_list_entry(l, struct mu_guest, link); }

/* Whether anybody reads what guests write is found out first, when the queue can be reached again. */
static void hold_all(struct mu_agent *a)
{
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
        struct mu_guest *g = guest_of(l);
        g->held = g->outbox && g->state < MU_GUEST_LEAVING;
        if (g->held)
            mu_outbox_hold(g->outbox, true);
    }
}

void mu_agent_lost(void *arg)
{
    struct mu_agent *a = arg;
    a->lost = true;
    mu_log(
        MU_ERROR,
        "No contact with %s for %.0f s: other agents may have been given the same servers. All tasks here are cancelled, their "
        "teardown runs, and nothing of them is told any more.",
        mu_nats_where(a->nats), (double)a->config.ack_wait_ms / 1000.0);
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

void mu_agent_in_contact(struct mu_agent *a, uint64_t since_ms)
{
    uint64_t now = mu_clock_ms(), until = since_ms + a->config.ack_wait_ms;
    if (since_ms <= a->contact_ms && a->contact_ms)
        return;
    a->contact_ms = since_ms;
    if (a->lost)
        mu_log(MU_INFO, "There is contact with %s again: work is taken.", mu_nats_where(a->nats));
    a->lost = false;
    mu_timer_start(a->lost_timer, NULL, until > now ? until - now : 0);
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next)
        if (guest_of(l)->held)
            mu_guest_look(guest_of(l));
    mu_agent_want(a);
}

static void flushed(void *arg)
{
    struct flush *f = arg;
    struct mu_agent *a = f->agent;
    a->flush = NULL;
    a->works--;
    if (f->rc)
        hold_all(a);
    else
        mu_agent_in_contact(a, a->flush_began_ms);
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
void mu_agent_renew(void *arg)
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

void mu_agent_connection(void *arg, bool connected, const char *why)
{
    struct mu_agent *a = arg;
    if (!connected) {
        mu_log(MU_WARNING, "Lost the connection to %s: %s. What runs goes on for up to %.0f s meanwhile.",
               mu_nats_where(a->nats), why, (double)a->config.ack_wait_ms / 1000.0);
        hold_all(a);
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
void mu_agent_hailed(void *arg, const struct mu_nats_heard *heard)
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
