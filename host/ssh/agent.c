/* agent.c: the proxy between libssh and the real SSH agent: making it and ending it.
 *
 * libssh waits for its agent without end, so a stalled agent would block a worker and all its servers. Here libssh
 * talks to a socket pair whose other end a thread of our own serves: it knows the identity list already, forwards one
 * sign request at a time, and answers "failure" for an agent that keeps silent. An agent that was silent once is out of
 * use for the rest of the run; one that answers, but slowly, costs those their turn who would wait too long.
 */
#include "ssh/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "ssh/agent_proxy.h"

#define TIMEOUT_DEFAULT_MS 5000

/* Ask for the identity list. True when there is something to use. */
static bool ask_list(struct mu_ssh_agent *a)
{
    static const char request[] = {0, 0, 0, 1, MU_AGENT_LIST};
    uint64_t deadline_ms = mu_clock_ms() + a->timeout_ms;
    struct mu_buf answer = MU_BUF_INIT;
    long kept = 0;
    int rc;

    a->fd = mu_ssh_agent_connect(a->path, deadline_ms);
    rc = a->fd < 0 ? a->fd : mu_ssh_agent_talk(a->fd, request, sizeof(request), &answer, deadline_ms);
    if (!rc && answer.data[4] == MU_AGENT_FAILURE)
        mu_log(MU_WARNING, "SSH agent %s refuses to list its keys; going on without it", a->path);
    else if (!rc && (kept = mu_ssh_agent_filter_list(answer.data, answer.len, &a->list)) < 0)
        rc = -EBADMSG;
    else if (!rc)
        mu_log(MU_DEBUG, "SSH agent %s: %ld keys to try", a->path, kept);
    if (rc == -ENOENT || rc == -ECONNREFUSED)
        mu_log(MU_DEBUG, "SSH agent %s: %s; going on without it", a->path, strerror(-rc));
    else if (rc)
        mu_ssh_agent_complain(a, rc);
    mu_buf_free(&answer);
    if (kept > 0 && (a->keys = calloc((size_t)kept, sizeof(*a->keys)))) {
        a->n_keys = (size_t)kept;
        mu_ssh_agent_read_list(&a->list, a->keys, a->n_keys);
    }
    return a->n_keys > 0;
}

static int start(struct mu_ssh_agent *a)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = a}, stop = {.events = EPOLLIN, .data.ptr = &a->stop_fd};
    sigset_t all, former;
    int rc;

    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->epoll_fd < 0 || a->stop_fd < 0 || epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->fd, &ev) ||
        epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->stop_fd, &stop))
        return MU_EIO;
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &former);
    rc = pthread_create(&a->thread, NULL, mu_ssh_agent_proxy, a);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    a->started = rc == 0;
    return rc ? MU_EIO : 0;
}

int mu_ssh_agent_new(struct mu_ssh_agent **out, const char *socket_path, uint64_t timeout_ms)
{
    struct mu_ssh_agent *a = calloc(1, sizeof(*a));
    int rc = MU_ENOMEM;

    *out = NULL;
    if (!a)
        return rc;
    a->fd = a->epoll_fd = a->stop_fd = -1;
    a->timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_DEFAULT_MS;
    a->logger = mu_logger_current();
    mu_list_init(&a->clients);
    mu_list_init(&a->queue);
    mu_list_init(&a->graves);
    pthread_mutex_init(&a->lock, NULL);
    a->path = strdup(socket_path);
    if (a->path)
        rc = 0;
    if (!rc && ask_list(a)) {
        rc = start(a);
        if (!rc) {
            *out = a;
            return 0;
        }
    }
    mu_ssh_agent_free(a);
    return rc;
}

const struct mu_ssh_agent_key *mu_ssh_agent_keys(const struct mu_ssh_agent *a, size_t *n)
{
    *n = a ? a->n_keys : 0;
    return a ? a->keys : NULL;
}

bool mu_ssh_agent_holds(const struct mu_ssh_agent *a, const unsigned char *blob, size_t len)
{
    for (size_t i = 0; a && len && i < a->n_keys; i++)
        if (a->keys[i].len == len && !memcmp(a->keys[i].blob, blob, len))
            return true;
    return false;
}

int mu_ssh_agent_client_fd(struct mu_ssh_agent *a, const struct mu_ssh_agent_key *shown, const struct mu_ssh_agent_key *signer)
{
    struct mu_ssh_agent_client *c = NULL;
    struct epoll_event ev = {.events = EPOLLIN};
    int pair[2];

    if (atomic_load(&a->dead) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return -1;
    c = calloc(1, sizeof(*c));
    if (!c)
        goto fail;
    c->fd = pair[1];
    mu_list_init(&c->queue);
    if (shown)
        mu_ssh_agent_list_of_one(shown->blob, shown->len, &c->list);
    if (signer)
        mu_buf_add(&c->sign, signer->blob, signer->len);
    if (c->list.failed || c->sign.failed)
        goto fail;
    ev.data.ptr = c;
    pthread_mutex_lock(&a->lock);
    mu_list_push(&a->clients, &c->link);
    if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev)) {
        mu_list_remove(&c->link);
        pthread_mutex_unlock(&a->lock);
        goto fail;
    }
    pthread_mutex_unlock(&a->lock);
    return pair[0];
fail:
    if (c) {
        mu_buf_free(&c->list);
        mu_buf_free(&c->sign);
    }
    free(c);
    close(pair[0]);
    close(pair[1]);
    return -1;
}

void mu_ssh_agent_free(struct mu_ssh_agent *a)
{
    if (!a)
        return;
    if (a->started) {
        const uint64_t one = 1;
        (void)!write(a->stop_fd, &one, sizeof(one));
        pthread_join(a->thread, NULL);
    }
    mu_ssh_agent_bury(a);
    while (!mu_list_empty(&a->clients))
        mu_ssh_agent_client_free(mu_list_entry(mu_list_pop(&a->clients), struct mu_ssh_agent_client, link));
    if (a->fd >= 0)
        close(a->fd);
    if (a->epoll_fd >= 0)
        close(a->epoll_fd);
    if (a->stop_fd >= 0)
        close(a->stop_fd);
    free(a->keys);
    mu_buf_free(&a->list);
    mu_buf_free(&a->request);
    mu_buf_free(&a->answer);
    pthread_mutex_destroy(&a->lock);
    free(a->path);
    free(a);
}
