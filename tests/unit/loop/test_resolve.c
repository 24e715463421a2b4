/* The names here are answered by this program, whose getaddrinfo stands before the C library's: no test depends on the
 * machine's DNS, and a lookup can be held up for as long as a test needs. */
#include "support.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "loop/resolve.h"

static sem_t entered, release;
static atomic_int lookups; /* without AI_NUMERICHOST */

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    getaddrinfo_fn *real;
    int code;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints->ai_flags & AI_NUMERICHOST)
        return real(host, service, hints, out);
    atomic_fetch_add(&lookups, 1);
    if (strcmp(host, "gone.invalid") == 0)
        return EAI_NONAME;
    if (strcmp(host, "busy.invalid") == 0)
        return EAI_AGAIN;
    if (strcmp(host, "stuck.test") == 0) {
        sem_post(&entered);
        while (sem_wait(&release))
            ;
        return EAI_AGAIN;
    }
    if (strcmp(host, "two.test") != 0)
        return real(host, service, hints, out);
    code = real("2001:db8::7", NULL, hints, out);
    if (code == 0)
        code = real("192.0.2.7", NULL, hints, &(*out)->ai_next);
    return code;
}

struct answer {
    struct mu_resolve *r;
    int calls;
    struct mu_addr addrs[8];
    size_t n;
    struct mu_err err;
    struct mu_ctx *ctx;
};

static void on_answer(void *arg, const struct mu_addr *addrs, size_t n, const struct mu_err *err)
{
    struct answer *a = arg;

    a->calls++;
    a->n = n;
    a->err = *err;
    a->ctx = mu_ctx_current();
    for (size_t i = 0; i < n && i < 8; i++)
        a->addrs[i] = addrs[i];
    mu_resolve_cancel(a->r); /* too late to mean anything, and harmless */
}

static void start(struct answer *a, struct mu_loop *loop, struct mu_ctx *ctx, const char *host)
{
    struct mu_err err;

    memset(a, 0, sizeof(*a));
    if (mu_resolve_start(&a->r, loop, ctx, host, 2222, on_answer, a, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(a->calls, 0); /* never from inside */
}

static void ask(struct answer *a, const char *host)
{
    struct mu_loop *loop = new_loop();
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "a"), *kept = ctx;

    start(a, loop, ctx, host);
    mu_ctx_unref(ctx);
    turn_until(loop, &a->calls, 1);
    mu_loop_turn(loop, false);
    assert_int_equal(a->calls, 1);
    assert_ptr_equal(a->ctx, kept);
    assert_null(mu_ctx_current());
    mu_loop_free(loop);
}

static void assert_addr(const struct mu_addr *addr, const char *text)
{
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)&addr->sa;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->sa;
    char got[INET6_ADDRSTRLEN];

    if (addr->sa.ss_family == AF_INET) {
        assert_int_equal(addr->len, sizeof(*in4));
        assert_int_equal(ntohs(in4->sin_port), 2222);
        inet_ntop(AF_INET, &in4->sin_addr, got, sizeof(got));
    } else {
        assert_int_equal(addr->sa.ss_family, AF_INET6);
        assert_int_equal(addr->len, sizeof(*in6));
        assert_int_equal(ntohs(in6->sin6_port), 2222);
        inet_ntop(AF_INET6, &in6->sin6_addr, got, sizeof(got));
    }
    assert_string_equal(got, text);
}

static void test_numeric(void **state)
{
    static const char *const texts[] = {"127.0.0.1", "192.0.2.55", "::1", "2001:db8::17", "::ffff:192.0.2.1"};
    struct answer a;

    (void)state;
    atomic_store(&lookups, 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        ask(&a, texts[i]);
        assert_int_equal(a.err.code, 0);
        assert_int_equal(a.n, 1);
        assert_addr(&a.addrs[0], texts[i]);
    }
    ask(&a, "fe80::1%lo");
    assert_int_equal(a.n, 1);
    assert_addr(&a.addrs[0], "fe80::1");
    assert_true(((const struct sockaddr_in6 *)&a.addrs[0].sa)->sin6_scope_id > 0);
    ask(&a, "fe80::1%no-such-interface");
    assert_int_equal(a.err.code, MU_ERESOLVE);
    ask(&a, "fe80::zz");
    assert_int_equal(a.err.code, MU_ERESOLVE);
    assert_non_null(strstr(a.err.msg, "\"fe80::zz\""));
    assert_int_equal(atomic_load(&lookups), 0);
}

static void test_names(void **state)
{
    struct answer a;

    (void)state;
    ask(&a, "localhost");
    assert_int_equal(a.err.code, 0);
    assert_true(a.n >= 1);
    assert_true(a.addrs[0].sa.ss_family == AF_INET || a.addrs[0].sa.ss_family == AF_INET6);
    ask(&a, "two.test");
    assert_int_equal(a.n, 2);
    assert_addr(&a.addrs[0], "2001:db8::7");
    assert_addr(&a.addrs[1], "192.0.2.7");
}

static void test_failures(void **state)
{
    char host[400], expected[96];
    struct mu_loop *loop = new_loop();
    struct mu_resolve *r = (struct mu_resolve *)state;
    struct mu_err err;
    struct answer a;

    ask(&a, "gone.invalid");
    assert_int_equal(a.err.code, MU_ERESOLVE);
    assert_int_equal(a.n, 0);
    snprintf(expected, sizeof(expected), "name resolution: %s", gai_strerror(EAI_NONAME));
    assert_string_equal(a.err.cause, expected); /* no host in it: failures of the same kind are folded by it */
    assert_non_null(strstr(a.err.msg, "\"gone.invalid\""));
    ask(&a, "busy.invalid");
    snprintf(expected, sizeof(expected), "name resolution: %s", gai_strerror(EAI_AGAIN));
    assert_string_equal(a.err.cause, expected);
    ask(&a, "");
    assert_int_equal(a.err.code, MU_ERESOLVE);
    memset(host, 'x', sizeof(host));
    host[sizeof(host) - 1] = '\0';
    ask(&a, host);
    assert_int_equal(a.err.code, MU_ERESOLVE);

    for (int port = -1; port <= 65536; port += port == 0 ? 65536 : 1)
        assert_int_equal(mu_resolve_start(&r, loop, NULL, "localhost", port, on_answer, &a, &err), MU_EINVAL);
    assert_null(r);
    mu_loop_free(loop);
}

static void test_cancel(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "two.test", "gone.invalid", "stuck.test"};
    enum { N = 40 }; /* many more than there are helper threads */
    struct answer answers[N];
    struct mu_loop *loop = new_loop();

    (void)state;
    for (int i = 0; i < N; i++)
        start(&answers[i], loop, NULL, hosts[i % 4]);
    while (sem_wait(&entered)) /* one is inside, and cannot be got out of there */
        ;
    for (int i = 0; i < N; i++)
        mu_resolve_cancel(answers[i].r);
    mu_resolve_cancel(NULL);
    mu_loop_turn(loop, false);
    for (int i = 0; i < N; i++)
        sem_post(&release);
    mu_loop_free(loop); /* waits for it; a touch of freed memory is for the sanitizers to find */
    for (int i = 0; i < N; i++)
        assert_int_equal(answers[i].calls, 0);
    while (sem_trywait(&release) == 0)
        ;
    while (sem_trywait(&entered) == 0)
        ;
}

static void test_others_go_on_while_some_are_stuck(void **state)
{
    enum { STUCK = 6 };
    struct mu_loop *loop = new_loop();
    struct answer stuck[STUCK], others[20];
    int answered = 0;

    (void)state;
    for (int i = 0; i < STUCK; i++)
        start(&stuck[i], loop, NULL, "stuck.test");
    for (int i = 0; i < STUCK; i++)
        while (sem_wait(&entered)) /* all of them at once */
            ;
    for (int i = 0; i < 20; i++)
        start(&others[i], loop, NULL, i % 2 ? "two.test" : "gone.invalid");
    while (answered < 20) {
        mu_loop_turn(loop, true);
        answered = 0;
        for (int i = 0; i < 20; i++)
            answered += others[i].calls;
    }
    for (int i = 0; i < STUCK; i++) {
        assert_int_equal(stuck[i].calls, 0);
        sem_post(&release);
    }
    for (int i = 0; i < STUCK; i++) {
        turn_until(loop, &stuck[i].calls, 1);
        assert_int_equal(stuck[i].err.code, MU_ERESOLVE);
    }
    mu_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numeric), cmocka_unit_test(test_names),
        cmocka_unit_test(test_failures), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_others_go_on_while_some_are_stuck),
    };

    mu_resolve_set_parallel(8);
    sem_init(&entered, 0, 0);
    sem_init(&release, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
