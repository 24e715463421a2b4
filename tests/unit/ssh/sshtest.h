/* sshtest.h: what the tests of sessions share: real servers, a loop that runs until something is so, captured output.
 * Everything is static: each test is one program. */
#ifndef SSHTEST_H
#define SSHTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "loop/loop.h"
#include "ssh/internal.h"
#include "ssh/ssh.h"

#define UNUSED __attribute__((unused))

/* Only stops a test that would hang; nothing is judged by it. */
#define PATIENCE_MS 60000
#define CONNECT_MS 30000

static char sshtest_dir[256];
UNUSED static struct mu_loop *loop;
static struct mu_ssh_shared *shared;

static const char *fleet_path(void)
{
    static char path[1024];
    const char *env = getenv("MUSTER_FLEET_PROGRAM"), *slash;

    if (env)
        return env;
    slash = strstr(__FILE__, "/unit/ssh/");
    assert_non_null(slash);
    snprintf(path, sizeof(path), "%.*s/support/fleet", (int)(slash - __FILE__), __FILE__);
    return path;
}

/* Run a command with sh; fails the test when it fails. */
UNUSED static void must(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
UNUSED static void must(const char *fmt, ...)
{
    char text[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (system(text) != 0)
        fail_msg("failed: %s", text);
}

/* First line of a command's output. */
UNUSED static char *output_of(const char *command)
{
    static char line[512];
    FILE *p = popen(command, "r");

    line[0] = '\0';
    assert_non_null(p);
    if (!fgets(line, sizeof(line), p))
        line[0] = '\0';
    pclose(p);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* ---- servers ---- */

struct server {
    char name[32], address[64], user[64], key[512];
    int port;
};

UNUSED static struct server server_named(const char *name)
{
    struct server s = {{0}, {0}, {0}, {0}, 0};
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/servers", sshtest_dir);
    f = fopen(path, "r");
    assert_non_null(f);
    while (fscanf(f, "%31s %63s %d %63s %511s", s.name, s.address, &s.port, s.user, s.key) == 5) {
        if (strcmp(s.name, name) == 0) {
            fclose(f);
            return s;
        }
    }
    fclose(f);
    fail_msg("no server %s", name);
    return s;
}

UNUSED static int fleet_setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    snprintf(sshtest_dir, sizeof(sshtest_dir), "/tmp/muster-ssh-XXXXXX");
    if (!mkdtemp(sshtest_dir))
        return -1;
    must("%s start %s 1 >&2", fleet_path(), sshtest_dir);
    return 0;
}

UNUSED static int fleet_teardown(void **state)
{
    (void)state;
    must("%s stop %s >&2 && rm -rf %s", fleet_path(), sshtest_dir, sshtest_dir);
    return 0;
}

/* ---- what one test uses ---- */

UNUSED static struct mu_ssh_shared *make_shared(const char *key, const char *password)
{
    char known[512];
    const char *known_hosts[] = {known, NULL}, *keys[] = {key, NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = known_hosts, .key_files = keys,
                                   .password = password, .agent_timeout_ms = 5000};
    struct mu_ssh_shared *sh = NULL;
    struct mu_err err = {0};

    snprintf(known, sizeof(known), "%s/known_hosts", sshtest_dir);
    if (mu_ssh_shared_new(&sh, &config, &err))
        fail_msg("%s", err.msg);
    return sh;
}

UNUSED static void load_shared(void)
{
    char key[512];

    snprintf(key, sizeof(key), "%s/id_ed25519", sshtest_dir);
    shared = make_shared(key, NULL);
}

/* One more server, with lines for its sshd_config. Before any session. */
UNUSED static struct server server_add(const char *name, const char *config)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.conf", sshtest_dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(config, f);
    fclose(f);
    must("%s sshd %s %s %s >&2", fleet_path(), sshtest_dir, name, path);
    mu_ssh_shared_free(shared); /* its host key is in the file now */
    load_shared();
    return server_named(name);
}

UNUSED static int test_setup(void **state)
{
    struct mu_err err = {0};

    (void)state;
    if (mu_loop_new(&loop, &err))
        return -1;
    load_shared();
    return 0;
}

UNUSED static int test_teardown(void **state)
{
    (void)state;
    mu_ssh_shared_free(shared);
    mu_loop_free(loop);
    return 0;
}

static void on_patience(void *arg) { *(bool *)arg = true; }

/* Turn the loop until *flag; false when patience ended. */
UNUSED static bool run_until(const bool *flag)
{
    bool over = false;
    struct mu_timer *t = mu_timer_new(loop, on_patience, &over);

    mu_timer_start(t, NULL, PATIENCE_MS);
    while (!*flag && !over)
        mu_loop_turn(loop, true);
    mu_timer_free(t);
    return *flag;
}

/* Turn it for so long, to let something happen that nobody tells. */
UNUSED static void run_for(uint64_t ms)
{
    bool over = false;
    struct mu_timer *t = mu_timer_new(loop, on_patience, &over);

    mu_timer_start(t, NULL, ms);
    while (!over)
        mu_loop_turn(loop, true);
    mu_timer_free(t);
}

struct connecting {
    bool done;
    struct mu_err err;
};

UNUSED static void on_connected(void *arg, const struct mu_err *err)
{
    struct connecting *c = arg;

    assert_false(c->done);
    c->done = true;
    c->err = *err;
}

UNUSED static struct mu_ssh_session *session_to(const struct server *srv)
{
    struct mu_ssh_target target = {.host = srv->address, .port = srv->port, .user = srv->user};
    struct mu_ssh_session *s = NULL;
    struct mu_err err = {0};

    if (mu_ssh_session_new(&s, loop, shared, &target, &err))
        fail_msg("%s", err.msg);
    return s;
}

UNUSED static struct mu_err connect_outcome(struct mu_ssh_session *s, uint64_t timeout_ms)
{
    struct connecting c = {0};
    struct mu_err err = {0};

    if (mu_ssh_session_connect(s, NULL, timeout_ms, on_connected, &c, &err))
        fail_msg("%s", err.msg);
    assert_false(c.done);
    assert_true(run_until(&c.done));
    assert_int_equal(mu_ssh_session_connected(s), c.err.code == 0);
    return c.err;
}

UNUSED static struct mu_ssh_session *connected_to(const struct server *srv)
{
    struct mu_ssh_session *s = session_to(srv);
    struct mu_err err = connect_outcome(s, CONNECT_MS);

    if (err.code)
        fail_msg("%s: %s", mu_code_name(err.code), err.msg);
    return s;
}

struct running {
    bool done;
    struct mu_ssh_exec *e;
    const struct mu_exec_result *r;
};

UNUSED static void on_done(void *arg, struct mu_ssh_exec *e)
{
    struct running *x = arg;

    assert_false(x->done);
    x->done = true;
    x->r = mu_ssh_exec_result(e);
}

UNUSED static void start_request(struct running *x, struct mu_ssh_session *s, const struct mu_exec_request *req)
{
    struct mu_err err = {0};

    memset(x, 0, sizeof(*x));
    if (mu_ssh_exec_start(&x->e, s, NULL, req, on_done, x, &err))
        fail_msg("%s", err.msg);
    assert_false(x->done);
}

UNUSED static void start(struct running *x, struct mu_ssh_session *s, const char *command)
{
    struct mu_exec_request req = {.command = command};

    start_request(x, s, &req);
}

UNUSED static void finish(struct running *x)
{
    if (!run_until(&x->done))
        fail_msg("the command did not end; so far: %s", mu_buf_cstr(&mu_ssh_exec_result(x->e)->out));
}

UNUSED static void run_request(struct running *x, struct mu_ssh_session *s, const struct mu_exec_request *req)
{
    start_request(x, s, req);
    finish(x);
}

UNUSED static void run(struct running *x, struct mu_ssh_session *s, const char *command)
{
    start(x, s, command);
    finish(x);
}

/* The command ran well and said this. */
UNUSED static void expect(struct mu_ssh_session *s, const char *command, const char *out, const char *errors, int status)
{
    struct running x;

    run(&x, s, command);
    if (x.r->error.code)
        fail_msg("%s: %s", command, x.r->error.msg);
    assert_string_equal(mu_buf_cstr(&x.r->out), out);
    assert_string_equal(mu_buf_cstr(&x.r->err), errors);
    assert_int_equal(x.r->exit_status, status);
    mu_ssh_exec_free(x.e);
}

/* Turn the loop until the started command has printed something. */
UNUSED static void wait_for_output(struct running *x)
{
    uint64_t until = mu_clock_ms() + PATIENCE_MS;

    while (!mu_ssh_exec_result(x->e)->out.len && !x->done && mu_clock_ms() < until)
        run_for(5);
    assert_true(mu_ssh_exec_result(x->e)->out.len > 0);
}

/* Turn it until the command's process group is known. */
UNUSED static void wait_for_pid(struct running *x)
{
    uint64_t until = mu_clock_ms() + PATIENCE_MS;

    while (!mu_ssh_exec_result(x->e)->pid && !x->done && mu_clock_ms() < until)
        run_for(5);
    assert_true(mu_ssh_exec_result(x->e)->pid > 1);
}

/* The server's process for the connection that a command runs in. */
UNUSED static pid_t connection_pid(struct running *x)
{
    char command[128];
    int pid;

    wait_for_pid(x);
    snprintf(command, sizeof(command), "ps -o ppid= -p %ld", mu_ssh_exec_result(x->e)->pid);
    pid = atoi(output_of(command));
    assert_true(pid > 1);
    return pid;
}

/* End it, and nothing else: the command is left without a connection. */
UNUSED static void cut_connection(struct running *x) { assert_int_equal(kill(connection_pid(x), SIGKILL), 0); }

#endif
