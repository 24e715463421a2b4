/* lightserver: thousands of SSH sessions in one process, so that a benchmark measures the client and not sshd.
 *
 *   lightserver -H HOST_KEY -C CLIENT_PUBLIC_KEY [-o OUTPUT] [-d DELAY_MS] [-b BARRIER] [-t THREADS]
 *
 * Prints its port as a line, then serves every address of 127.0.0.0/8 on it, and nothing that comes from outside, until
 * SIGTERM (or the end of its parent); then prints a line of JSON: sessions, commands, and its own CPU time. Every
 * command gets OUTPUT and exit status 0, DELAY_MS after it came. With BARRIER the answers wait until that many commands
 * have come (then for the next as many), so that as many sessions are open at one time: no thread waits with them.
 */
#include <errno.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 16
#define EVENTS 256
#define ROUNDS_MAX 16
#define BARRIER_MAX_MS 120000 /* a client that failed must not hold the others for ever */

struct worker {
    pthread_t thread;
    ssh_bind bind;
    int epoll, wake;
    struct command *first, *last; /* waiting for their answers, in the order they came, which is that of their times */
};

struct session {
    struct session *next_dead;
    struct worker *worker;
    ssh_session ssh;
    struct ssh_server_callbacks_struct callbacks;
    struct ssh_counter_struct io;
    struct command *commands;
    bool keys_exchanged, dead, wants_write;
};

struct command {
    struct command *next, *next_of_session;
    struct session *session;
    ssh_channel channel;
    struct ssh_channel_callbacks_struct callbacks;
    uint64_t due_ms;
    size_t number;
    bool asked, waiting;
};

static const char *output = "912.4\n", *host_key;
static ssh_key client_key;
static uint64_t delay_ms;
static size_t barrier;
static struct worker workers[THREADS_MAX];
static size_t n_workers = 2;
static atomic_size_t n_sessions, n_commands, n_answered, n_authenticated, released;
static int listening;

static void die(const char *what)
{
    fprintf(stderr, "lightserver: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- what libssh asks ---- */

static int on_service(ssh_session ssh, const char *service, void *arg)
{
    (void)ssh;
    (void)service;
    (void)arg;
    return 0;
}

static int on_publickey(ssh_session ssh, const char *user, struct ssh_key_struct *key, char state, void *arg)
{
    (void)ssh;
    (void)user;
    (void)arg;
    if (ssh_key_cmp(key, client_key, SSH_KEY_CMP_PUBLIC) != 0 || state == SSH_PUBLICKEY_STATE_ERROR)
        return SSH_AUTH_DENIED;
    if (state == SSH_PUBLICKEY_STATE_VALID)
        n_authenticated++;
    return state == SSH_PUBLICKEY_STATE_VALID || state == SSH_PUBLICKEY_STATE_NONE ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static int on_exec(ssh_session ssh, ssh_channel channel, const char *text, void *arg)
{
    struct command *c = arg;

    (void)ssh;
    (void)channel;
    (void)text; /* whatever it is: there is no shell here */
    c->asked = true;
    return 0;
}

/* What a client writes is of no use: take it, so that the window stays open. */
static int on_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
    (void)ssh;
    (void)channel;
    (void)data;
    (void)is_stderr;
    (void)arg;
    return (int)len;
}

static ssh_channel on_channel(ssh_session ssh, void *arg)
{
    struct session *s = arg;
    struct command *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->session = s;
    c->channel = ssh_channel_new(ssh);
    c->callbacks.userdata = c;
    c->callbacks.channel_exec_request_function = on_exec;
    c->callbacks.channel_data_function = on_data;
    ssh_callbacks_init(&c->callbacks);
    ssh_set_channel_callbacks(c->channel, &c->callbacks);
    c->next_of_session = s->commands;
    s->commands = c;
    return c->channel;
}

/* ---- commands ---- */

static void unlink_waiting(struct worker *w, struct session *s)
{
    struct command **at = &w->first, *last = NULL;

    while (*at) {
        if ((*at)->session == s) {
            *at = (*at)->next;
        } else {
            last = *at;
            at = &(*at)->next;
        }
    }
    w->last = last;
}

static void wait_for_answer(struct worker *w, struct command *c)
{
    uint64_t one = 1;

    c->asked = false;
    c->waiting = true;
    c->number = ++n_commands;
    c->due_ms = now_ms() + (barrier ? BARRIER_MAX_MS : delay_ms);
    c->next = NULL;
    *(w->last ? &w->last->next : &w->first) = c;
    w->last = c;
    if (!barrier || c->number % barrier)
        return;
    released = c->number;
    for (size_t i = 0; i < n_workers; i++)
        if (write(workers[i].wake, &one, sizeof one) < 0)
            die("wake");
}

static void answer(struct command *c)
{
    c->waiting = false;
    ssh_channel_write(c->channel, output, (uint32_t)strlen(output));
    ssh_channel_request_send_exit_status(c->channel, 0);
    ssh_channel_send_eof(c->channel);
    ssh_channel_close(c->channel);
    n_answered++;
}

/* ---- sessions ---- */

static bool alive(struct session *s)
{
    return ssh_get_fd(s->ssh) >= 0 && ssh_is_connected(s->ssh) && !(ssh_get_status(s->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

static bool waits(const struct session *s)
{
    for (const struct command *c = s->commands; c; c = c->next_of_session)
        if (c->waiting)
            return true;
    return false;
}

static void end(struct session *s)
{
    if (waits(s))
        unlink_waiting(s->worker, s);
    ssh_disconnect(s->ssh);
    ssh_free(s->ssh);
    while (s->commands) {
        struct command *c = s->commands;

        s->commands = c->next_of_session;
        free(c);
    }
    free(s);
}

/* Read what has come and send what there is to send. False: the session is over. */
static bool pump(struct session *s)
{
    uint64_t moved;
    int rc, n = 0;

    do {
        moved = s->io.in_bytes + s->io.out_bytes;
        if (!s->keys_exchanged) {
            rc = ssh_handle_key_exchange(s->ssh);
            if (rc == SSH_ERROR)
                return false;
            s->keys_exchanged = rc == SSH_OK;
        } else {
            ssh_execute_message_callbacks(s->ssh);
        }
        for (struct command *c = s->commands; c; c = c->next_of_session)
            if (c->asked)
                wait_for_answer(s->worker, c);
    } while (alive(s) && ++n < ROUNDS_MAX &&
             (s->io.in_bytes + s->io.out_bytes != moved || (ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING)));
    return alive(s);
}

static void serve(struct session *s)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    bool write;

    if (!pump(s)) {
        s->dead = true;
        return;
    }
    write = ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING;
    if (write == s->wants_write)
        return;
    s->wants_write = write;
    event.events |= write ? (uint32_t)EPOLLOUT : 0;
    if (epoll_ctl(s->worker->epoll, EPOLL_CTL_MOD, ssh_get_fd(s->ssh), &event))
        s->dead = true;
}

static void accept_one(struct worker *w, int fd)
{
    struct session *s = calloc(1, sizeof *s);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!s || !(s->ssh = ssh_new()) || ssh_bind_accept_fd(w->bind, s->ssh, fd) != SSH_OK) {
        fprintf(stderr, "lightserver: a session could not be made: %s\n", s ? ssh_get_error(w->bind) : "out of memory");
        close(fd);
        free(s);
        return;
    }
    s->worker = w;
    s->callbacks.userdata = s;
    s->callbacks.service_request_function = on_service;
    s->callbacks.auth_pubkey_function = on_publickey;
    s->callbacks.channel_open_request_session_function = on_channel;
    ssh_callbacks_init(&s->callbacks);
    ssh_set_server_callbacks(s->ssh, &s->callbacks);
    ssh_set_auth_methods(s->ssh, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_set_blocking(s->ssh, 0);
    ssh_set_counters(s->ssh, &s->io, NULL);
    n_sessions++;
    if (!pump(s) || epoll_ctl(w->epoll, EPOLL_CTL_ADD, ssh_get_fd(s->ssh), &event))
        end(s);
}

static void accept_all(struct worker *w)
{
    int fd;

    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        accept_one(w, fd);
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept");
}

/* ---- threads ---- */

static bool is_due(const struct command *c, uint64_t now)
{
    return c->due_ms <= now || (barrier && c->number <= released);
}

static struct session *answer_due(struct worker *w, struct session *dead)
{
    uint64_t now = now_ms();

    while (w->first && is_due(w->first, now)) {
        struct command *c = w->first;

        w->first = c->next;
        if (!w->first)
            w->last = NULL;
        answer(c);
        serve(c->session);
        if (c->session->dead) {
            unlink_waiting(w, c->session); /* it may have asked for more than one */
            c->session->next_dead = dead;
            dead = c->session;
        }
    }
    return dead;
}

static int timeout_ms(const struct worker *w)
{
    uint64_t now = now_ms();

    if (!w->first)
        return -1;
    return w->first->due_ms > now ? (int)(w->first->due_ms - now) : 0;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct epoll_event events[EVENTS];

    for (;;) {
        int n = epoll_wait(w->epoll, events, EVENTS, timeout_ms(w));
        struct session *dead = NULL;
        uint64_t ignored;

        for (int i = 0; i < n; i++) {
            struct session *s = events[i].data.ptr;

            if (!s) {
                accept_all(w);
            } else if (events[i].data.ptr == w) {
                if (read(w->wake, &ignored, sizeof ignored) < 0)
                    die("wake");
            } else {
                serve(s);
                if (s->dead) {
                    s->next_dead = dead;
                    dead = s;
                }
            }
        }
        for (struct session *next; dead; dead = next) { /* none of them waits any more, or will be served again */
            next = dead->next_dead;
            end(dead);
        }
        dead = answer_due(w, NULL);
        for (struct session *next; dead; dead = next) {
            next = dead->next_dead;
            end(dead);
        }
    }
    return NULL;
}

static void start_worker(struct worker *w)
{
    struct epoll_event connect = {.events = EPOLLIN | EPOLLEXCLUSIVE}, wake = {.events = EPOLLIN, .data.ptr = w};

    w->bind = ssh_bind_new();
    if (!w->bind || ssh_bind_options_set(w->bind, SSH_BIND_OPTIONS_HOSTKEY, host_key)) {
        fprintf(stderr, "lightserver: %s: not a host key\n", host_key);
        exit(2);
    }
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->epoll < 0 || w->wake < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, listening, &connect) ||
        epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &wake))
        die("epoll");
    if (pthread_create(&w->thread, NULL, worker_main, w))
        die("thread");
}

/* ---- the process ---- */

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof address;

    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Bound to the device, the address can be any of the loopback network's, and nobody outside reaches it. */
    if (listening < 0 || setsockopt(listening, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") ||
        bind(listening, (struct sockaddr *)&address, len) || listen(listening, 65535) ||
        getsockname(listening, (struct sockaddr *)&address, &len))
        die("listen on loopback");
    return ntohs(address.sin_port);
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static void report(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    printf("{\"sessions\":%zu,\"authenticated\":%zu,\"commands\":%zu,\"answered\":%zu,\"cpu_s\":%.6f,\"max_rss_kb\":%ld}\n",
           (size_t)n_sessions, (size_t)n_authenticated, (size_t)n_commands, (size_t)n_answered,
           seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss);
    fflush(stdout);
}

static int usage(void)
{
    fprintf(stderr, "usage: lightserver -H HOST_KEY -C CLIENT_PUBLIC_KEY [-o OUTPUT] [-d DELAY_MS] [-b BARRIER] [-t THREADS]\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *client = NULL;
    struct rlimit files;
    sigset_t ends;
    int c, signal;

    while ((c = getopt(argc, argv, "H:C:o:d:b:t:")) != -1) {
        switch (c) {
        case 'H': host_key = optarg; break;
        case 'C': client = optarg; break;
        case 'o': output = optarg; break;
        case 'd': delay_ms = strtoull(optarg, NULL, 10); break;
        case 'b': barrier = strtoul(optarg, NULL, 10); break;
        case 't': n_workers = strtoul(optarg, NULL, 10); break;
        default: return usage();
        }
    }
    if (!host_key || !client || optind != argc || n_workers < 1 || n_workers > THREADS_MAX)
        return usage();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    ssh_init();
    if (ssh_pki_import_pubkey_file(client, &client_key) != SSH_OK) {
        fprintf(stderr, "lightserver: %s: not a public key\n", client);
        return 2;
    }
    printf("%d\n", listen_on_loopback());
    fflush(stdout);
    for (size_t i = 0; i < n_workers; i++)
        start_worker(&workers[i]);
    sigwait(&ends, &signal);
    report();
    _exit(0); /* the threads know nothing of it */
}
