/* agent_clients.c: the proxy's side of the socket pairs that libssh asks through. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "ssh/agent_proxy.h"

static const char failure[] = {0, 0, 0, 1, MU_AGENT_FAILURE};

static void drop_client(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c)
{
    if (c->gone)
        return;
    c->gone = true;
    pthread_mutex_lock(&a->lock);
    mu_list_remove(&c->link);
    pthread_mutex_unlock(&a->lock);
    mu_list_push(&a->graves, &c->link);
    mu_list_remove(&c->queue);
    if (a->current == c)
        a->current = NULL; /* the agent's answer will be thrown away */
    epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
}

void mu_ssh_agent_client_free(struct mu_ssh_agent_client *c)
{
    close(c->fd);
    mu_buf_free(&c->list);
    mu_buf_free(&c->sign);
    mu_buf_free(&c->in);
    mu_buf_free(&c->out);
    free(c);
}

void mu_ssh_agent_bury(struct mu_ssh_agent *a)
{
    while (!mu_list_empty(&a->graves))
        mu_ssh_agent_client_free(mu_list_entry(mu_list_pop(&a->graves), struct mu_ssh_agent_client, link));
}

static void flush_client(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            drop_client(a, c);
            return;
        }
        c->sent += (size_t)n;
    }
    if (c->sent == c->out.len) {
        mu_buf_clear(&c->out);
        c->sent = 0;
    }
    if (c->wants_out != (c->out.len > 0)) {
        struct epoll_event ev = {.events = EPOLLIN | (c->out.len ? EPOLLOUT : 0), .data.ptr = c};
        c->wants_out = c->out.len > 0;
        epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
    }
}

/* Take the frame at the head of in away. */
static void consume(struct mu_ssh_agent_client *c, size_t frame)
{
    memmove(c->in.data, c->in.data + frame, c->in.len - frame + 1);
    c->in.len -= frame;
}

static void read_requests(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c)
{
    long frame;

    while (!c->gone && !c->waiting && (frame = mu_ssh_agent_frame(mu_buf_cstr(&c->in), c->in.len)) != 0) {
        if (frame < 0) {
            drop_client(a, c);
            return;
        }
        if (c->in.data[4] == MU_AGENT_SIGN && !atomic_load(&a->dead)) {
            c->waiting = true;
            c->deadline_ms = mu_clock_ms() + a->timeout_ms;
            mu_list_push(&a->queue, &c->queue);
            return;
        }
        if (c->in.data[4] == MU_AGENT_LIST && !atomic_load(&a->dead))
            mu_buf_add(&c->out, c->list.len ? c->list.data : a->list.data, c->list.len ? c->list.len : a->list.len);
        else
            mu_buf_add(&c->out, failure, sizeof(failure));
        consume(c, (size_t)frame);
    }
    if (c->out.failed || c->in.failed)
        drop_client(a, c);
    else if (!c->gone && c->out.len)
        flush_client(a, c);
}

void mu_ssh_agent_client_answer(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c, const void *answer, size_t len)
{
    mu_list_remove(&c->queue);
    if (a->current == c)
        a->current = NULL;
    c->waiting = false;
    mu_buf_add(&c->out, answer, len);
    consume(c, (size_t)mu_ssh_agent_frame(c->in.data, c->in.len));
    read_requests(a, c);
}

void mu_ssh_agent_client_fail(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c)
{
    mu_ssh_agent_client_answer(a, c, failure, sizeof(failure));
}

void mu_ssh_agent_client_event(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c, uint32_t events)
{
    char chunk[4096];

    if (c->gone)
        return;
    if (events & EPOLLOUT)
        flush_client(a, c);
    while (!c->gone) {
        ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n > 0)
            mu_buf_add(&c->in, chunk, (size_t)n);
        if (n <= 0 || c->in.failed || c->in.len > MU_AGENT_FRAME_MAX + 4 + sizeof(chunk))
            drop_client(a, c);
        else
            read_requests(a, c);
    }
}
