/* What the coordinator says directly: words that nobody keeps. Whatever of them is missed is made good by the brief, or asked
 * for again. */
#include "agents/agent_internal.h"

#include "core/clock.h"

static void kept(struct mu_guest *g, const struct mu_wire_word *w)
{
    struct mu_seat *seat = mu_seats_find(&g->seats, w->index, w->delivery);
    if (!seat || !seat->told || !seat->job)
        return;
    mu_nats_job_ack_free(seat->job);
    seat->job = NULL;
    mu_guest_settle(g, seat);
}

/* Somebody else's result counts, or is to: then the message is that one's, and is left alone. Should that one be lost, it is handed
 * out again. */
static void drop(struct mu_guest *g, const struct mu_wire_word *w)
{
    struct mu_seat *seat = mu_seats_find(&g->seats, w->index, w->delivery);
    if (!seat || !seat->job)
        return;
    mu_log(MU_INFO, "Run %s: the task of server %s is not wanted any more: %s.", g->run_id, seat->server ? seat->server->id : "?",
           w->code ? "another agent is at it" : "there is a result of it already");
    if (w->code)
        mu_nats_job_free(seat->job);
    else
        mu_nats_job_ack_free(seat->job);
    seat->job = NULL;
    if (seat->told)
        mu_guest_settle(g, seat);
    else
        mu_guest_cancel_one(g, seat);
}

static void obey(struct mu_guest *g, const struct mu_wire_word *w)
{
    uint64_t grace_ms = w->grace_ms ? w->grace_ms : mu_agent_grace_ms(g->agent);
    switch (w->kind) {
    case MU_WORD_HAIL:
        mu_guest_ask_anew(g, true);
        mu_guest_look(g);
        break;
    case MU_WORD_ANSWER:
        mu_guest_answered(g, w);
        break;
    case MU_WORD_KEPT:
        kept(g, w);
        break;
    case MU_WORD_DROP:
        drop(g, w);
        break;
    case MU_WORD_CANCEL:
        if (!g->cancelled)
            mu_log(MU_WARNING, "Run %s is cancelled: what runs of it here is ended, with %.0f s for teardown.", g->run_id,
                   (double)grace_ms / 1000.0);
        mu_guest_cancel(g, MU_GUEST_TELL, grace_ms);
        break;
    case MU_WORD_KILL:
        mu_guest_cancel(g, MU_GUEST_TELL, 0);
        mu_guest_kill(g);
        break;
    }
}

void mu_guest_hear(void *arg, const struct mu_nats_heard *heard)
{
    struct mu_guest *g = arg;
    struct mu_wire_word w;
    struct mu_err err = {0};
    size_t at = 0;
    int rc;
    while (g->state < MU_GUEST_LEAVING && !(rc = mu_wire_read_word(&w, heard->bytes, heard->len, &at, &err))) {
        obey(g, &w);
        mu_wire_word_clear(&w);
    }
    if (err.code)
        mu_log(MU_WARNING, "Run %s: a word that makes no sense was heard on %s: %s", g->run_id, heard->subject, err.msg);
}
