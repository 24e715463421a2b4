/* What the agent's proxy makes of an agent's answers: lists and signatures that are good, bad, late, or never come. */
#include "agent_support.h"

static int hang_up(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    (void)fd;
    (void)frame;
    (void)len;
    return 1;
}

static int sign_and_hang_up(struct fake *f, int fd, const char *frame, size_t len)
{
    sign(f, fd, frame, len);
    return 1;
}

static int sign_in_pieces(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    (void)frame;
    (void)len;
    for (size_t i = 0; i < sizeof(signature); i++)
        send_all(fd, signature + i, 1);
    return 0;
}

static int sign_too_much(struct fake *f, int fd, const char *frame, size_t len)
{
    const char huge[] = {0, 4, 0, 1, 14};

    (void)f;
    (void)frame;
    (void)len;
    send_all(fd, huge, sizeof(huge));
    return 0;
}

static int sign_twice(struct fake *f, int fd, const char *frame, size_t len)
{
    char both[2 * sizeof(signature)];

    (void)f;
    (void)frame;
    (void)len;
    memcpy(both, signature, sizeof(signature));
    memcpy(both + sizeof(signature), signature, sizeof(signature));
    send_all(fd, both, sizeof(both));
    return 0;
}

static int refuse(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    (void)frame;
    (void)len;
    send_all(fd, failure, sizeof(failure));
    return 0;
}

/* ---- lists ---- */

static void test_stalled_from_the_start(void **state)
{
    struct fake fake = {.on_sign = keep_silent};
    struct mu_ssh_shared *sh;

    (void)state;
    fake_start(&fake, in_scratch("stalled"));
    sh = shared_with(fake.path, 100);
    assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
    assert_int_equal(times_logged("warning "), 1);
    assert_int_equal(times_logged("stalled did not answer within 0.1 s; going on without it"), 1);
    mu_ssh_shared_free(sh);
    fake_stop(&fake);
}

static void test_queue_full(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), held[64], n = 0;
    struct mu_ssh_shared *sh;

    (void)state;
    strcpy(addr.sun_path, in_scratch("full"));
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listen_fd, 0), 0);
    do /* an agent that does not even accept */
        held[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    while (connect(held[n++], (struct sockaddr *)&addr, sizeof(addr)) == 0 && n < 64);
    sh = shared_with(addr.sun_path, 100);
    assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
    assert_int_equal(times_logged("full did not answer within 0.1 s; going on without it"), 1);
    mu_ssh_shared_free(sh);
    while (n--)
        close(held[n]);
    close(listen_fd);
}

static void test_bad_lists(void **state)
{
    static const struct {
        const char bytes[16];
        size_t len;
        const char *says;
    } lists[] = {
        {{0, 0, 0, 1, MU_AGENT_FAILURE}, 5, "warning SSH agent %s refuses to list its keys"},
        {{0, 0, 0, 5, MU_AGENT_LIST_ANSWER, 0, 0, 0, 0}, 9, "debug SSH agent %s: 0 keys"},
        {{0, 0, 0, 5, MU_AGENT_LIST_ANSWER, 0, 0, 0, 1}, 9, "warning SSH agent %s: its answer is malformed"},
        {{0, 0, 0, 5, MU_AGENT_LIST_ANSWER, 127, 127, 127, 127}, 9, "warning SSH agent %s: its answer is malformed"},
        {{0, 0, 0, 9, MU_AGENT_LIST_ANSWER, 0, 0, 0, 1, 127, 127, 0, 0},
         13,
         "warning SSH agent %s: its answer is malformed"},
        {{0, 0, 0, 1, MU_AGENT_LIST_ANSWER}, 5, "warning SSH agent %s: its answer is malformed"},
        {{0, 0, 0, 1, 99}, 5, "warning SSH agent %s: its answer is malformed"},
        {{0, 0, 0, 0}, 4, "warning SSH agent %s: its answer is malformed"},
        {{127, 0, 0, 0}, 4, "warning SSH agent %s: its answer is malformed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct mu_buf list = MU_BUF_INIT, says = MU_BUF_INIT;
        struct fake fake = {.list = &list, .on_sign = keep_silent};
        const char *blank = strstr(lists[i].says, "%s");
        struct mu_ssh_shared *sh;
        mu_buf_clear(&log_lines);
        mu_buf_add(&list, lists[i].bytes, lists[i].len);
        fake_start(&fake, in_scratch("bad-list"));
        sh = shared_with(fake.path, 20000);
        assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
        mu_buf_addf(&says, "%.*s%s%s", (int)(blank - lists[i].says), lists[i].says, fake.path, blank + 2);
        if (times_logged(says.data) != 1)
            fail_msg("case %zu: expected \"%s\" in:\n%s", i, says.data, mu_buf_cstr(&log_lines));
        mu_ssh_shared_free(sh);
        fake_stop(&fake);
        mu_buf_free(&list);
        mu_buf_free(&says);
    }
}

/* libssh stops at the first identity that it cannot read: those must not reach it. */
static void test_unreadable_identities(void **state)
{
    static const char odd[] = {0, 0, 0, 11, 0, 0, 0, 7, 's', 's', 'h', '-', 'o', 'd', 'd', 0, 0, 0, 1, 'c'};
    static const char cut[] = {0,   0,   0,   15,  0,   0,   0,   11, 's', 's', 'h', '-',
                               'e', 'd', '2', '5', '5', '1', '9', 0,  0,   0,   0};
    struct mu_buf list = MU_BUF_INIT;
    struct fake fake = {.list = &list, .on_sign = keep_silent};
    struct mu_ssh_shared *sh;
    size_t body;
    int fd;

    (void)state;
    mu_buf_add(&list, "\0\0\0\0\f\0\0\0\4", 9);
    mu_buf_add(&list, odd, sizeof(odd));
    mu_buf_add(&list, one_identity.data + 9, one_identity.len - 9);
    mu_buf_add(&list, cut, sizeof(cut));
    mu_buf_add(&list, odd, sizeof(odd));
    body = list.len - 4;
    list.data[2] = (char)(body >> 8);
    list.data[3] = (char)(body & 255);
    fake_start(&fake, in_scratch("odd"));
    sh = shared_with(fake.path, 20000);
    fd = mu_ssh_shared_agent_fd(sh);
    assert_true(asks(fd, list_request, sizeof(list_request), one_identity.data, one_identity.len));
    assert_true(asks(fd, list_request, sizeof(list_request), one_identity.data, one_identity.len));
    assert_int_equal(atomic_load(&fake.lists), 1); /* asked once a run */
    close(fd);
    mu_ssh_shared_free(sh);
    fake_stop(&fake);
    mu_buf_free(&list);
}

/* ---- sign requests ---- */

static void test_signs(void **state)
{
    static const struct {
        int (*on_sign)(struct fake *, int, const char *, size_t);
        const char *path;
        unsigned connections; /* after four requests */
        bool fails;
    } kinds[] = {{sign, "signs", 1, false},
                 {sign_in_pieces, "pieces", 1, false},
                 {sign_and_hang_up, "once-a-connection", 4, false},
                 {refuse, "refuses", 1, true}}; /* an answer like any other: the agent stays in use */

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct fake fake = {.list = &one_identity, .on_sign = kinds[i].on_sign};
        struct mu_ssh_shared *sh;
        int fd, other;
        fake_start(&fake, in_scratch("%s", kinds[i].path));
        sh = shared_with(fake.path, 20000);
        fd = mu_ssh_shared_agent_fd(sh);
        other = mu_ssh_shared_agent_fd(sh);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        for (int round = 0; round < 4; round++)
            assert_true(kinds[i].fails ? ASKS(round % 2 ? fd : other, sign_request, failure)
                                       : ASKS(round % 2 ? fd : other, sign_request, signature));
        assert_int_equal(atomic_load(&fake.signs), 4);
        assert_int_equal(atomic_load(&fake.connections), kinds[i].connections);
        assert_int_equal(times_logged("warning"), 0);
        close(fd);
        close(other);
        mu_ssh_shared_free(sh);
        fake_stop(&fake);
    }
}

static void test_bad_answers(void **state)
{
    static const struct {
        int (*on_sign)(struct fake *, int, const char *, size_t);
        const char *says;
        unsigned signs;
    } kinds[] = {{keep_silent, "did not answer within 0.2 s; going on without it", 1},
                 {hang_up, "it hung up; going on without it", 2}, /* tried again on a new connection */
                 {sign_too_much, "its answer is malformed; going on without it", 1},
                 {sign_twice, "its answer is malformed; going on without it", 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct fake fake = {.list = &one_identity, .on_sign = kinds[i].on_sign};
        struct mu_ssh_shared *sh;
        int fd, other;
        mu_buf_clear(&log_lines);
        fake_start(&fake, in_scratch("bad"));
        sh = shared_with(fake.path, kinds[i].on_sign == keep_silent ? 200 : 20000);
        fd = mu_ssh_shared_agent_fd(sh);
        other = mu_ssh_shared_agent_fd(sh);
        assert_true(ASKS(fd, sign_request, failure));
        assert_true(ASKS(other, sign_request, failure)); /* and the agent does not see it: */
        assert_true(ASKS(fd, sign_request, failure));
        assert_true(ASKS(fd, list_request, failure));
        assert_int_equal(atomic_load(&fake.signs), kinds[i].signs);
        assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
        assert_int_equal(times_logged("warning"), 1);
        assert_int_equal(times_logged(kinds[i].says), 1);
        close(fd);
        close(other);
        mu_ssh_shared_free(sh);
        fake_stop(&fake);
    }
}

static void *ask_sign(void *arg)
{
    int fd = mu_ssh_shared_agent_fd(arg);
    bool ok = fd < 0 || (ASKS(fd, sign_request, failure) && ASKS(fd, sign_request, failure));

    if (fd >= 0)
        close(fd);
    return (void *)(intptr_t)ok;
}

static void test_stalled_for_several_threads(void **state)
{
    struct fake fake = {.list = &one_identity, .on_sign = keep_silent};
    struct mu_ssh_shared *sh;
    pthread_t threads[8];

    (void)state;
    fake_start(&fake, in_scratch("stalls"));
    sh = shared_with(fake.path, 300);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_sign, sh), 0);
    for (int i = 0; i < 8; i++) {
        void *ok;
        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
    assert_int_equal(atomic_load(&fake.signs), 1); /* so all of it lasted one time-out, not eight or sixteen */
    assert_int_equal(times_logged("warning"), 1);
    mu_ssh_shared_free(sh);
    fake_stop(&fake);
}

static void test_gone_agent(void **state)
{
    struct fake fake = {.list = &one_identity, .on_sign = hang_up};
    struct mu_ssh_shared *sh;
    int fd;

    (void)state;
    fake_start(&fake, in_scratch("gone"));
    sh = shared_with(fake.path, 20000);
    unlink(fake.path); /* the second connection finds nobody */
    fd = mu_ssh_shared_agent_fd(sh);
    assert_true(ASKS(fd, sign_request, failure));
    assert_int_equal(times_logged("warning SSH agent "), 1);
    assert_int_equal(times_logged("No such file"), 1);
    close(fd);
    mu_ssh_shared_free(sh);
    fake_stop(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stalled_from_the_start, clear_log),
        cmocka_unit_test_setup(test_queue_full, clear_log),
        cmocka_unit_test_setup(test_bad_lists, clear_log),
        cmocka_unit_test_setup(test_unreadable_identities, clear_log),
        cmocka_unit_test_setup(test_signs, clear_log),
        cmocka_unit_test_setup(test_bad_answers, clear_log),
        cmocka_unit_test_setup(test_stalled_for_several_threads, clear_log),
        cmocka_unit_test_setup(test_gone_agent, clear_log),
    };

    return cmocka_run_group_tests(tests, set_up_identity, tear_down_identity);
}
