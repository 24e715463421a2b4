/* Who is there and who is not: agents, agents for a queue, nats-server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/spread_internal.h"
#include "core/clock.h"

#define TICK_MS 1000
#define REMIND_MS 60000     /* of a queue that nobody serves */
#define STILL_AWAY_MS 10000 /* after that it is said again that nats-server is away */
#define LATE_MS 500         /* after a cancel: for those who began a task just then to say so */

/* ---- agents ---- */

static const struct mu_roster_agent *entry_of(const struct mu_spread *s, const char *id)
{
    for (size_t i = 0; i < s->roster.n; i++)
        if (!strcmp(s->roster.items[i].id, id))
            return &s->roster.items[i];
    return NULL;
}

bool mu_spread_is_alive(const struct mu_spread *s, const struct mu_spread_agent *a)
{
    /* While nats-server is away nobody can be heard, and nothing is known. */
    uint64_t heard = a->heard_ms > s->back_ms ? a->heard_ms : s->back_ms;
    return !s->connected || mu_clock_ms() - heard < MU_BEAT_ALIVE_MS;
}

bool mu_spread_is_leaving(const struct mu_spread *s, const struct mu_spread_agent *a)
{
    const struct mu_roster_agent *r = entry_of(s, a->id);
    return r && r->leaving;
}

void mu_spread_heard(struct mu_spread *s, uint32_t agent)
{
    struct mu_spread_agent *a = s->agents[agent];
    a->heard_ms = mu_clock_ms();
    if (a->lost)
        mu_log(MU_INFO, "Agent %s is heard of again.", mu_spread_agent_name(s, agent));
    a->lost = false;
}

void mu_spread_beat(void *arg, const struct mu_nats_heard *heard)
{
    struct mu_spread *s = arg;
    const struct mu_roster_agent *r = mu_roster_note(&s->roster, heard->bytes, heard->len, 0);
    for (size_t i = 0; r && i < s->n_agents; i++)
        if (!strcmp(s->agents[i]->id, r->id)) {
            if (!s->agents[i]->name)
                s->agents[i]->name = strdup(r->name);
            mu_spread_heard(s, (uint32_t)i);
        }
}

static void look_at_agents(struct mu_spread *s)
{
    for (uint32_t i = 0; i < s->n_agents; i++) {
        struct mu_spread_agent *a = s->agents[i];
        if (a->lost || !a->n_started || mu_spread_is_alive(s, a))
            continue;
        a->lost = true;
        mu_log(MU_WARNING, "Agent %s was not heard of for %d s: its %zu server%s wait%s for another agent.",
               mu_spread_agent_name(s, i), MU_BEAT_ALIVE_MS / 1000, a->n_started, a->n_started == 1 ? "" : "s",
               a->n_started == 1 ? "s" : "");
    }
}

/* ---- queues ---- */

static const char *wait_text(const struct mu_spread *s, char out[32])
{
    uint64_t seconds = s->config.agent_wait_ms / 1000;
    if (seconds && seconds % 60 == 0)
        snprintf(out, 32, "%llum", (unsigned long long)seconds / 60);
    else
        snprintf(out, 32, "%.3gs", (double)s->config.agent_wait_ms / 1000.0);
    return out;
}

static void give_up(struct mu_spread *s, size_t queue)
{
    struct mu_spread_queue *q = &s->queues[queue];
    struct mu_buf filter = MU_BUF_INIT;
    char text[512], after[32];
    if (q->group)
        snprintf(text, sizeof text, "no agent of group %s took it within %s", q->group, wait_text(s, after));
    else
        snprintf(text, sizeof text, "no agent took it within %s", wait_text(s, after));
    mu_spread_purge(s, MU_STREAM_TASKS, mu_spread_queue_filter(s, q, &filter));
    mu_buf_free(&filter);
    for (size_t i = 0; i < s->home->n; i++) {
        const struct mu_spread_server *v = &s->servers[i];
        bool open = v->state == MU_SPREAD_WAITS || v->state == MU_SPREAD_POSTED ||
                    (v->state == MU_SPREAD_STARTED && !mu_spread_is_alive(s, s->agents[v->agent]));
        if (open && v->queue == queue)
            mu_spread_fail(s, i, MU_SPREAD_NOBODY, 0, text, "%s", text);
    }
}

/* While nats-server is away, and a while after, nobody may have been heard who is there. */
static bool is_known(const struct mu_spread *s, uint64_t now)
{
    return s->connected && (!s->back_ms || now - s->back_ms >= MU_BEAT_ALIVE_MS);
}

static void look_at_queues(struct mu_spread *s)
{
    uint64_t now = mu_clock_ms();
    for (size_t i = 0; i < s->n_queues && is_known(s, now); i++) {
        struct mu_spread_queue *q = &s->queues[i];
        if (!q->n_open || mu_spread_queue_is_served(s, q)) {
            q->alive_ms = now;
            q->said_ms = 0;
        } else if (now - q->alive_ms >= s->config.agent_wait_ms) {
            give_up(s, i);
        } else if (!q->said_ms || now - q->said_ms >= REMIND_MS) {
            q->said_ms = now;
            mu_log(MU_WARNING,
                   "No agent %s%s is left, and %zu task%s of this run wait%s for one: start `muster agent --nats %s`.",
                   q->group ? "of group " : "for any group", q->group ? q->group : "", q->n_open,
                   q->n_open == 1 ? "" : "s", q->n_open == 1 ? "s" : "", mu_nats_where(s->nats));
        }
    }
}

/* ---- nats-server ---- */

void mu_spread_state(void *arg, bool connected, const char *why)
{
    struct mu_spread *s = arg;
    if (s->over || s->connected == connected)
        return;
    s->connected = connected;
    if (!connected) {
        s->lost_ms = mu_clock_ms();
        mu_log(
            MU_WARNING,
            "The connection to nats-server at %s was lost%s%s: agents go on, and it is tried again until it is there.",
            mu_nats_where(s->nats), *why ? ", " : "", why);
        return;
    }
    s->back_ms = mu_clock_ms();
    mu_log(MU_INFO, "nats-server is there again, at %s.", mu_nats_where(s->nats));
    for (size_t i = 0; i < s->n_queues; i++)
        s->queues[i].alive_ms = s->back_ms;
    if (!s->begun)
        return;
    mu_spread_renew(s);
    const struct mu_wire_word hail = {.kind = MU_WORD_HAIL, .text = (char *)MUSTER_VERSION};
    mu_spread_say(s, NULL, &hail); /* answers may have been lost */
    mu_spread_pump(s);
}

static void look_at_connection(struct mu_spread *s)
{
    uint64_t now = mu_clock_ms();
    if (s->connected || now - s->lost_ms < STILL_AWAY_MS || s->lost_said_ms == s->lost_ms)
        return;
    s->lost_said_ms = s->lost_ms;
    mu_log(MU_WARNING,
           "nats-server at %s is still away: nothing is lost by it, but nothing new is known until it is back.",
           mu_nats_where(s->nats));
}

void mu_spread_tick(void *arg)
{
    struct mu_spread *s = arg;
    mu_timer_start(s->tick, NULL, TICK_MS);
    look_at_connection(s);
    look_at_agents(s);
    if (s->to_renew)
        mu_spread_renew(s);
    if (!s->cancelled_ms) {
        look_at_queues(s);
        mu_spread_look_at_stall(s);
    }
    mu_spread_settle_soon(s);
}

/* ---- after a cancel ---- */

static bool is_quiet(const struct mu_spread *s)
{
    if (mu_clock_ms() - s->cancelled_ms < LATE_MS)
        return false;
    for (size_t i = 0; i < s->n_agents; i++)
        if (!s->agents[i]->idle && mu_spread_is_alive(s, s->agents[i]))
            return false;
    return !s->failing_runs;
}

bool mu_spread_settled(const struct mu_crew *c)
{
    const struct mu_spread *s = (const struct mu_spread *)c;
    return s->cancelled_ms && s->swept && is_quiet(s);
}

void mu_spread_settle_soon(struct mu_spread *s)
{
    if (s->cancelled_ms && !s->swept && is_quiet(s))
        mu_spread_sweep(s);
}
