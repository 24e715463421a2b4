/* Servers behind jump hosts and proxy commands: real sshds, which forward to each other. */
#include "waystest.h"

#define MANY 12

static struct server target;

static void many_servers_share_the_jump_hosts_connection(void **state)
{
    struct mu_ssh_session *s[MANY];
    struct connecting c[MANY] = {{0}};
    int before = logins("srv01"), i;

    (void)state;
    for (i = 0; i < MANY; i++) {
        s[i] = session_via(&target, hop("srv01"));
        assert_int_equal(mu_ssh_session_connect(s[i], NULL, CONNECT_MS, on_connected, &c[i], NULL), 0);
    }
    for (i = 0; i < MANY; i++) {
        assert_true(run_until(&c[i].done));
        if (c[i].err.code)
            fail_msg("%s", c[i].err.msg);
    }
    for (i = 0; i < MANY; i++)
        expect(s[i], "echo \"$MUSTER_SERVER\"; echo e >&2; exit 7", "srv02\n", "e\n", 7);
    assert_int_equal(logins("srv01"), before + 1);
    for (i = 0; i < MANY; i++)
        mu_ssh_session_free(s[i]);
}

static void a_chain_of_two(void **state)
{
    char chain[500];
    struct mu_ssh_session *s;

    (void)state;
    snprintf(chain, sizeof(chain), "%s,%s", hop("srv01"), hop("srv03"));
    s = session_via(&target, chain);
    connects(s);
    /* The server sees the second hop's connection: its peer's port belongs to a process of srv03. */
    expect(s, "echo \"$MUSTER_SERVER\"", "srv02\n", "", 0);
    mu_ssh_session_disconnect(s);
    connects(s);
    expect(s, "echo again", "again\n", "", 0);
    mu_ssh_session_free(s);
}

static void a_session_without_shared_ways_has_its_own(void **state)
{
    struct mu_ssh_session *s = session_to(&target);

    (void)state;
    set_text(&s->options->proxy_jump, hop("srv01"));
    connects(s);
    expect(s, "echo x", "x\n", "", 0);
    mu_ssh_session_free(s);
}

struct flood {
    size_t sent, size;
};

static long more(void *arg, char *buf, size_t n, struct mu_err *err)
{
    struct flood *f = arg;
    size_t i;

    (void)err;
    if (n > f->size - f->sent)
        n = f->size - f->sent;
    for (i = 0; i < n; i++)
        buf[i] = (char)((f->sent + i) * 2654435761u >> 13);
    f->sent += n;
    return (long)n;
}

/* Both ways at once and more than any buffer holds, so that each side is blocked by the other again and again. */
static void much_goes_through_both_ways_whole(void **state)
{
    struct mu_ssh_session *s = session_via(&target, hop("srv01"));
    struct flood f = {.size = 24 << 20};
    struct mu_exec_request req = {.command = "tee /dev/stderr | cksum 2>&1", .more_input = more, .stream_arg = &f,
                                  .limit = 64 << 20};
    struct running x, y;

    (void)state;
    connects(s);
    run_request(&x, s, &req);
    if (x.r->error.code)
        fail_msg("%s", x.r->error.msg);
    assert_int_equal(x.r->err.len, f.size);
    for (size_t i = 0; i < f.size; i++)
        if (x.r->err.data[i] != (char)(i * 2654435761u >> 13))
            fail_msg("byte %zu is another", i);
    mu_ssh_exec_free(x.e);
    run(&y, s, "head -c 30000000 /dev/zero | tr '\\0' x");
    assert_int_equal(y.r->error.code, MU_ELIMIT); /* ended by the limit, through the tunnel too */
    mu_ssh_exec_free(y.e);
    expect(s, "echo well", "well\n", "", 0);
    mu_ssh_session_free(s);
}

static int held_lines;
static void count_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    (void)arg;
    (void)stream;
    (void)line;
    (void)len;
    held_lines++;
}

/* One who takes nothing does not stop the others behind the same jump host, and gets all in the end. */
static void a_slow_reader_holds_up_nobody(void **state)
{
    struct mu_ssh_session *slow = session_via(&target, hop("srv01")), *quick = session_via(&target, hop("srv01"));
    struct mu_exec_request req = {.command = "yes 0123456789012345678901234567890123456789 | head -n 300000",
                                  .on_line = count_line};
    struct running x;
    int at;

    (void)state;
    held_lines = 0;
    connects(slow);
    connects(quick);
    start_request(&x, slow, &req);
    mu_ssh_exec_hold(x.e, true);
    expect(quick, "head -c 3000000 /dev/zero | wc -c", "3000000\n", "", 0);
    run_for(300);
    at = held_lines;
    assert_true(at < 300000);
    expect(quick, "echo still", "still\n", "", 0);
    mu_ssh_exec_hold(x.e, false);
    finish(&x);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(held_lines, 300000);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(slow);
    mu_ssh_session_free(quick);
}

/* Given up at every point of its way: nothing is left, and the next one gets through. */
static void giving_up_at_any_point(void **state)
{
    const struct mu_err why = {.code = MU_ECANCELED, .msg = "enough"};
    char chain[500];
    int turns, i;

    (void)state;
    snprintf(chain, sizeof(chain), "%s,%s", hop("srv01"), hop("srv03"));
    for (turns = 0; turns < 60; turns += 1 + turns / 8) {
        struct mu_ssh_session *s = session_via(&target, turns % 2 ? chain : hop("srv03"));
        struct connecting c = {0};

        assert_int_equal(mu_ssh_session_connect(s, NULL, CONNECT_MS, on_connected, &c, NULL), 0);
        for (i = 0; i < turns && !c.done; i++)
            mu_loop_turn(loop, true);
        if (turns % 3 == 0) {
            mu_ssh_session_free(s);
            continue;
        }
        mu_ssh_session_connect_abort(s, &why);
        assert_true(run_until(&c.done));
        mu_ssh_session_free(s);
        if (turns % 4 == 1) { /* and the jump hosts as well, at this point */
            mu_ssh_ways_free(ways);
            assert_int_equal(mu_ssh_ways_new(&ways, loop, shared, NULL), 0);
        }
    }
    struct mu_ssh_session *s = session_via(&target, chain);

    connects(s);
    expect(s, "echo x", "x\n", "", 0);
    mu_ssh_session_free(s);
}

/* ---- proxy commands ---- */

static const char *bash_proxy(void)
{
    static char text[256];

    snprintf(text, sizeof(text), "bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d; cat <&3 & exec cat >&3'", target.port);
    return text;
}

static void a_proxy_command_connects(void **state)
{
    struct mu_ssh_session *s = session_by(&target, bash_proxy());

    (void)state;
    connects(s);
    expect(s, "echo \"$MUSTER_SERVER\"; exit 3", "srv02\n", "", 3);
    mu_ssh_session_disconnect(s);
    connects(s);
    expect(s, "head -c 3000000 /dev/zero | wc -c", "3000000\n", "", 0);
    mu_ssh_session_free(s);
}

static void a_proxy_command_that_fails_is_quoted(void **state)
{
    struct mu_ssh_session *s = session_by(&target, "sh -c 'echo first >&2; printf \"no route\\033[31m there\\n\" >&2; exit 7'");
    struct mu_err err = connect_outcome(s, CONNECT_MS);

    (void)state;
    assert_int_equal(err.code, MU_EKEX);
    has(err.msg, "the proxy command did not connect: exit status 7: no route\\x1b[31m there");
    assert_true(mu_ssh_worth_retrying(&err));
    mu_ssh_session_free(s);
    s = session_by(&target, "/no/such/program");
    err = connect_outcome(s, CONNECT_MS);
    has(err.msg, "exit status 127");
    mu_ssh_session_free(s);
}

/* It is ended with the session, whatever it does about the end of its input. */
static void a_proxy_command_is_ended_with_its_session(void **state)
{
    char command[512], look[512];
    struct mu_ssh_session *s;
    struct connecting c = {0};
    uint64_t until = mu_clock_ms() + PATIENCE_MS;

    (void)state;
    snprintf(command, sizeof(command), "sh -c 'echo $$ >%s/proxy.pid; exec sleep 1000'", sshtest_dir);
    s = session_by(&target, command);
    assert_int_equal(mu_ssh_session_connect(s, NULL, CONNECT_MS, on_connected, &c, NULL), 0);
    snprintf(look, sizeof(look), "cat %s/proxy.pid 2>/dev/null", sshtest_dir);
    while (!*output_of(look) && mu_clock_ms() < until)
        run_for(5);
    pid_t pid = atoi(output_of(look));
    assert_true(pid > 1);
    assert_int_equal(kill(pid, 0), 0);
    mu_ssh_session_free(s);
    while (kill(pid, 0) == 0 && mu_clock_ms() < until)
        run_for(5);
    assert_int_equal(kill(pid, 0), -1);
}

static int setup(void **state)
{
    if (fleet_setup(state))
        return -1;
    must("%s sshd %s srv02 >&2 && %s sshd %s srv03 >&2", fleet_path(), sshtest_dir, fleet_path(), sshtest_dir);
    target = server_named("srv02");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_servers_share_the_jump_hosts_connection, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_chain_of_two, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_session_without_shared_ways_has_its_own, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(much_goes_through_both_ways_whole, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_holds_up_nobody, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(giving_up_at_any_point, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_proxy_command_connects, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_proxy_command_that_fails_is_quoted, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_proxy_command_is_ended_with_its_session, ways_setup, ways_teardown),
    };

    return cmocka_run_group_tests(tests, setup, fleet_teardown);
}
