/* alive.c: whether a server that says nothing is still there. libssh's own answer tells nothing (its keepalive may only take
 * the answer to the one before): what counts is that bytes came. */
#include <stdio.h>

#include "ssh/internal.h"

#include <libssh/server.h> /* ssh_send_keepalive() */

static bool reads_nothing(const struct mu_ssh_session *s)
{
    for (const struct mu_list *l = s->execs.next; l != &s->execs; l = l->next)
        if (mu_list_entry(l, struct mu_ssh_exec, link)->on_hold)
            return true;
    return false;
}

static void ask(struct mu_ssh_session *s)
{
    uint64_t sent = s->io.out_bytes, received = s->io.in_bytes;

    ssh_send_keepalive(s->ssh);
    if (mu_session_alive(s) && s->io.out_bytes == sent && !(ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING))
        ssh_send_keepalive(s->ssh); /* the first one only took the last answer */
    mu_session_after(s, received);
}

#define ANSWER_MAX 512 /* bytes between two looks that may be no more than the answer to a keepalive */

static void on_timer(void *arg)
{
    struct mu_ssh_session *s = arg;
    uint64_t came = s->io.in_bytes - s->alive_bytes;
    char why[64];

    if (s->state != MU_SESSION_UP)
        return;
    s->alive_bytes = s->io.in_bytes;
    if (came || reads_nothing(s))
        s->unanswered = 0;
    if (s->unanswered && s->unanswered >= s->options->server_alive_count_max) {
        snprintf(why, sizeof(why), "no answer for %llu s",
                 (unsigned long long)s->options->server_alive_interval_s * s->unanswered);
        mu_session_lost(s, why);
        return;
    }
    mu_timer_start(s->alive, s->ctx, (uint64_t)s->options->server_alive_interval_s * 1000);
    if (came > ANSWER_MAX || reads_nothing(s))
        return;
    s->unanswered++;
    ask(s);
}

void mu_alive_start(struct mu_ssh_session *s)
{
    if (!s->options->server_alive_interval_s)
        return;
    if (!s->alive)
        s->alive = mu_timer_new(s->loop, on_timer, s);
    s->unanswered = 0;
    s->alive_bytes = s->io.in_bytes;
    if (s->alive) /* without memory there is no watch, as there is none without keepalives */
        mu_timer_start(s->alive, s->ctx, (uint64_t)s->options->server_alive_interval_s * 1000);
}
