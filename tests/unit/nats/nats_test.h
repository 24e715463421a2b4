/* nats_test.h: a real nats-server for a test, on a free port of the loopback, and a client of it. Hangs are ended by the test
 * driver. */
#ifndef NATS_TEST_H
#define NATS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "loop/loop.h"
#include "nats/client.h"

#define UNUSED __attribute__((unused))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What goes on in one test. */
struct bed {
    char dir[64], url[128], path[256];
    pid_t runner; /* tests/support/nats */
    struct mu_loop *loop;
    struct mu_nats *n;
    struct mu_err err;
    int ups, downs; /* as the state callback was told */
    char why[256];
};

UNUSED static const char *in_dir(struct bed *b, const char *name)
{
    snprintf(b->path, sizeof b->path, "%s/%s", b->dir, name);
    return b->path;
}

UNUSED static void write_file(struct bed *b, const char *name, const char *text)
{
    FILE *f = fopen(in_dir(b, name), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

UNUSED static bool read_line(struct bed *b, const char *name, char *out, size_t size)
{
    FILE *f = fopen(in_dir(b, name), "r");
    bool ok = f && fgets(out, (int)size, f);

    if (f)
        fclose(f);
    if (ok)
        out[strcspn(out, "\n")] = '\0';
    return ok;
}

static void pause_ms(unsigned ms) { usleep(ms * 1000); }

/* config: text of its configuration, or NULL. On the same port and store as before, if there was one in this test. */
UNUSED static void server_start(struct bed *b, const char *config)
{
    pid_t parent = getpid();
    char conf[256] = "";

    unlink(in_dir(b, "ready"));
    if (config) {
        write_file(b, "test.conf", config);
        snprintf(conf, sizeof conf, "%s", in_dir(b, "test.conf"));
    }
    b->runner = fork();
    assert_true(b->runner >= 0);
    if (b->runner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(9);
        unsetenv("LD_PRELOAD");
        execl(MUSTER_SOURCE "/tests/support/nats", "nats", "run", b->dir, conf, (char *)NULL);
        _exit(9);
    }
    while (!read_line(b, "ready", b->url, sizeof b->url)) {
        if (waitpid(b->runner, NULL, WNOHANG) != 0)
            fail_msg("the server does not start: see above");
        pause_ms(5);
    }
}

UNUSED static void server_signal(struct bed *b, int sig)
{
    char pid[32];

    assert_true(read_line(b, "pid", pid, sizeof pid));
    assert_int_equal(kill((pid_t)atoi(pid), sig), 0);
}

/* Stop it, and wait until it has: each of its threads. */
UNUSED static void server_stop(struct bed *b)
{
    char pid[32], path[320], line[256];
    bool stopped = false;

    server_signal(b, SIGSTOP);
    assert_true(read_line(b, "pid", pid, sizeof pid));
    while (!stopped) {
        DIR *tasks;
        struct dirent *d;

        snprintf(path, sizeof path, "/proc/%s/task", pid);
        tasks = opendir(path);
        assert_non_null(tasks);
        stopped = true;
        while ((d = readdir(tasks)) != NULL) {
            FILE *f;

            if (d->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "/proc/%s/task/%.16s/stat", pid, d->d_name);
            f = fopen(path, "r");
            if (f && fgets(line, sizeof line, f) && !strstr(line, ") T "))
                stopped = false;
            if (f)
                fclose(f);
        }
        closedir(tasks);
        if (!stopped)
            pause_ms(1);
    }
}

UNUSED static void server_kill(struct bed *b)
{
    server_signal(b, SIGKILL);
    assert_true(waitpid(b->runner, NULL, 0) == b->runner);
    b->runner = 0;
}

UNUSED static void server_end(struct bed *b)
{
    if (b->runner <= 0)
        return;
    kill(b->runner, SIGTERM);
    waitpid(b->runner, NULL, 0);
    b->runner = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

UNUSED static int bed_setup(void **state)
{
    struct bed *b = calloc(1, sizeof *b);

    snprintf(b->dir, sizeof b->dir, "/tmp/muster-nats.XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(mu_loop_new(&b->loop, &b->err), 0);
    *state = b;
    return 0;
}

UNUSED static int bed_teardown(void **state)
{
    struct bed *b = *state;

    mu_nats_close(b->n);
    mu_loop_free(b->loop);
    server_end(b);
    nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(b);
    return 0;
}

UNUSED static void on_state(void *arg, bool connected, const char *why)
{
    struct bed *b = arg;

    if (connected)
        b->ups++;
    else
        b->downs++;
    snprintf(b->why, sizeof b->why, "%s", why);
}

/* Connect with these; c->urls NULL: to the server. */
UNUSED static int bed_open(struct bed *b, struct mu_nats_config *c)
{
    struct mu_nats_config none = {0};

    c = c ? c : &none;
    if (!c->urls)
        c->urls = b->url;
    return mu_nats_open(&b->n, c, b->loop, on_state, b, &b->err);
}

#define OK(b, call)                                                                                                            \
    do {                                                                                                                       \
        if ((call) != 0)                                                                                                       \
            fail_msg("%s: %s", #call, (b)->err.msg);                                                                           \
    } while (0)

/* With a server and a client. */
UNUSED static struct bed *bed_up(void **state)
{
    struct bed *b = *state;

    server_start(b, NULL);
    OK(b, bed_open(b, NULL));
    return b;
}

#define TURN_UNTIL(b, condition)                                                                                               \
    while (!(condition))                                                                                                       \
    mu_loop_turn((b)->loop, true)

static void nothing(void *arg) { (void)arg; }

/* For "this must not happen" only, never for "this will have happened". */
UNUSED static void turn_for_ms(struct bed *b, uint64_t ms)
{
    struct mu_timer *t = mu_timer_new(b->loop, nothing, NULL);
    uint64_t end;

    mu_loop_update_time(b->loop);
    end = mu_loop_now_ms(b->loop) + ms;
    mu_timer_start(t, NULL, ms);
    while (mu_loop_now_ms(b->loop) < end)
        mu_loop_turn(b->loop, true);
    mu_timer_free(t);
}

UNUSED static void make_stream(struct bed *b, const char *name, const char *subject, enum mu_nats_retention retention)
{
    const char *subjects[] = {subject, NULL};
    struct mu_nats_stream s = {.name = name, .subjects = subjects, .retention = retention};

    OK(b, mu_nats_stream_ensure(b->n, &s, &b->err));
}

UNUSED static void make_consumer(struct bed *b, const char *durable, const char *filter, int64_t ack_wait_ms)
{
    struct mu_nats_consumer c = {.stream = "WORK", .durable = durable, .filter = filter, .ack_wait_ms = ack_wait_ms,
                                 .max_deliver = 10, .max_ack_pending = 10000};

    OK(b, mu_nats_consumer_ensure(b->n, &c, &b->err));
}

UNUSED static void put(struct bed *b, const char *subject, const char *text)
{
    OK(b, mu_nats_put(b->n, subject, text, strlen(text), MU_NATS_ANY, NULL, &b->err));
}

UNUSED static void assert_says(const struct bed *b, const char *part)
{
    if (!strstr(b->err.msg, part))
        fail_msg("\"%s\" is not in: %s", part, b->err.msg);
}

#endif
