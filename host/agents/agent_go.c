/* An agent serves: it begins, its guests come and go, and in the end it is drained. */
#include "agents/agent_internal.h"

#include "agents/roster.h"
#include "core/clock.h"

#define TICK_MS 250
#define LAST_LETTERS_MS 2000 /* past the drain timeout, for what is still to be told */

static struct mu_guest *guest_of(struct mu_list *l) { return mu_list_entry(l, struct mu_guest, link); }

/* ---- the beginning ---- */

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

static int begin(struct mu_agent *a, struct mu_err *err)
{
    mu_loop_raise_fd_limit();
    int rc = mu_agent_check_ssh(a, err);
    if (!rc)
        rc = mu_nats_open(&a->nats, &a->config.nats, a->loop, mu_agent_connection, a, err);
    if (rc)
        return rc;
    a->tick = mu_timer_new(a->loop, tick, a);
    a->renew = mu_timer_new(a->loop, mu_agent_renew, a);
    a->lost_timer = mu_timer_new(a->loop, mu_agent_lost, a);
    if (!a->tick || !a->renew || !a->lost_timer)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rc = mu_agent_open_queues(a, err);
    if (!rc)
        rc = mu_nats_listen(&a->hail, a->nats, MU_SUBJECT_HAIL, mu_agent_hailed, a, err);
    if (rc)
        return rc;
    struct mu_buf groups = MU_BUF_INIT;
    for (size_t i = 0; a->groups[i]; i++)
        mu_buf_addf(&groups, "%s%s", i ? ", " : " of ", a->groups[i]);
    struct mu_field id = {"agent_id", MU_FIELD_STR, {.str = a->id}};
    mu_log_fields(MU_INFO, &id, 1, "Agent %s takes work%s from %s: up to %u server%s at a time.", a->name, mu_buf_cstr(&groups),
                  mu_nats_where(a->nats), a->slots, a->slots == 1 ? "" : "s");
    mu_buf_free(&groups);
    mu_agent_in_contact(a, mu_clock_ms());
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
        if (n)
            mu_log(MU_INFO, "Draining: nothing more is taken; %zu task%s at work may end within %g s.", n, n == 1 ? "" : "s",
                   (double)a->config.drain_timeout_ms / 1000.0);
        else
            mu_log(MU_INFO, "Draining: nothing more is taken, and nothing is at work.");
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
            mu_log(MU_WARNING, "The time for draining is over: %zu task%s cancelled, with %g s for teardown, and given back.", n,
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
        wait = wait || (g->outbox && !mu_outbox_is_empty(g->outbox) && !too_late);
    }
    return !wait;
}

/* Those whose workers have left. From outside callbacks, since they are joined. */
static void reap(struct mu_agent *a)
{
    for (struct mu_list *l = a->guests.next, *next; l != &a->guests; l = next) {
        next = l->next;
        if (guest_of(l)->state != MU_GUEST_GONE)
            continue;
        mu_guest_free(guest_of(l));
        mu_guest_begin_waiting(a);
    }
}

static void end(struct mu_agent *a)
{
    if (a->nats && a->drains_seen)
        mu_agent_beat(a);
    mu_timer_free(a->tick); /* guests turn the loop once more, without a connection */
    mu_timer_free(a->renew);
    mu_timer_free(a->lost_timer);
    a->tick = a->renew = a->lost_timer = NULL;
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
