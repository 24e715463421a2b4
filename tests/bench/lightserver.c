/* lightserver: thousands of SSH sessions in one process, so that a benchmark measures the client and not sshd.
 *
 *   lightserver -H HOST_KEY -C CLIENT_PUBLIC_KEY [-o OUTPUT] [-d DELAY_MS] [-b BARRIER] [-t THREADS]
 *
 * Prints its port as a line, then serves every address of 127.0.0.0/8 on it, and nothing that comes from outside, until
 * SIGTERM (or the end of its parent); then prints a line of JSON: sessions, commands, and its own CPU time. Every
 * command gets OUTPUT and exit status 0, DELAY_MS after it came. With BARRIER the answers wait until that many commands
 * have come (then for the next as many), so that as many sessions are open at one time: no thread waits with them.
 */
#include "light.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS_MAX 16
#define EVENTS 256

struct light_options light_options = {.output = "912.4\n"};
struct light_counts light_counts;

static struct light_worker workers[THREADS_MAX];
static size_t n_workers = 2, n_accepted;
static const char *host_key;
static int listening;

void light_die(const char *what)
{
    fprintf(stderr, "lightserver: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---- workers ---- */

void light_wake_all(void)
{
    const uint64_t one = 1;

    for (size_t i = 0; i < n_workers; i++)
        if (write(workers[i].wake, &one, sizeof one) < 0)
            light_die("wake");
}

static void *worker_main(void *arg)
{
    struct light_worker *w = arg;
    struct epoll_event events[EVENTS];
    uint64_t ignored;

    for (;;) {
        int n = epoll_wait(w->epoll, events, EVENTS, light_answer_due(w));

        for (int i = 0; i < n; i++) {
            struct light_session *s = events[i].data.ptr;

            if (events[i].data.ptr == w) {
                if (read(w->wake, &ignored, sizeof ignored) < 0)
                    light_die("wake");
            } else if (!light_session_serve(s)) {
                light_session_free(s);
            }
        }
    }
    return NULL;
}

static void start_worker(struct light_worker *w)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = w};

    w->bind = ssh_bind_new();
    if (!w->bind || ssh_bind_options_set(w->bind, SSH_BIND_OPTIONS_HOSTKEY, host_key)) {
        fprintf(stderr, "lightserver: %s: not a host key\n", host_key);
        exit(2);
    }
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->epoll < 0 || w->wake < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &wake))
        light_die("epoll");
    if (pthread_create(&w->thread, NULL, worker_main, w))
        light_die("thread");
}

/* ---- connections: in the main thread, so that no key exchange keeps the next one waiting ---- */

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof address;

    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Bound to the device, the address can be any of the loopback network's, and nobody outside reaches it. */
    if (listening < 0 || setsockopt(listening, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") ||
        bind(listening, (struct sockaddr *)&address, len) || listen(listening, 65535) ||
        getsockname(listening, (struct sockaddr *)&address, &len))
        light_die("listen on loopback");
    return ntohs(address.sin_port);
}

static void accept_all(void)
{
    int fd, one = 1;

    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct light_worker *w = &workers[n_accepted++ % n_workers];
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = light_session_new(w, fd)};

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!event.data.ptr || epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event))
            light_die("a connection");
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        light_die("accept");
}

/* Until a signal says that it is enough. */
static void accept_until(const sigset_t *ends)
{
    struct pollfd watched[] = {{.fd = listening, .events = POLLIN}, {.fd = signalfd(-1, ends, SFD_CLOEXEC), .events = POLLIN}};

    if (watched[1].fd < 0)
        light_die("signals");
    while (!watched[1].revents) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR)
            light_die("poll");
        if (watched[0].revents)
            accept_all();
    }
}

/* ---- the process ---- */

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static void report(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    printf("{\"sessions\":%zu,\"authenticated\":%zu,\"commands\":%zu,\"answered\":%zu,\"cpu_s\":%.6f,\"max_rss_kb\":%ld}\n",
           (size_t)light_counts.sessions, (size_t)light_counts.authenticated, (size_t)light_counts.commands,
           (size_t)light_counts.answered, seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss);
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
    int c, port;

    while ((c = getopt(argc, argv, "H:C:o:d:b:t:")) != -1) {
        switch (c) {
        case 'H': host_key = optarg; break;
        case 'C': client = optarg; break;
        case 'o': light_options.output = optarg; break;
        case 'd': light_options.delay_ms = strtoull(optarg, NULL, 10); break;
        case 'b': light_options.barrier = strtoul(optarg, NULL, 10); break;
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
    if (ssh_pki_import_pubkey_file(client, &light_options.client_key) != SSH_OK) {
        fprintf(stderr, "lightserver: %s: not a public key\n", client);
        return 2;
    }
    port = listen_on_loopback();
    for (size_t i = 0; i < n_workers; i++)
        start_worker(&workers[i]);
    printf("%d\n", port);
    fflush(stdout);
    accept_until(&ends);
    report();
    _exit(0); /* the threads know nothing of it */
}
