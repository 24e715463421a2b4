/* The way of a guest's tasks: they come, begin when they can, are over, or are cancelled. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

size_t mu_guest_at_work(const struct mu_guest *g) { return mu_seats_at_work(&g->seats); }

size_t mu_guest_owes(const struct mu_guest *g)
{
    size_t n = 0;
    for (const struct mu_list *l = g->seats.all.next; l != &g->seats.all; l = l->next)
        n++;
    return n;
}

/* Whoever cancelled waits for it, and whoever ends a run: nothing comes of what was begun after it. */
static void say_idle(struct mu_guest *g)
{
    bool claims = false;
    for (struct mu_list *l = g->seats.all.next; l != &g->seats.all; l = l->next)
        claims = claims || mu_fence_is_busy(&mu_list_entry(l, struct mu_seat, link)->fence);
    if (g->over || g->idle_said || claims || mu_guest_at_work(g) || !g->outbox || (!g->cancelled && !g->n_begun))
        return;
    g->idle_said = true;
    mu_guest_put(g, &(struct mu_wire_event){.kind = MU_EVENT_IDLE});
}

void mu_guest_settle(struct mu_guest *g, struct mu_seat *seat)
{
    if (seat->state == MU_SEAT_OVER && seat->job && !seat->told) {
        if (seat->give_back && !seat->fence.closed)
            mu_nats_job_give_back_free(seat->job);
        else if (seat->unwanted)
            mu_nats_job_ack_free(seat->job);
        else
            mu_nats_job_free(seat->job); /* it is somebody else's by now */
        seat->job = NULL;
    }
    if (seat->state == MU_SEAT_OVER && !seat->job && !mu_fence_is_busy(&seat->fence))
        mu_seats_leave(&g->seats, seat);
    say_idle(g);
}

void mu_guest_seat_over(struct mu_guest *g, struct mu_seat *seat)
{
    mu_seats_rise(&g->seats, seat);
    seat->state = MU_SEAT_OVER;
    mu_buf_free(&seat->notes);
    g->busy_ms = mu_clock_ms();
    mu_guest_settle(g, seat);
}

void mu_guest_take(struct mu_guest *g, struct mu_wire_task *task, struct mu_nats_job *job, uint64_t delivery,
                   const struct mu_err *unreadable)
{
    struct mu_seat *seat = NULL;
    struct mu_err err;
    for (struct mu_list *l = g->seats.all.next, *next; l != &g->seats.all; l = next) {
        struct mu_seat *former = mu_list_entry(l, struct mu_seat, link);
        next = l->next;
        if (former->task.index != task->index || !former->told || !former->job)
            continue;
        /* The same message: the acknowledgement alone is missing, and is this one's now. Another one: nothing is left of the server's
         * former task, whose result was committed, though nobody could tell us. */
        bool same = mu_nats_job_seq(former->job) == mu_nats_job_seq(job);
        mu_nats_job_free(former->job);
        former->job = same ? job : NULL;
        if (same) {
            mu_wire_task_clear(task);
            return;
        }
        mu_guest_settle(g, former);
    }
    if (mu_seats_add(&g->seats, task, job, delivery, &seat, &err)) {
        mu_nats_job_give_back_free(job);
        mu_wire_task_clear(task);
        return;
    }
    mu_log(MU_DEBUG, "Run %s: the task of server %s was taken, delivery %llu.", g->run_id, seat->server ? seat->server->id : "?",
           (unsigned long long)delivery);
    g->busy_ms = mu_clock_ms();
    if (g->cancelled || g->over)
        seat->unwanted = seat->silent = true;
    else if (unreadable && g->outbox) /* else it is about no server, and refused for that */
        mu_guest_refuse(g, seat, unreadable);
}

/* False: it is gone, or over. */
static bool begin(struct mu_guest *g, struct mu_seat *seat)
{
    struct mu_err err;
    if (seat->unwanted || seat->silent) {
        mu_guest_seat_over(g, seat);
    } else if (seat->delivery >= MU_MAX_DELIVER) {
        mu_log(MU_WARNING, "Run %s: the task of server %s is handed out for the %lluth time: it is not run any more.", g->run_id,
               seat->server ? seat->server->id : "?", (unsigned long long)seat->delivery);
        mu_guest_put_of(g, seat, MU_EVENT_EXHAUSTED, NULL);
        seat->told = true;
        mu_guest_seat_over(g, seat);
    } else if (g->state == MU_GUEST_BROKEN) {
        mu_guest_refuse(g, seat, &g->why);
    } else if (!seat->server || (seat->task.kind == MU_TASK_PAIR && !seat->peer)) {
        mu_err_set(&err, MU_EINVAL, "it is about no server");
        mu_guest_refuse(g, seat, &err);
    } else if (g->state != MU_GUEST_READY || mu_seats_earlier(&g->seats, seat)) {
        return true;
    } else {
        seat->mark = mu_guest_put_of(g, seat, MU_EVENT_STARTED, NULL);
        g->n_begun++;
        g->idle_said = false;
        seat->state = MU_SEAT_STARTED;
        return true;
    }
    return false;
}

void mu_guest_go_on(struct mu_guest *g)
{
    if (g->state >= MU_GUEST_LEAVING || g->state == MU_GUEST_WAITING)
        return;
    for (struct mu_list *l = g->seats.all.next, *next; l != &g->seats.all; l = next) {
        struct mu_seat *seat = mu_list_entry(l, struct mu_seat, link);
        next = l->next;
        if (seat->state == MU_SEAT_NEW)
            begin(g, seat);
        else if (seat->state == MU_SEAT_STARTED && (seat->unwanted || seat->silent))
            mu_guest_seat_over(g, seat);
    }
    if (g->state == MU_GUEST_READY)
        mu_guest_check(g);
}

/* ---- cancelling ---- */

/* What is at a worker ends by itself; the rest at once, but for what a helper thread looks at. */
static void end_seat(struct mu_guest *g, struct mu_seat *seat, enum mu_guest_end how, uint64_t until_ms)
{
    bool runs = seat->state == MU_SEAT_RUNS;
    if (seat->told) {
        if (how == MU_GUEST_FORGET && seat->job) {
            mu_nats_job_ack_free(seat->job);
            seat->job = NULL;
            mu_guest_settle(g, seat);
        }
        return;
    }
    seat->silent = seat->silent || how != MU_GUEST_TELL || !runs;
    seat->give_back = how == MU_GUEST_GIVE_BACK;
    seat->unwanted = how == MU_GUEST_TELL || how == MU_GUEST_FORGET;
    if (how == MU_GUEST_LOSE)
        seat->fence.closed = true;
    for (unsigned i = 0; runs && i < g->crew.n_started; i++) {
        struct mu_message *m;
        while (!(m = mu_message_new(MU_MSG_DROP)))
            usleep(10000);
        m->task = seat->place;
        m->number = until_ms;
        mu_mailbox_post(g->crew.workers[i].mailbox, &m->head);
    }
    if (!runs && seat->state != MU_SEAT_CHECKED)
        mu_guest_seat_over(g, seat);
}

void mu_guest_cancel(struct mu_guest *g, enum mu_guest_end how, uint64_t grace_ms)
{
    uint64_t now = mu_clock_ms();
    g->cancelled = g->cancelled || how == MU_GUEST_TELL || how == MU_GUEST_FORGET;
    if (how == MU_GUEST_FORGET && !g->over) {
        g->over = true;
        mu_outbox_shut(g->outbox);
    }
    if (how != MU_GUEST_LOSE && (!g->kill_ms || g->kill_ms > now + grace_ms + MU_GUEST_LEAVE_MS))
        g->kill_ms = now + grace_ms + MU_GUEST_LEAVE_MS;
    if (g->state >= MU_GUEST_LEAVING)
        return;
    for (struct mu_list *l = g->seats.all.next, *next; l != &g->seats.all; l = next) {
        next = l->next;
        end_seat(g, mu_list_entry(l, struct mu_seat, link), how, now + grace_ms);
    }
    say_idle(g);
    mu_guest_go_on(g);
    mu_agent_want(g->agent);
}

void mu_guest_cancel_one(struct mu_guest *g, struct mu_seat *seat)
{
    end_seat(g, seat, MU_GUEST_FORGET, mu_clock_ms() + mu_agent_grace_ms(g->agent));
    mu_agent_want(g->agent);
}

void mu_guest_lose_one(struct mu_guest *g, struct mu_seat *seat)
{
    end_seat(g, seat, MU_GUEST_LOSE, mu_clock_ms() + mu_agent_grace_ms(g->agent));
}

void mu_guest_kill(struct mu_guest *g)
{
    if (g->crew_began && g->state < MU_GUEST_LEAVING)
        mu_crew_local_tell_all(&g->crew, MU_MSG_KILL, 0);
}

void mu_guest_give_back(struct mu_guest *g)
{
    for (struct mu_list *l = g->seats.all.next, *next; l != &g->seats.all; l = next) {
        struct mu_seat *seat = mu_list_entry(l, struct mu_seat, link);
        next = l->next;
        if (seat->state < MU_SEAT_RUNS) {
            seat->give_back = seat->silent = true;
            if (seat->state != MU_SEAT_CHECKED)
                mu_guest_seat_over(g, seat);
        }
    }
}
