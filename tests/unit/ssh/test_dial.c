/* In which order addresses are tried, what a chain of jump hosts says, and who is let in when. */
#include "waystest.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "ssh/dial.h"

static struct mu_addr addr(const char *text, int port)
{
    struct mu_addr a = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in4 = (struct sockaddr_in *)&a.sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;

    if (strchr(text, ':')) {
        a.len = sizeof(*in6);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
    } else {
        in4->sin_family = AF_INET;
        in4->sin_port = htons((uint16_t)port);
        assert_int_equal(inet_pton(AF_INET, text, &in4->sin_addr), 1);
    }
    return a;
}

static void check_order(const char *given, enum mu_ssh_family family, const char *want)
{
    struct mu_addr in[8], out[8];
    char list[256], got[256] = "", *word, *rest = list, text[64];
    size_t n = 0, k;

    snprintf(list, sizeof(list), "%s", given);
    while ((word = strsep(&rest, " ")))
        in[n++] = addr(word, 22);
    k = mu_dial_order(out, in, n, family);
    for (size_t i = 0; i < k; i++) {
        const void *p = out[i].sa.ss_family == AF_INET ? (const void *)&((struct sockaddr_in *)&out[i].sa)->sin_addr
                                                        : (const void *)&((struct sockaddr_in6 *)&out[i].sa)->sin6_addr;

        inet_ntop(out[i].sa.ss_family, p, text, sizeof(text));
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", text);
    }
    assert_string_equal(got, want);
}

static void families_take_turns(void **state)
{
    (void)state;
    check_order("::1 ::2 ::3 10.0.0.1 10.0.0.2", MU_SSH_ANY, "::1 10.0.0.1 ::2 10.0.0.2 ::3");
    check_order("10.0.0.1 10.0.0.2 ::1", MU_SSH_ANY, "10.0.0.1 ::1 10.0.0.2");
    check_order("10.0.0.1 ::1 10.0.0.2", MU_SSH_INET, "10.0.0.1 10.0.0.2");
    check_order("10.0.0.1 ::1 10.0.0.2", MU_SSH_INET6, "::1");
    check_order("10.0.0.1", MU_SSH_INET6, "");
    check_order("10.0.0.1", MU_SSH_ANY, "10.0.0.1");
}

struct dialling {
    bool done;
    int fd;
    struct mu_err err;
    struct mu_dial *d;
};

static void on_dialled(void *arg, int fd, const struct mu_err *err)
{
    struct dialling *x = arg;

    x->done = true;
    x->fd = fd;
    x->err = *err;
    mu_dial_free(x->d);
}

static struct dialling dial(const struct mu_addr *addrs, size_t n, enum mu_ssh_family family, const char *from)
{
    static struct dialling x;

    x = (struct dialling){.fd = -1};
    if (mu_dial_start(&x.d, loop, NULL, "name", 22, addrs, n, family, from, on_dialled, &x, &x.err))
        return x;
    assert_true(run_until(&x.done));
    return x;
}

static int listener(int *port, int backlog)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

/* The first address answers nothing (a full queue), the second refuses, the third is there: it is found long before the
 * first one's time is over. */
static void the_first_that_connects_wins(void **state)
{
    int silent_port, port, fill[4], silent = listener(&silent_port, 0), good = listener(&port, 8);
    struct mu_addr addrs[3];
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);
    struct dialling x;
    int i;

    (void)state;
    addrs[0] = addr("127.0.0.1", silent_port);
    for (i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fill[i], (struct sockaddr *)&addrs[0].sa, addrs[0].len);
    }
    addrs[1] = addr("127.0.0.2", silent_port);
    addrs[2] = addr("127.0.0.1", port);
    x = dial(addrs, 3, MU_SSH_ANY, NULL);
    assert_true(x.fd >= 0);
    assert_int_equal(getpeername(x.fd, (struct sockaddr *)&peer, &len), 0);
    assert_int_equal(ntohs(peer.sin_port), port);
    close(x.fd);

    x = dial(&addrs[1], 1, MU_SSH_ANY, NULL);
    assert_int_equal(x.err.code, MU_EREFUSED);
    x = dial(&addrs[1], 1, MU_SSH_INET6, NULL);
    assert_int_equal(x.err.code, MU_ERESOLVE);
    has(x.err.msg, "no IPv6 address");

    x = dial(&addrs[2], 1, MU_SSH_ANY, "127.0.0.9");
    assert_true(x.fd >= 0);
    assert_int_equal(getsockname(x.fd, (struct sockaddr *)&peer, &len), 0);
    assert_int_equal(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK + 8));
    close(x.fd);
    x = dial(&addrs[2], 1, MU_SSH_ANY, "nonsense");
    assert_int_equal(x.err.code, MU_EINVAL);
    for (i = 0; i < 4; i++)
        close(fill[i]);
    close(silent);
    close(good);
}

static void check_hop(const char *text, const char *want)
{
    char *user = NULL, *host = NULL, got[256];
    struct mu_err err = {0};
    int port = -1;

    if (mu_jump_parse(text, strlen(text), &user, &host, &port, &err))
        snprintf(got, sizeof(got), "no");
    else
        snprintf(got, sizeof(got), "%s|%s|%d", user ? user : "", host, port);
    assert_string_equal(got, want);
    if (!strcmp(want, "no"))
        has(err.msg, "[user@]host[:port]");
    free(user);
    free(host);
}

static void hops(void **state)
{
    (void)state;
    check_hop("a", "|a|0");
    check_hop("u@a:2222", "u|a|2222");
    check_hop("u@x@a", "u@x|a|0");
    check_hop("[::1]:22", "|::1|22");
    check_hop("u@[fe80::1%eth0]", "u|fe80::1%eth0|0");
    check_hop("ssh://u@a:22/", "u|a|22");
    check_hop("", "no");
    check_hop("u@", "no");
    check_hop("@a", "no");
    check_hop("a:", "no");
    check_hop("a:0", "no");
    check_hop("a:65536", "no");
    check_hop("a:2x", "no");
    check_hop("::1", "no");
    check_hop("[::1", "no");
    check_hop("[::1]x", "no");
    check_hop("-oProxyCommand=x", "no");
    check_hop("-l@a", "no");
}

/* ---- gates ---- */

static int order[8];
static int n_in;
static struct mu_gate_ticket tickets[6];

static void on_in(void *arg) { order[n_in++] = (int)((struct mu_gate_ticket *)arg - tickets); }

static void who_came_first_is_let_in_first(void **state)
{
    struct mu_gates *g = mu_gates_new(0);
    struct mu_gate_home *h = NULL;
    struct mu_gate_ticket other;
    int i;

    (void)state;
    n_in = 0;
    assert_int_equal(mu_gate_home_new(&h, g, loop, NULL), 0);
    for (i = 0; i < 6; i++)
        assert_int_equal(mu_gate_enter(&tickets[i], h, "a", 2, on_in, &tickets[i]), i < 2);
    assert_true(mu_gate_enter(&other, h, "b", 1, on_in, NULL));
    mu_gate_leave(&other);
    mu_gate_leave(&tickets[3]); /* waits no longer */
    mu_gate_leave(&tickets[0]);
    mu_gate_leave(&tickets[1]);
    assert_int_equal(n_in, 0); /* told from the loop */
    mu_gate_leave(&tickets[4]); /* it was in, and was not told: the next one is */
    while (n_in < 2)
        mu_loop_turn(loop, true);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 5);
    for (i = 0; i < 6; i++)
        mu_gate_leave(&tickets[i]);
    assert_true(mu_gate_enter(&other, h, "a", 1, on_in, NULL));
    mu_gate_leave(&other);
    mu_gate_home_free(h);
    mu_gates_free(g);
}

#define ROUNDS 300

struct passer {
    struct mu_gates *gates;
    struct mu_loop *loop;
    struct mu_gate_home *home;
    struct mu_gate_ticket tickets[3];
    int passed;
};

static int inside, most; /* the gate's one place orders the accesses: a thread sanitizer sees it when it does not */

static void on_passed(void *arg)
{
    struct mu_gate_ticket *t = arg;

    inside++;
    most = inside > most ? inside : most;
    inside--;
    t->arg = NULL; /* seen */
    mu_gate_leave(t);
}

static void *pass_again_and_again(void *arg)
{
    struct passer *p = arg;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 3; i++)
            if (mu_gate_enter(&p->tickets[i], p->home, "one", 1, on_passed, &p->tickets[i]))
                on_passed(&p->tickets[i]);
        if (round % 7 == 0) { /* gives up, wherever it is */
            mu_gate_leave(&p->tickets[1]);
            p->tickets[1].arg = NULL;
        }
        while (p->tickets[0].arg || p->tickets[1].arg || p->tickets[2].arg)
            mu_loop_turn(p->loop, true);
        p->passed++;
    }
    return NULL;
}

static void threads_pass_one_at_a_time(void **state)
{
    struct mu_gates *g = mu_gates_new(0);
    struct passer p[3] = {{0}};
    pthread_t thread[3];
    int i;

    (void)state;
    inside = most = 0;
    for (i = 0; i < 3; i++) {
        p[i].gates = g;
        assert_int_equal(mu_loop_new(&p[i].loop, NULL), 0);
        assert_int_equal(mu_gate_home_new(&p[i].home, g, p[i].loop, NULL), 0);
        assert_int_equal(pthread_create(&thread[i], NULL, pass_again_and_again, &p[i]), 0);
    }
    for (i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(p[i].passed, ROUNDS);
    }
    assert_int_equal(most, 1);
    for (i = 0; i < 3; i++) {
        mu_gate_home_free(p[i].home);
        mu_loop_free(p[i].loop);
    }
    mu_gates_free(g);
}

static void starts_keep_their_distance(void **state)
{
    struct mu_gates *g = mu_gates_new(10), *none = mu_gates_new(0);
    uint64_t last = 0;

    (void)state;
    assert_int_equal(mu_gates_start(g), 0);
    for (int i = 1; i <= 5; i++) {
        uint64_t wait = mu_gates_start(g);

        assert_true(wait >= last && wait <= (uint64_t)i * 100);
        last = wait;
        assert_int_equal(mu_gates_start(none), 0);
    }
    assert_true(last > 0);
    mu_gates_free(g);
    mu_gates_free(none);
}

static int only_loop(void **state)
{
    (void)state;
    return mu_loop_new(&loop, NULL) ? -1 : 0;
}

static int no_loop(void **state)
{
    (void)state;
    mu_loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_take_turns),
        cmocka_unit_test_setup_teardown(the_first_that_connects_wins, only_loop, no_loop),
        cmocka_unit_test(hops),
        cmocka_unit_test_setup_teardown(who_came_first_is_let_in_first, only_loop, no_loop),
        cmocka_unit_test(threads_pass_one_at_a_time),
        cmocka_unit_test(starts_keep_their_distance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
