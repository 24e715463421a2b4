/* The commands of Match lines: once each, beside the loop, and gone when nobody waits for them any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ssh/conf_exec.h"
#include "ssh/ssh.h"

#define WAITERS 10

static char dir[] = "/tmp/muster-conf-exec-XXXXXX";

struct waiter {
    struct mu_conf_exec *exec;
    unsigned done;
    int code;
};

static void on_known(void *arg, const struct mu_err *err)
{
    struct waiter *w = arg;

    w->done++;
    w->code = err->code;
    mu_conf_exec_free(w->exec);
    w->exec = NULL;
}

static struct mu_confs *confs_new(void)
{
    const struct mu_ssh_config config = {0};
    struct mu_confs *c = NULL;

    assert_int_equal(mu_confs_new(&c, &config, NULL), 0);
    return c;
}

static void wait_all(struct mu_loop *loop, const struct waiter *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        while (!w[i].done)
            mu_loop_turn(loop, true);
}

static size_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

/* libuv closes descriptors where the thread sanitizer does not see it: their numbers come back in another thread. */
static pthread_mutex_t loops = PTHREAD_MUTEX_INITIALIZER;

static void run_waiters(struct mu_confs *confs, const char *command, struct waiter *w)
{
    struct mu_loop *loop = NULL;

    pthread_mutex_lock(&loops);
    assert_int_equal(mu_loop_new(&loop, NULL), 0);
    pthread_mutex_unlock(&loops);
    for (size_t i = 0; i < WAITERS; i++)
        assert_int_equal(mu_conf_exec_start(&w[i].exec, loop, NULL, confs, command, on_known, &w[i], NULL), 0);
    wait_all(loop, w, WAITERS);
    pthread_mutex_lock(&loops);
    mu_loop_free(loop);
    pthread_mutex_unlock(&loops);
}

static void test_once(void **state)
{
    struct mu_confs *confs = confs_new();
    struct waiter w[WAITERS] = {0};
    char command[128], path[64];

    (void)state;
    snprintf(path, sizeof(path), "%s/once", dir);
    snprintf(command, sizeof(command), "echo said; echo x >>%s", path);
    assert_int_equal(mu_confs_outcome(confs, command), MU_CONF_PENDING);
    run_waiters(confs, command, w);
    for (size_t i = 0; i < WAITERS; i++) {
        assert_int_equal(w[i].done, 1);
        assert_int_equal(w[i].code, 0);
    }
    assert_int_equal(size_of(path), 2);
    assert_int_equal(mu_confs_outcome(confs, command), 1);

    memset(w, 0, sizeof(w));
    run_waiters(confs, "exit 3", w);
    assert_int_equal(mu_confs_outcome(confs, "exit 3"), 0);
    mu_confs_free(confs);
}

/* ---- two workers ---- */

struct worker {
    struct mu_confs *confs;
    const char *command;
    struct waiter w[WAITERS];
};

static void *work(void *arg)
{
    struct worker *worker = arg;

    run_waiters(worker->confs, worker->command, worker->w);
    return NULL;
}

static void test_two_threads(void **state)
{
    struct mu_confs *confs = confs_new();
    char command[128], path[64];
    struct worker workers[2];
    pthread_t threads[2];

    (void)state;
    snprintf(path, sizeof(path), "%s/threads", dir);
    snprintf(command, sizeof(command), "echo x >>%s", path);
    for (size_t i = 0; i < 2; i++) {
        workers[i] = (struct worker){.confs = confs, .command = command};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < WAITERS; j++)
            assert_int_equal(workers[i].w[j].code, 0);
    assert_int_equal(size_of(path), 2);
    assert_int_equal(mu_confs_outcome(confs, command), 1);
    mu_confs_free(confs);
}

/* ---- given up ---- */

static void flag(void *arg) { *(bool *)arg = true; }

/* Turn the loop, which has to go on whatever its commands do, until the file has grown so far. */
static void turn_until(struct mu_loop *loop, const char *path, size_t size)
{
    bool fired = true;
    struct mu_timer *timer = mu_timer_new(loop, flag, &fired);

    while (size_of(path) < size) {
        if (fired)
            mu_timer_start(timer, NULL, 1);
        fired = false;
        mu_loop_turn(loop, true);
    }
    mu_timer_free(timer);
}

/* A command that never ends: the loop goes on, and the next one in line gets to run it again when the first gives up. */
static void test_given_up(void **state)
{
    struct mu_confs *confs = confs_new();
    struct waiter first = {0}, second = {0};
    struct mu_loop *loop = NULL;
    char command[256], pids[64], fifo[64];
    int fd;

    (void)state;
    snprintf(pids, sizeof(pids), "%s/pids", dir);
    snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    snprintf(command, sizeof(command), "echo x >>%s; read x <%s", pids, fifo);
    assert_int_equal(mu_loop_new(&loop, NULL), 0);
    assert_int_equal(mu_conf_exec_start(&first.exec, loop, NULL, confs, command, on_known, &first, NULL), 0);
    assert_int_equal(mu_conf_exec_start(&second.exec, loop, NULL, confs, command, on_known, &second, NULL), 0);
    turn_until(loop, pids, 2);
    assert_int_equal(first.done + second.done, 0);

    mu_conf_exec_free(first.exec);
    turn_until(loop, pids, 4);
    fd = open(fifo, O_WRONLY);
    assert_int_equal(write(fd, "go\n", 3), 3);
    close(fd);
    wait_all(loop, &second, 1);
    assert_int_equal(first.done, 0);
    assert_int_equal(second.code, 0);
    assert_int_equal(mu_confs_outcome(confs, command), 1);
    mu_loop_free(loop);
    mu_confs_free(confs);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_given_up),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
