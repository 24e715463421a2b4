#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct probe {
    struct mu_watch *watch, *victim;
    bool free_self;
    int next_events; /* -1: leave as it is */
    int calls, events;
    struct mu_ctx *ctx;
};

static void on_event(void *arg, int events)
{
    struct probe *p = arg;

    p->calls++;
    p->events = events;
    p->ctx = mu_ctx_current();
    if (p->next_events >= 0)
        assert_int_equal(mu_watch_set(p->watch, p->next_events), 0);
    mu_watch_free(p->victim);
    p->victim = NULL;
    if (p->free_self) {
        mu_watch_free(p->watch);
        p->watch = NULL;
    }
}

static void watch(struct probe *p, struct mu_loop *loop, int fd, int events)
{
    struct mu_err err;

    *p = (struct probe){.next_events = -1};
    if (mu_watch_new(&p->watch, loop, fd, on_event, p, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(mu_watch_set(p->watch, events), 0);
}

static void make_pair(int fds[2]) { assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0); }

static void test_readiness(void **state)
{
    struct mu_loop *loop = new_loop();
    struct probe p;
    char c;
    int fds[2];

    (void)state;
    make_pair(fds);
    watch(&p, loop, fds[0], MU_READABLE);
    mu_loop_turn(loop, false);
    assert_int_equal(p.calls, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    turn_until(loop, &p.calls, 1);
    assert_int_equal(p.events, MU_READABLE);
    turn_until(loop, &p.calls, 3); /* level triggered: again until it is read */
    assert_int_equal(read(fds[0], &c, 1), 1);
    mu_loop_turn(loop, false);
    assert_int_equal(p.calls, 3);

    assert_int_equal(mu_watch_set(p.watch, MU_READABLE | MU_WRITABLE), 0);
    turn_until(loop, &p.calls, 4);
    assert_int_equal(p.events, MU_WRITABLE);
    assert_int_equal(mu_watch_set(p.watch, 0), 0); /* paused */
    assert_int_equal(mu_watch_set(p.watch, 0), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    turn_for_ms(loop, 5);
    assert_int_equal(p.calls, 4);
    assert_int_equal(mu_watch_set(p.watch, MU_READABLE), 0);
    turn_until(loop, &p.calls, 5);
    assert_int_equal(read(fds[0], &c, 1), 1);

    close(fds[1]); /* end of file is readable */
    turn_until(loop, &p.calls, 6);
    assert_true(p.events & MU_READABLE);
    assert_int_equal(read(fds[0], &c, 1), 0);
    mu_watch_free(p.watch);
    mu_watch_free(NULL);
    close(fds[0]);
    mu_loop_free(loop);
}

static void test_free_in_callback(void **state)
{
    struct mu_loop *loop = new_loop();
    struct probe self, a, b, anew;
    int pair1[2], pair2[2], other[2], calls, fd;

    (void)state;
    make_pair(pair1);
    make_pair(pair2);
    watch(&self, loop, pair1[0], MU_WRITABLE);
    self.free_self = true;
    turn_until(loop, &self.calls, 1);
    turn_for_ms(loop, 2);
    assert_int_equal(self.calls, 1);

    /* both ready in the same turn: whichever comes first frees the other, which must stay silent */
    watch(&a, loop, pair2[0], MU_WRITABLE);
    watch(&b, loop, pair2[1], MU_WRITABLE);
    a.victim = b.watch;
    b.victim = a.watch;
    a.next_events = b.next_events = 0;
    mu_loop_turn(loop, true);
    turn_for_ms(loop, 2);
    assert_int_equal(a.calls + b.calls, 1);
    mu_watch_free(a.calls ? a.watch : b.watch);

    /* right after _free the descriptor may be closed, and its number watched anew */
    watch(&a, loop, pair1[0], MU_READABLE);
    mu_watch_free(a.watch);
    fd = pair1[0];
    close(fd);
    make_pair(other);
    assert_int_equal(dup2(other[0], fd), fd);
    watch(&anew, loop, fd, MU_WRITABLE);
    turn_until(loop, &anew.calls, 1);
    calls = a.calls;
    assert_int_equal(calls, 0);
    mu_watch_free(anew.watch);
    if (other[0] != fd)
        close(other[0]);
    close(fd);
    close(other[1]);
    close(pair1[1]);
    close(pair2[0]);
    close(pair2[1]);
    mu_loop_free(loop);
}

static void test_refused_connection(void **state)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    struct mu_loop *loop = new_loop();
    int bound = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int error = 0, status;
    socklen_t error_len = sizeof(error);
    struct probe p;

    (void)state;
    /* a port that is taken, but not listened on */
    assert_int_equal(bind(bound, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(bound, (struct sockaddr *)&addr, &len), 0);
    status = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
    assert_true(status == 0 || errno == EINPROGRESS || errno == ECONNREFUSED);
    watch(&p, loop, fd, MU_WRITABLE);
    turn_until(loop, &p.calls, 1);
    assert_int_equal(p.events, MU_READABLE | MU_WRITABLE);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len), 0);
    if (status && errno == EINPROGRESS)
        assert_int_equal(error, ECONNREFUSED);
    mu_watch_free(p.watch);
    close(fd);
    close(bound);
    mu_loop_free(loop);
}

static void test_error_is_level_triggered(void **state)
{
    struct mu_loop *loop = new_loop();
    struct probe p;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]); /* nobody reads: the write end is in error for good */
    watch(&p, loop, fds[1], MU_WRITABLE);
    turn_until(loop, &p.calls, 3);
    assert_int_equal(p.events, MU_READABLE | MU_WRITABLE);
    p.next_events = 0; /* paused in its callback: silent */
    turn_until(loop, &p.calls, 4);
    turn_for_ms(loop, 2);
    assert_int_equal(p.calls, 4);
    p.next_events = -1;
    assert_int_equal(mu_watch_set(p.watch, MU_WRITABLE), 0);
    p.free_self = true;
    turn_until(loop, &p.calls, 5);
    turn_for_ms(loop, 2);
    assert_int_equal(p.calls, 5);
    close(fds[1]);
    mu_loop_free(loop);
}

static void test_what_cannot_be_watched(void **state)
{
    struct mu_loop *loop = new_loop();
    struct mu_watch *w = (struct mu_watch *)state;
    struct mu_err err;
    struct probe p;
    int file = open("/proc/self/exe", O_RDONLY), fds[2];

    make_pair(fds);
    assert_int_equal(mu_watch_new(&w, loop, file, on_event, NULL, &err), MU_EIO);
    assert_null(w);
    assert_int_equal(err.code, MU_EIO);
    assert_int_equal(err.sys, EPERM);
    assert_int_equal(mu_watch_new(&w, loop, -1, on_event, NULL, NULL), MU_EIO);
    watch(&p, loop, fds[0], MU_READABLE);
    assert_int_equal(mu_watch_new(&w, loop, fds[0], on_event, NULL, &err), MU_EIO); /* one watch a descriptor */
    assert_int_equal(err.sys, EEXIST);
    mu_watch_free(p.watch);
    close(file);
    close(fds[0]);
    close(fds[1]);
    mu_loop_free(loop);
}

static void test_context(void **state)
{
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "a"), *other = mu_ctx_with_str(NULL, "server_id", "b");
    struct mu_loop *loop = new_loop();
    struct probe p;
    int fds[2];

    (void)state;
    make_pair(fds);
    watch(&p, loop, fds[0], MU_WRITABLE);
    turn_until(loop, &p.calls, 1);
    assert_null(p.ctx);
    mu_watch_set_ctx(p.watch, ctx);
    turn_until(loop, &p.calls, 2);
    assert_ptr_equal(p.ctx, ctx);
    mu_watch_set_ctx(p.watch, other);
    mu_ctx_unref(other);
    turn_until(loop, &p.calls, 3);
    assert_ptr_equal(p.ctx, other);
    p.free_self = true;
    turn_until(loop, &p.calls, 4);
    assert_null(mu_ctx_current());
    mu_ctx_unref(ctx);
    close(fds[0]);
    close(fds[1]);
    mu_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_free_in_callback),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_error_is_level_triggered),
        cmocka_unit_test(test_what_cannot_be_watched),
        cmocka_unit_test(test_context),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
