/* agent_proxy.c: the proxy's thread, and how it deals with the real agent: one request at a time, each bounded. */
#include "ssh/agent_proxy.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"

static void hang_up(struct mu_ssh_agent *a)
{
    if (a->fd >= 0)
        close(a->fd); /* leaves the epoll set by itself */
    a->fd = -1;
    mu_buf_clear(&a->answer);
}

void mu_ssh_agent_complain(const struct mu_ssh_agent *a, int rc)
{
    if (rc == -ETIMEDOUT)
        mu_log(MU_WARNING, "SSH agent %s did not answer within %g s; going on without it", a->path,
               (double)a->timeout_ms / 1e3);
    else
        mu_log(MU_WARNING, "SSH agent %s: %s; going on without it", a->path,
               rc == -EBADMSG ? "its answer is malformed"
               : rc == -EPIPE ? "it hung up"
                              : strerror(-rc));
}

/* Out of use for the rest of the run. */
static void die(struct mu_ssh_agent *a, int rc)
{
    mu_ssh_agent_complain(a, rc);
    atomic_store(&a->dead, true);
    hang_up(a);
    a->busy = false;
    if (a->current)
        mu_ssh_agent_client_fail(a, a->current);
    while (!mu_list_empty(&a->queue))
        mu_ssh_agent_client_fail(a, mu_list_entry(a->queue.next, struct mu_ssh_agent_client, queue));
}

static int send_request(struct mu_ssh_agent *a)
{
    struct epoll_event ev = {.data.ptr = a};

    while (a->sent < a->request.len) {
        ssize_t n = send(a->fd, a->request.data + a->sent, a->request.len - a->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            return -EPIPE;
        a->sent += (size_t)n;
    }
    ev.events = EPOLLIN | (a->sent < a->request.len ? EPOLLOUT : 0);
    return epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, a->fd, &ev) ? -errno : 0;
}

static int connect_again(struct mu_ssh_agent *a, uint64_t deadline_ms)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = a};

    a->fd = mu_ssh_agent_connect(a->path, deadline_ms);
    if (a->fd < 0)
        return a->fd;
    return epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->fd, &ev) ? -errno : 0;
}

/* (Re)send the request at hand, on a new connection where there is none. An agent may close idle connections, so the
 * first failure of one is no news. */
static void forward(struct mu_ssh_agent *a)
{
    int rc = 0;

    for (;;) {
        a->sent = 0;
        mu_buf_clear(&a->answer);
        if (a->fd < 0)
            rc = connect_again(a, a->silent_at_ms);
        if (!rc)
            rc = send_request(a);
        if (rc != -EPIPE || a->retried)
            break;
        a->retried = true;
        hang_up(a);
        rc = 0;
    }
    if (rc)
        die(a, rc);
}

static void start_next(struct mu_ssh_agent *a)
{
    while (!a->busy && !mu_list_empty(&a->queue)) {
        struct mu_ssh_agent_client *c = mu_list_entry(a->queue.next, struct mu_ssh_agent_client, queue);
        long frame = mu_ssh_agent_frame(c->in.data, c->in.len);
        mu_list_remove(&c->queue);
        mu_buf_clear(&a->request);
        mu_ssh_agent_sign_with(c->in.data, (size_t)frame, (const unsigned char *)c->sign.data, c->sign.len, &a->request);
        a->current = c;
        if (a->request.failed) {
            die(a, -ENOMEM);
            return;
        }
        a->busy = true;
        a->retried = false;
        a->silent_at_ms = mu_clock_ms() + a->timeout_ms;
        /* Where it hardly waited its own deadline is the agent's: else one that is silent would be called slow first. */
        if (a->silent_at_ms - c->deadline_ms <= a->timeout_ms / 8)
            a->silent_at_ms = c->deadline_ms;
        forward(a);
    }
}

static void agent_event(struct mu_ssh_agent *a, uint32_t events)
{
    char chunk[4096];
    long frame;
    ssize_t n;

    if (a->fd < 0)
        return;
    if ((events & EPOLLOUT) && a->busy && send_request(a) < 0)
        events |= EPOLLIN; /* the read below sees the end */
    for (;;) {
        n = recv(a->fd, chunk, sizeof(chunk), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* closed: between requests that is fine, in one it is tried once more */
            hang_up(a);
            if (a->busy && a->retried)
                die(a, -EPIPE);
            else if (a->busy) {
                a->retried = true;
                forward(a);
            }
            return;
        }
        mu_buf_add(&a->answer, chunk, (size_t)n);
        frame = mu_ssh_agent_frame(a->answer.data, a->answer.len);
        if (!a->busy || a->answer.failed || frame < 0 || (frame > 0 && (size_t)frame != a->answer.len)) {
            die(a, a->answer.failed ? -ENOMEM : -EBADMSG);
            return;
        }
        if (frame > 0) {
            a->busy = false;
            if (a->current)
                mu_ssh_agent_client_answer(a, a->current, a->answer.data, (size_t)frame);
            mu_buf_clear(&a->answer);
            return;
        }
    }
}

/* ---- time and the thread ---- */

/* Answer those whose time is up; the milliseconds until the next one's is, or -1. */
static int expire(struct mu_ssh_agent *a)
{
    uint64_t now = mu_clock_ms(), next = UINT64_MAX;
    struct mu_ssh_agent_client *late = a->current && a->current->deadline_ms <= now ? a->current : NULL;

    if (a->busy && a->silent_at_ms <= now)
        die(a, -ETIMEDOUT);
    else if (late)
        mu_ssh_agent_client_fail(a, late);
    while (!mu_list_empty(&a->queue)) { /* in the order of their deadlines */
        struct mu_ssh_agent_client *c = mu_list_entry(a->queue.next, struct mu_ssh_agent_client, queue);
        if (c->deadline_ms > now)
            break;
        late = c;
        mu_ssh_agent_client_fail(a, c);
    }
    if (late && !atomic_load(&a->dead) && !a->slow_warned) {
        a->slow_warned = true;
        mu_log(MU_WARNING, "SSH agent %s is too slow for this many sessions: some waited %g s in vain", a->path,
               (double)a->timeout_ms / 1e3);
    }
    start_next(a);
    if (a->busy)
        next = a->silent_at_ms;
    if (a->current && a->current->deadline_ms < next)
        next = a->current->deadline_ms;
    if (!mu_list_empty(&a->queue) && mu_list_entry(a->queue.next, struct mu_ssh_agent_client, queue)->deadline_ms < next)
        next = mu_list_entry(a->queue.next, struct mu_ssh_agent_client, queue)->deadline_ms;
    if (next == UINT64_MAX)
        return -1;
    now = mu_clock_ms();
    return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

void *mu_ssh_agent_proxy(void *arg)
{
    struct mu_ssh_agent *a = arg;
    struct epoll_event events[64];

    mu_logger_use(a->logger);
    for (;;) {
        int n = epoll_wait(a->epoll_fd, events, 64, expire(a));
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &a->stop_fd)
                return NULL;
            if (events[i].data.ptr == a)
                agent_event(a, events[i].events);
            else
                mu_ssh_agent_client_event(a, events[i].data.ptr, events[i].events);
        }
        mu_ssh_agent_bury(a);
    }
}
