/* The agent's proxy without an agent and with a real ssh-agent, and those who ask it, good and hostile. What it makes
 * of an agent's answers: test_agent_answers.c. */
#include "agent_support.h"

#include <dirent.h>

#include "auth_server.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_agent, clear_log),
        cmocka_unit_test_setup(test_hostile_clients, clear_log),
        cmocka_unit_test_setup(test_ends_in_the_middle, clear_log),
        cmocka_unit_test_setup_teardown(test_real_agent, clear_log, end_real_agent),
    };

    return cmocka_run_group_tests(tests, set_up_identity, tear_down_identity);
}
