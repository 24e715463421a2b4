#include "loop/process_internal.h"

#include <assert.h>
#include <signal.h>

enum {
    GIVE_UP_MS = 2000, /* how long after KILL the group may still be there */
    POLL_MIN_MS = 5,   /* how often it is looked at: at first, and at most */
    POLL_MAX_MS = 160
};

void mu_process_send_group(struct mu_process *p, int signum)
{
    /* As long as the group has members, its number is not given to others; once it was seen empty we keep off it. */
    if (!p->group_gone)
        kill((pid_t)-p->result.pid, signum);
}

void mu_process_end_step(void *process)
{
    struct mu_process *p = process;
    uint64_t now = mu_loop_now_ms(p->loop);

    if (p->finished || p->freed)
        return;
    mu_process_enter(p);
    if (!p->child && !p->group_gone)
        p->group_gone = !mu_process_group_alive(p->result.pid);
    if (!p->group_gone && !p->killed && now >= p->kill_at_ms) {
        p->killed = true;
        p->give_up_at_ms = now + GIVE_UP_MS;
        p->poll_ms = POLL_MIN_MS;
    } else if (!p->group_gone && p->killed && now >= p->give_up_at_ms) {
        p->result.unended = true;
    }
    if (p->group_gone || p->result.unended) {
        mu_process_maybe_finish(p);
    } else {
        uint64_t next = (p->killed ? p->give_up_at_ms : p->kill_at_ms) - now;

        if (p->killed)
            mu_process_send_group(p, SIGKILL); /* each time: a process may be moved into the group at any time */
        if (!p->child && p->poll_ms < next) { /* of the command itself libuv tells, of its group's other members nobody */
            next = p->poll_ms;
            p->poll_ms = p->poll_ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : p->poll_ms * 2;
        }
        mu_timer_start(p->ender, p->ctx, next);
    }
    mu_process_leave(p);
}

void mu_process_abort(struct mu_process *p, const struct mu_err *why, uint64_t kill_after_ms)
{
    uint64_t kill_at_ms;

    if (p->finished || p->freed)
        return;
    mu_loop_update_time(p->loop); /* the caller may have been busy for long */
    kill_at_ms = mu_loop_now_ms(p->loop) + kill_after_ms;
    if (kill_at_ms < kill_after_ms)
        kill_at_ms = UINT64_MAX;
    if (!p->aborting) {
        assert(why->code);
        p->aborting = true;
        p->result.error = *why;
        p->poll_ms = POLL_MIN_MS;
        mu_process_send_group(p, SIGTERM);
        mu_process_send_group(p, SIGCONT); /* one that is stopped gets its TERM only when it goes on */
    } else if (p->killed || kill_at_ms >= p->kill_at_ms) {
        return;
    }
    p->kill_at_ms = kill_at_ms;
    mu_timer_start(p->ender, p->ctx, 0); /* from the loop: done is never called from in here */
}
