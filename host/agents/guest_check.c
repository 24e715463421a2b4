/* What is looked at before a task begins, by a helper thread since it waits: the way to its server (keys, known hosts,
 * ssh_config), and what its claim holds. One thread at a time for each guest, for all tasks that are to begin. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

#define CHECK_AGAIN_MS 1000

struct checked {
    struct mu_seat *seat; /* stays while it is MU_SEAT_CHECKED */
    char *claim;
    bool later; /* the queue could not be asked */
    int rc;
    struct mu_err err;
};

struct check {
    struct mu_guest *guest; /* brief, agent and run_id are read; they do not change */
    struct mu_ssh_shared *ssh; /* the guest's, or made here */
    size_t n;
    struct checked items[];
};

/* ---- beside the loop ---- */

static int prepare(struct check *c, const struct mu_server *srv, struct mu_err *err)
{
    const struct mu_guest *g = c->guest;
    const struct mu_run_config *settings = &g->agent->settings;
    if (!srv || srv->local || g->brief.local || g->brief.dry_run)
        return 0;
    if (!c->ssh) {
        struct mu_ssh_config config = settings->ssh;
        config.user = g->engine.user;
        int rc = mu_ssh_shared_new(&c->ssh, &config, err);
        if (rc)
            return rc;
    }
    struct mu_ssh_target target = {.host = srv->address ? srv->address : srv->id, .port = srv->port,
                                   .user = srv->user ? srv->user : g->engine.user, .key_file = srv->key, .args = srv->ssh_args};
    return mu_ssh_shared_prepare(c->ssh, &target, err);
}

static void check_work(void *data)
{
    struct check *c = data;
    struct mu_buf subject = MU_BUF_INIT;
    for (size_t i = 0; i < c->n; i++) {
        struct checked *k = &c->items[i];
        struct mu_seat *seat = k->seat;
        k->rc = prepare(c, seat->server, &k->err);
        if (!k->rc)
            k->rc = prepare(c, seat->peer, &k->err);
        if (k->rc)
            continue;
        mu_subject_claim(&subject, c->guest->run_id, seat->task.index);
        k->rc = mu_fence_begin(&seat->fence, c->guest->agent->nats, mu_buf_cstr(&subject), seat->delivery > 1, &k->claim, &k->err);
        k->later = k->rc == MU_EIO || k->rc == MU_ETIMEDOUT || k->rc == MU_EEXIST; /* the last: somebody is very busy with it */
    }
    mu_buf_free(&subject);
}

static void drop_check(void *data)
{
    struct check *c = data;
    for (size_t i = 0; i < c->n; i++)
        free(c->items[i].claim);
    free(c);
}

/* ---- in the loop ---- */

static bool same(const char *a, const char *b) { return (!a || !b) ? a == b : !strcmp(a, b); }

static void deal(struct mu_guest *g, struct mu_seat *seat, char **claim)
{
    struct mu_err err = {0};
    size_t n = g->seats.n_places;
    /* The queue knows best; where nobody ever wrote there, the coordinator does, from before. */
    if (seat->fence.seq != MU_NATS_NONE && (seat->delivery > 1 || *claim)) {
        if (!same(*claim, seat->task.claim))
            mu_guest_put_claim(g, seat, *claim);
        free(seat->task.claim);
        seat->task.claim = *claim;
        *claim = NULL;
    }
    const struct mu_repeat *again = seat->task.repeat;
    int rc = again && again->n != g->script->n_steps ? MU_EINVAL : mu_seats_sit(&g->seats, seat);
    if (rc == MU_EINVAL) {
        mu_err_set(&err, rc, "it is of a script with another number of steps");
    } else if (rc) {
        mu_err_set(&err, rc, "this agent has no place for it");
    } else if (g->rules) {
        rc = mu_rules_seat(g->rules, seat->place, &err);
        if (!rc)
            rc = mu_rules_seat(g->rules, n + seat->place, &err);
    }
    if (rc) {
        mu_guest_refuse(g, seat, &err);
        return;
    }
    struct mu_message *m;
    while (!(m = mu_message_new(MU_MSG_DEAL)))
        usleep(10000);
    m->kind = seat->task.kind;
    m->task = seat->place;
    m->peer = seat->peer ? n + seat->place : 0;
    m->number = seat->delivery;
    m->verdict = seat->task.verdict;
    m->repeat = seat->task.repeat;
    m->text = seat->task.claim;
    seat->task.verdict = NULL;
    seat->task.repeat = NULL;
    seat->task.claim = NULL;
    g->crew.crew.ops->deal(&g->crew.crew, m);
}

static void checked(void *arg)
{
    struct check *c = arg;
    struct mu_guest *g = c->guest;
    g->checking = NULL;
    g->agent->works--;
    if (!g->engine.ssh) /* nobody has been dealt a server that needs it */
        g->engine.ssh = c->ssh;
    for (size_t i = 0; i < c->n; i++) {
        struct checked *k = &c->items[i];
        struct mu_seat *seat = k->seat;
        if ((k->rc == MU_ECANCELED || k->rc == MU_ESTATE) && !seat->unwanted) { /* should that one be lost, it is handed out again */
            mu_log(MU_INFO, "Run %s: server %s is not done here: %s.", g->run_id, seat->server ? seat->server->id : "?", k->err.msg);
            seat->silent = true;
        }
        if (seat->unwanted || seat->silent) {
            mu_guest_seat_over(g, seat);
        } else if (k->later) {
            seat->state = MU_SEAT_STARTED;
            seat->again_ms = mu_clock_ms() + CHECK_AGAIN_MS;
        } else if (k->rc) {
            mu_guest_refuse(g, seat, &k->err);
        } else {
            deal(g, seat, &k->claim);
        }
    }
    mu_guest_go_on(g);
    mu_agent_want(g->agent);
}

static bool is_due(const struct mu_guest *g, const struct mu_seat *seat, uint64_t now)
{
    return seat->state == MU_SEAT_STARTED && now >= seat->again_ms &&
           (seat->delivery < 2 || mu_outbox_stored(g->outbox) >= seat->mark);
}

void mu_guest_check(struct mu_guest *g)
{
    uint64_t now = mu_clock_ms();
    struct mu_err err;
    size_t n = 0;
    if (g->checking)
        return;
    for (struct mu_list *l = g->seats.all.next; l != &g->seats.all; l = l->next)
        n += is_due(g, mu_list_entry(l, struct mu_seat, link), now);
    struct check *c = n ? calloc(1, sizeof *c + n * sizeof c->items[0]) : NULL;
    if (!c)
        return;
    c->guest = g;
    c->ssh = g->engine.ssh;
    for (struct mu_list *l = g->seats.all.next; l != &g->seats.all; l = l->next) {
        struct mu_seat *seat = mu_list_entry(l, struct mu_seat, link);
        if (!is_due(g, seat, now))
            continue;
        seat->fence.task = mu_nats_job_seq(seat->job);
        seat->fence.delivery = seat->delivery;
        c->items[c->n++] = (struct checked){.seat = seat};
    }
    if (mu_work_start(&g->checking, g->agent->loop, NULL, check_work, c, drop_check, checked, c, &err)) {
        free(c);
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        c->items[i].seat->state = MU_SEAT_CHECKED;
    g->agent->works++;
}
