/* What goes wrong on the way to a server, and how it is told: jump hosts that refuse, forward nothing or go away; servers
 * that fall silent. */
#include "sshpeer.h"
#include "waystest.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static struct server target;

/* ---- told ---- */

static struct mu_err outcome_via(const struct server *srv, const char *chain)
{
    struct mu_ssh_session *s = session_via(srv, chain);
    struct mu_err err = connect_outcome(s, CONNECT_MS);

    mu_ssh_session_free(s);
    return err;
}

static struct server nobody(void)
{
    struct server srv = {.address = "127.0.0.1", .user = "muster"};
    char command[1100];

    snprintf(command, sizeof(command), "%s port", fleet_path());
    srv.port = atoi(output_of(command));
    assert_true(srv.port > 0);
    return srv;
}

static void the_hop_that_failed_is_named(void **state)
{
    struct server none = nobody();
    char chain[400];
    struct mu_err err;

    (void)state;
    snprintf(chain, sizeof(chain), "muster@127.0.0.1:%d", none.port);
    err = outcome_via(&target, chain);
    assert_int_equal(err.code, MU_EREFUSED);
    has(err.msg, "via muster@127.0.0.1:");
    has(err.msg, "no SSH server listens there");
    has(err.cause, "connect: connection refused");
    assert_true(mu_ssh_worth_retrying(&err));

    snprintf(chain, sizeof(chain), "%s,muster@127.0.0.1:%d", hop("srv01"), none.port);
    err = outcome_via(&target, chain); /* the second hop is not there: the first one says so */
    assert_int_equal(err.code, MU_EREFUSED);
    has(err.msg, "via muster@127.0.0.1:");
    has(err.msg, "the jump host cannot connect to it");

    err = outcome_via(&none, hop("srv01")); /* the server itself */
    assert_int_equal(err.code, MU_EREFUSED);
    has(err.msg, "via ");
    has(err.msg, "refused");

    err = outcome_via(&target, "nobody@[::1]:99999");
    assert_int_equal(err.code, MU_EINVAL);
    has(err.msg, "[user@]host[:port]");
}

static void a_jump_host_that_lets_nobody_in_is_asked_once(void **state)
{
    char chain[200], wrong[512], count[700];
    const char *keys[] = {wrong, NULL};
    char known[512];
    const char *known_hosts[] = {known, NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = known_hosts, .key_files = keys};
    struct mu_err err;

    (void)state;
    snprintf(wrong, sizeof(wrong), "%s/wrong", sshtest_dir);
    snprintf(known, sizeof(known), "%s/known_hosts", sshtest_dir);
    must("test -e %s || ssh-keygen -q -t ed25519 -N '' -f %s", wrong, wrong);
    mu_ssh_ways_free(ways);
    mu_ssh_shared_free(shared);
    assert_int_equal(mu_ssh_shared_new(&shared, &config, &err), 0);
    assert_int_equal(mu_ssh_ways_new(&ways, loop, shared, &err), 0);
    snprintf(chain, sizeof(chain), "%s", hop("srv01"));
    err = outcome_via(&target, chain);
    assert_int_equal(err.code, MU_EAUTH);
    has(err.cause, "authentication: denied");
    has(err.msg, "via ");
    assert_false(mu_ssh_worth_retrying(&err));
    snprintf(count, sizeof(count), "grep -c 'Connection from' %s/srv01/log", sshtest_dir);
    int before = atoi(output_of(count));
    err = outcome_via(&target, chain);
    assert_int_equal(err.code, MU_EAUTH);
    assert_int_equal(atoi(output_of(count)), before);
}

static void a_jump_host_that_forwards_nothing(void **state)
{
    struct mu_err err = outcome_via(&target, hop("closed"));

    (void)state;
    assert_int_equal(err.code, MU_EUNREACH);
    has(err.msg, "AllowTcpForwarding");
    assert_false(mu_ssh_worth_retrying(&err));
}

static void a_jump_host_with_an_unknown_key(void **state)
{
    static const char *const none[] = {"/dev/null", NULL};
    const struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = none};
    struct mu_err err = {0};

    (void)state;
    mu_ssh_ways_free(ways);
    mu_ssh_shared_free(shared);
    assert_int_equal(mu_ssh_shared_new(&shared, &config, &err), 0);
    assert_int_equal(mu_ssh_ways_new(&ways, loop, shared, &err), 0);
    err = outcome_via(&target, hop("srv01"));
    assert_int_equal(err.code, MU_EHOSTKEYUNKNOWN);
    has(err.msg, "via ");
}

/* a is reached by b, and b by a: each alone looks well. */
static void jump_hosts_that_lead_to_each_other(void **state)
{
    char a[200], b[200];
    struct mu_jump_use first = {0}, second = {0};
    struct mu_ssh_session *s = session_via(&target, hop("srv01")), *inner;
    struct mu_err err = {0};

    (void)state;
    snprintf(a, sizeof(a), "%s", hop("srv01"));
    snprintf(b, sizeof(b), "%s", hop("srv03"));
    assert_int_equal(mu_jump_ask(&first, s, a, CONNECT_MS, &err), 0);
    inner = mu_jump_peek(&first);
    assert_non_null(inner);
    assert_int_equal(mu_jump_ask(&second, inner, a, CONNECT_MS, &err), MU_EINVAL);
    has(err.msg, "reached through itself");
    mu_jump_leave(&first);
    mu_ssh_session_free(s);
}

static void serve_too_many(int fd)
{
    dprintf(fd, "Exceeded MaxStartups\r\n"); /* sshd's words */
    close(fd);
}

static void serve_another_service(int fd)
{
    dprintf(fd, "220 mail.example.com ESMTP\r\n");
    (void)fd; /* and waits */
}

static void being_turned_away_is_worth_a_retry(void **state)
{
    struct peer busy = peer_start(serve_too_many), other = peer_start(serve_another_service);
    struct mu_ssh_session *s = session_to(&busy.server);
    struct mu_err err = connect_outcome(s, CONNECT_MS);

    (void)state;
    assert_int_equal(err.code, MU_EKEX);
    if (!mu_ssh_worth_retrying(&err))
        fail_msg("%s (%s)", err.msg, err.cause);
    mu_ssh_session_free(s);
    s = session_to(&other.server);
    err = connect_outcome(s, 500);
    assert_false(mu_ssh_worth_retrying(&err));
    mu_ssh_session_free(s);
    peer_stop(&busy);
    peer_stop(&other);
}

/* ---- lost ---- */

static void a_jump_host_that_goes_away(void **state)
{
    struct mu_ssh_session *s[3];
    struct running x[3];
    int before = logins("srv01"), i;

    (void)state;
    for (i = 0; i < 3; i++) {
        s[i] = session_via(&target, hop("srv01"));
        connects(s[i]);
        start(&x[i], s[i], "echo begun; sleep 60");
        wait_for_output(&x[i]);
    }
    must("%s kill %s srv01 >&2", fleet_path(), sshtest_dir);
    for (i = 0; i < 3; i++) {
        finish(&x[i]);
        assert_int_equal(x[i].r->error.code, MU_ELOST);
        has(x[i].r->error.msg, "connection lost: jump host muster@127.0.0.1:");
        mu_ssh_exec_free(x[i].e);
    }
    must("%s restart %s srv01 >&2", fleet_path(), sshtest_dir);
    for (i = 0; i < 3; i++) {
        mu_ssh_session_disconnect(s[i]);
        connects(s[i]);
        expect(s[i], "echo again", "again\n", "", 0);
        mu_ssh_session_free(s[i]);
    }
    assert_int_equal(logins("srv01"), before + 2);
}

/* In the middle of a key exchange, too, it is the jump host that is named. */
static void a_jump_host_that_goes_away_during_a_key_exchange(void **state)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* connects, and says nothing */
    struct server silent = {.address = "127.0.0.1", .user = "muster"};
    struct connecting c = {0};
    struct mu_ssh_session *s;

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    silent.port = ntohs(sa.sin_port);
    s = session_via(&silent, hop("srv01"));
    assert_int_equal(mu_ssh_session_connect(s, NULL, CONNECT_MS, on_connected, &c, NULL), 0);
    while (!c.done && s->connect->phase != MU_PHASE_KEX)
        mu_loop_turn(loop, true);
    must("%s kill %s srv01 >&2", fleet_path(), sshtest_dir);
    assert_true(run_until(&c.done));
    must("%s restart %s srv01 >&2", fleet_path(), sshtest_dir);
    assert_int_equal(c.err.code, MU_ELOST);
    has(c.err.msg, "via muster@127.0.0.1:");
    has(c.err.msg, "the connection to it was lost");
    assert_true(mu_ssh_worth_retrying(&c.err));
    mu_ssh_session_free(s);
    close(listener);
}

/* ---- silent ---- */

/* Asked every second, with more patience than a machine at its limits needs; impatient() has none. */
static struct mu_ssh_session *watched(struct mu_ssh_session *s)
{
    s->options->server_alive_interval_s = 1;
    s->options->server_alive_count_max = 60;
    return s;
}

static void impatient(struct mu_ssh_session *s, bool yes) { s->options->server_alive_count_max = yes ? 1 : 60; }

/* Its command is silent, and it answers all the same: that counts. */
static void is_answered(struct mu_ssh_session *s)
{
    uint64_t before = s->io.in_bytes, until = mu_clock_ms() + PATIENCE_MS;

    while (s->io.in_bytes == before && mu_clock_ms() < until)
        run_for(10);
    before = s->io.in_bytes;
    while (s->alive_bytes < before && mu_clock_ms() < until)
        run_for(10);
    assert_true(s->alive_bytes >= before && s->unanswered <= 1);
}

static void a_server_that_falls_silent_is_found(void **state)
{
    struct mu_ssh_session *s = watched(session_to(&target)), *well = watched(session_to(&target));
    struct mu_ssh_session *behind = watched(session_via(&target, hop("srv03")));
    struct running x, y, z;
    pid_t pid;

    (void)state;
    connects(s);
    connects(well);
    connects(behind);
    start(&x, s, "sleep 60");
    start(&y, well, "sleep 600");
    start(&z, behind, "sleep 600");
    wait_for_pid(&y);
    wait_for_pid(&z);
    pid = connection_pid(&x);
    kill(pid, SIGSTOP);
    impatient(s, true);
    finish(&x);
    assert_int_equal(x.r->error.code, MU_ELOST);
    has(x.r->error.msg, "connection lost: no answer for ");
    assert_int_equal(strncmp(x.r->error.cause, "connection lost: no answer for ", 31), 0);
    kill(pid, SIGCONT);
    is_answered(well);
    is_answered(behind);
    mu_ssh_exec_free(x.e);
    mu_ssh_exec_free(y.e);
    mu_ssh_exec_free(z.e);
    mu_ssh_session_free(s);
    mu_ssh_session_free(well);
    mu_ssh_session_free(behind);
}

/* One who is not read from, for longer than the patience is, is not lost: it is we who do not listen. */
static void a_session_on_hold_is_not_lost(void **state)
{
    struct mu_ssh_session *s = watched(session_to(&target));
    struct running x;

    (void)state;
    connects(s);
    start(&x, s, "echo begun; sleep 1");
    mu_ssh_exec_hold(x.e, true);
    impatient(s, true);
    run_for(3300);
    assert_true(mu_ssh_session_connected(s));
    impatient(s, false);
    mu_ssh_exec_hold(x.e, false);
    finish(&x);
    assert_int_equal(x.r->error.code, 0);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void a_long_session_survives_new_keys(void **state)
{
    struct server srv = server_named("rekey");
    struct mu_ssh_session *s = watched(session_to(&srv)), *via = session_via(&target, hop("rekey"));
    struct mu_exec_request big = {.command = "head -c 24000000 /dev/zero | tr '\\0' a", .limit = 32 << 20};
    struct running x;

    (void)state;
    connects(s);
    connects(via);
    for (int i = 0; i < 2; i++) {
        run_request(&x, i ? via : s, &big);
        if (x.r->error.code)
            fail_msg("%d after %zu bytes: %s", i, x.r->out.len, x.r->error.msg);
        assert_int_equal(x.r->out.len, 24000000);
        mu_ssh_exec_free(x.e);
    }
    expect(s, "sleep 2; echo there", "there\n", "", 0); /* silent, with keepalives, after keys were made anew by time */
    expect(s, "head -c 3000000 /dev/zero | wc -c; exit 3", "3000000\n", "", 3);
    mu_ssh_session_free(s);
    mu_ssh_session_free(via);
}

static void add(const char *name, const char *line)
{
    must("echo '%s' >%s/%s.conf && %s sshd %s %s %s/%s.conf >&2", line, sshtest_dir, name, fleet_path(), sshtest_dir, name,
         sshtest_dir, name);
}

static int setup(void **state)
{
    if (fleet_setup(state))
        return -1;
    must("%s sshd %s srv02 >&2 && %s sshd %s srv03 >&2", fleet_path(), sshtest_dir, fleet_path(), sshtest_dir);
    add("closed", "AllowTcpForwarding no");
    add("rekey", "RekeyLimit 1M 1s");
    target = server_named("srv02");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_hop_that_failed_is_named, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_jump_host_that_lets_nobody_in_is_asked_once, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_jump_host_that_forwards_nothing, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_jump_host_with_an_unknown_key, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(jump_hosts_that_lead_to_each_other, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(being_turned_away_is_worth_a_retry, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_jump_host_that_goes_away, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_jump_host_that_goes_away_during_a_key_exchange, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_server_that_falls_silent_is_found, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_session_on_hold_is_not_lost, ways_setup, ways_teardown),
        cmocka_unit_test_setup_teardown(a_long_session_survives_new_keys, ways_setup, ways_teardown),
    };

    return cmocka_run_group_tests(tests, setup, fleet_teardown);
}
