/* The agent's proxy: with a real ssh-agent, and with agents that do everything wrong. */
#include "shared_support.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "auth_server.h"
#include "core/clock.h"
#include "ssh/agent.h"
#include "ssh/known_match.h"
#include "ssh/shared_parts.h"

static const char list_request[] = {0, 0, 0, 1, MU_AGENT_LIST};
static const char sign_request[] = {0, 0, 0, 13, MU_AGENT_SIGN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static const char failure[] = {0, 0, 0, 1, MU_AGENT_FAILURE};
static const char signature[] = {0, 0, 0, 7, 14, 0, 0, 0, 2, 'o', 'k'};

static struct mu_buf one_identity; /* a list answer, framed */

static struct mu_ssh_shared *shared_with(const char *socket_path, uint64_t timeout_ms)
{
    static const char *const none[] = {NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_OFF,
                                   .key_files = none,
                                   .use_agent = true,
                                   .agent_socket = socket_path,
                                   .agent_timeout_ms = timeout_ms};
    struct mu_ssh_shared *sh = NULL;
    struct mu_err err = {0};

    if (mu_ssh_shared_new(&sh, &config, &err))
        fail_msg("%s", err.msg);
    return sh;
}

/* Ask through the proxy; what it must answer. */
static bool asks(int fd, const void *request, size_t len, const void *expected, size_t expected_len)
{
    struct mu_buf answer = MU_BUF_INIT;
    bool ok = mu_ssh_agent_talk(fd, request, len, &answer, mu_clock_ms() + 60000) == 0 && answer.len == expected_len &&
              !memcmp(answer.data, expected, expected_len);

    mu_buf_free(&answer);
    return ok;
}
#define ASKS(fd, request, expected) asks((fd), (request), sizeof(request), (expected), sizeof(expected))

/* ---- fake agents ---- */

struct fake {
    const char *path;
    int listen_fd;
    pthread_t thread;
    atomic_uint connections, lists, signs;
    const struct mu_buf *list; /* NULL: no answer to a list request */
    /* For sign requests: 0 stay, 1 hang up. */
    int (*on_sign)(struct fake *f, int fd, const char *frame, size_t len);
};

static void send_all(int fd, const void *data, size_t len)
{
    if (send(fd, data, len, MSG_NOSIGNAL) < 0)
        return; /* the proxy gave up on us */
}

static void *fake_run(void *arg)
{
    struct fake *f = arg;
    char chunk[4096];
    int fd;

    while ((fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct mu_buf in = MU_BUF_INIT;
        int end = 0;
        ssize_t n;
        atomic_fetch_add(&f->connections, 1);
        while (!end && (n = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
            long frame;
            mu_buf_add(&in, chunk, (size_t)n);
            while (!end && (frame = mu_ssh_agent_frame(in.data, in.len)) > 0) {
                if (in.data[4] == MU_AGENT_LIST) {
                    atomic_fetch_add(&f->lists, 1);
                    if (f->list)
                        send_all(fd, f->list->data, f->list->len);
                } else {
                    atomic_fetch_add(&f->signs, 1);
                    end = f->on_sign(f, fd, in.data, (size_t)frame);
                }
                memmove(in.data, in.data + frame, in.len - (size_t)frame);
                in.len -= (size_t)frame;
            }
        }
        mu_buf_free(&in);
        close(fd);
    }
    return NULL;
}

static void fake_start(struct fake *f, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    f->path = path;
    strcpy(addr.sun_path, path);
    unlink(path);
    f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(f->listen_fd, 8), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

static void fake_stop(struct fake *f)
{
    shutdown(f->listen_fd, SHUT_RDWR); /* ends accept */
    pthread_join(f->thread, NULL);
    close(f->listen_fd);
}

static int keep_silent(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    (void)fd;
    (void)frame;
    (void)len;
    return 0;
}

static int hang_up(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    (void)fd;
    (void)frame;
    (void)len;
    return 1;
}

static int sign(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    assert_int_equal(len, sizeof(sign_request));
    assert_memory_equal(frame, sign_request, len);
    send_all(fd, signature, sizeof(signature));
    return 0;
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

/* ---- no agent ---- */

static void test_no_agent(void **state)
{
    struct mu_ssh_shared *sh = shared_with(in_scratch("nobody"), 100);
    const char *stale = in_scratch("stale");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char too_long[200];
    int fd;

    (void)state;
    assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
    assert_int_equal(times_logged("debug SSH agent "), 1);
    mu_ssh_shared_free(sh);

    strcpy(addr.sun_path, stale);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd); /* a socket that nobody listens on any more */
    sh = shared_with(stale, 100);
    assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
    mu_ssh_shared_free(sh);
    sh = shared_with(NULL, 100); /* and no SSH_AUTH_SOCK */
    assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
    mu_ssh_shared_free(sh);
    assert_int_equal(times_logged("warning"), 0);

    memset(too_long, 'x', sizeof(too_long));
    too_long[sizeof(too_long) - 1] = '\0';
    sh = shared_with(too_long, 100);
    assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
    assert_int_equal(times_logged("warning SSH agent xxx"), 1);
    mu_ssh_shared_free(sh);
}

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

/* ---- those who ask ---- */

static void test_hostile_clients(void **state)
{
    static const char too_long[] = {0, 4, 0, 1, MU_AGENT_SIGN}, empty[] = {0, 0, 0, 0}, unknown[] = {0, 0, 0, 1, 27};
    struct fake fake = {.list = &one_identity, .on_sign = sign};
    struct mu_ssh_shared *sh;
    struct mu_buf answer = MU_BUF_INIT;
    char byte;
    int good, bad;

    (void)state;
    fake_start(&fake, in_scratch("hostile"));
    sh = shared_with(fake.path, 20000);
    good = mu_ssh_shared_agent_fd(sh);
    bad = mu_ssh_shared_agent_fd(sh);
    assert_int_equal(send(bad, too_long, sizeof(too_long), 0), sizeof(too_long));
    assert_int_equal(recv(bad, &byte, 1, 0), 0);
    close(bad);
    bad = mu_ssh_shared_agent_fd(sh);
    assert_int_equal(send(bad, empty, sizeof(empty), 0), sizeof(empty));
    assert_int_equal(recv(bad, &byte, 1, 0), 0);
    close(bad);
    for (int i = 0; i < 200; i++) { /* gone while they wait */
        bad = mu_ssh_shared_agent_fd(sh);
        assert_int_equal(send(bad, sign_request, sizeof(sign_request), 0), sizeof(sign_request));
        close(bad);
    }
    assert_true(ASKS(good, unknown, failure));
    for (size_t i = 0; i < sizeof(sign_request) - 1; i++) /* piece by piece */
        assert_int_equal(send(good, sign_request + i, 1, 0), 1);
    assert_true(asks(good, sign_request + sizeof(sign_request) - 1, 1, signature, sizeof(signature)));
    /* several at once are answered one after the other */
    assert_int_equal(send(good, sign_request, sizeof(sign_request), 0), sizeof(sign_request));
    assert_int_equal(send(good, list_request, sizeof(list_request), 0), sizeof(list_request));
    for (size_t got = 0; got < sizeof(signature) + one_identity.len;) {
        char chunk[512];
        ssize_t n = recv(good, chunk, sizeof(chunk), 0);
        assert_true(n > 0);
        mu_buf_add(&answer, chunk, (size_t)n);
        got += (size_t)n;
    }
    assert_memory_equal(answer.data, signature, sizeof(signature));
    assert_memory_equal(answer.data + sizeof(signature), one_identity.data, one_identity.len);
    assert_int_equal(times_logged("warning"), 0);
    close(good);
    mu_ssh_shared_free(sh);
    fake_stop(&fake);
    mu_buf_free(&answer);
}

static unsigned open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void test_ends_in_the_middle(void **state)
{
    unsigned before = open_fds();

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct fake fake = {.list = &one_identity, .on_sign = keep_silent};
        struct mu_ssh_shared *sh;
        int fds[50];
        fake_start(&fake, in_scratch("middle"));
        sh = shared_with(fake.path, 20000);
        for (int k = 0; k < 50; k++) {
            fds[k] = mu_ssh_shared_agent_fd(sh);
            assert_int_equal(send(fds[k], sign_request, sizeof(sign_request), 0), sizeof(sign_request));
        }
        mu_ssh_shared_free(sh);
        for (int k = 0; k < 50; k++) {
            char chunk[512];
            while (recv(fds[k], chunk, sizeof(chunk), 0) > 0) /* ends, since nobody is left */
                ;
            close(fds[k]);
        }
        fake_stop(&fake);
    }
    assert_int_equal(open_fds(), before);
}

/* ---- the real one ---- */

static pid_t real_agent; /* ended with the test, however that ends */

static int end_real_agent(void **state)
{
    (void)state;
    if (real_agent > 1) {
        kill(real_agent, SIGTERM);
        kill(real_agent, SIGCONT);
    }
    real_agent = 0;
    return 0;
}

struct many {
    pthread_t thread;
    struct mu_ssh_shared *sh;
    const char *host_key;
    unsigned failed;
};

static void *authenticate_often(void *arg)
{
    struct many *m = arg;

    for (int i = 0; i < 5; i++) {
        int fd = mu_ssh_shared_agent_fd(m->sh);
        m->failed += fd < 0 || authenticate(m->host_key, NULL, fd) != SSH_AUTH_SUCCESS;
    }
    return NULL;
}

static void test_real_agent(void **state)
{
    static const char *const types[] = {"ed25519", "ecdsa", "rsa"};
    const char *path = in_scratch("agent"), *key = in_scratch("agent-key"), *host_key = in_scratch("host-key");
    struct mu_buf out = MU_BUF_INIT, env = MU_BUF_INIT;
    struct many threads[4];
    struct mu_ssh_shared *sh;
    ssh_key other = NULL;
    const char *p;

    (void)state;
    assert_int_equal(RUN(&out, "ssh-agent", "-s", "-a", path), 0);
    p = strstr(out.data, "SSH_AGENT_PID=");
    assert_non_null(p);
    real_agent = (pid_t)strtol(p + strlen("SSH_AGENT_PID="), NULL, 10);
    assert_true(real_agent > 1);
    mu_buf_addf(&env, "SSH_AUTH_SOCK=%s", path);
    make_key(host_key, "ed25519", "256", "", NULL);
    for (int t = 0; t < 3; t++) {
        make_key(key, types[t], t == 2 ? "2048" : "256", "", NULL);
        assert_int_equal(RUN(NULL, "env", env.data, "ssh-add", "-D"), 0);
        assert_int_equal(RUN(NULL, "env", env.data, "ssh-add", key), 0);
        setenv("SSH_AUTH_SOCK", path, 1);
        sh = shared_with(NULL, 20000);
        unsetenv("SSH_AUTH_SOCK");
        for (int i = 0; i < 4; i++) {
            threads[i] = (struct many){.sh = sh, .host_key = host_key};
            assert_int_equal(pthread_create(&threads[i].thread, NULL, authenticate_often, &threads[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i].thread, NULL);
            assert_int_equal(threads[i].failed, 0);
        }
        mu_ssh_shared_free(sh);
    }
    assert_int_equal(times_logged("warning"), 0);

    /* stopped in its tracks: the session goes on with another key */
    sh = shared_with(path, 300);
    threads[0] = (struct many){.sh = sh, .host_key = host_key};
    kill(real_agent, SIGSTOP);
    assert_int_equal(ssh_pki_import_privkey_file(host_key, NULL, NULL, NULL, &other), SSH_OK);
    assert_int_equal(authenticate(host_key, other, mu_ssh_shared_agent_fd(sh)), SSH_AUTH_SUCCESS);
    ssh_key_free(other);
    assert_int_equal(mu_ssh_shared_agent_fd(sh), -1);
    assert_int_equal(times_logged("did not answer within 0.3 s; going on without it"), 1);
    kill(real_agent, SIGCONT);
    mu_ssh_shared_free(sh);
    mu_buf_free(&out);
    mu_buf_free(&env);
}

static int set_up_identity(void **state)
{
    ssh_key key = NULL;
    char *b64 = NULL;
    unsigned char blob[128];
    long len;

    if (set_up(state) || ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) || ssh_pki_export_pubkey_base64(key, &b64))
        return -1;
    len = mu_known_base64(b64, strlen(b64), blob, sizeof(blob));
    mu_buf_add(&one_identity, (char[]){0, 0, 0, (char)(5 + 4 + len + 4 + 3), MU_AGENT_LIST_ANSWER, 0, 0, 0, 1}, 9);
    mu_buf_add(&one_identity, (char[]){0, 0, 0, (char)len}, 4);
    mu_buf_add(&one_identity, blob, (size_t)len);
    mu_buf_add(&one_identity, "\0\0\0\3key", 7);
    ssh_string_free_char(b64);
    ssh_key_free(key);
    return len > 0 ? 0 : -1;
}

static int tear_down_identity(void **state)
{
    mu_buf_free(&one_identity);
    return tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_agent, clear_log),
        cmocka_unit_test_setup(test_stalled_from_the_start, clear_log),
        cmocka_unit_test_setup(test_queue_full, clear_log),
        cmocka_unit_test_setup(test_bad_lists, clear_log),
        cmocka_unit_test_setup(test_unreadable_identities, clear_log),
        cmocka_unit_test_setup(test_signs, clear_log),
        cmocka_unit_test_setup(test_bad_answers, clear_log),
        cmocka_unit_test_setup(test_stalled_for_several_threads, clear_log),
        cmocka_unit_test_setup(test_gone_agent, clear_log),
        cmocka_unit_test_setup(test_hostile_clients, clear_log),
        cmocka_unit_test_setup(test_ends_in_the_middle, clear_log),
        cmocka_unit_test_setup_teardown(test_real_agent, clear_log, end_real_agent),
    };

    return cmocka_run_group_tests(tests, set_up_identity, tear_down_identity);
}
