/* Connecting, the phase of authentication: keys and passwords that are taken or denied, and what the error says of
 * them. */
#include "sshpeer.h"

static void wrong_key_is_denied_with_what_was_tried(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s;
    struct mu_err err;
    char key[512];

    (void)state;
    snprintf(key, sizeof(key), "%s/wrong", sshtest_dir);
    must("rm -f %s; ssh-keygen -q -t ed25519 -N '' -f %s", key, key);
    mu_ssh_shared_free(shared);
    shared = make_shared(key, NULL);
    s = session_to(&srv);
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, MU_EAUTH);
    assert_string_equal(err.cause, "authentication: denied");
    assert_non_null(strstr(err.msg, key));
    assert_non_null(strstr(err.msg, "user muster"));
    assert_non_null(strstr(err.msg, "offers publickey"));
    mu_ssh_session_free(s);
}

static void nothing_to_try(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s;
    struct mu_err err;

    (void)state;
    use_shared_without_host_keys(NULL, false);
    s = session_to(&srv);
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, MU_EAUTH);
    assert_string_equal(err.cause, "authentication: denied");
    assert_non_null(strstr(err.msg, "no key, agent or password"));
    assert_non_null(strstr(err.msg, "publickey"));
    mu_ssh_session_free(s);
}

static void too_many_attempts_is_still_denied(void **state)
{
    struct server srv = server_add("fewtries", "MaxAuthTries 1\n");
    struct mu_ssh_session *s;
    struct mu_err err;
    char key[512];

    (void)state;
    snprintf(key, sizeof(key), "%s/wrong2", sshtest_dir);
    must("rm -f %s; ssh-keygen -q -t ed25519 -N '' -f %s", key, key);
    mu_ssh_shared_free(shared);
    shared = make_shared(key, "some password");
    s = session_to(&srv);
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, MU_EAUTH);
    assert_string_equal(err.cause, "authentication: too many keys tried");
    mu_ssh_session_free(s);
}

static void own_key_file_of_a_server(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_target target = {.host = srv.address, .port = srv.port, .user = srv.user, .key_file = srv.key};
    struct mu_ssh_session *s = NULL;
    struct mu_err err = {0};
    char key[512];

    (void)state;
    snprintf(key, sizeof(key), "%s/wrong3", sshtest_dir);
    must("rm -f %s; ssh-keygen -q -t ed25519 -N '' -f %s", key, key);
    mu_ssh_shared_free(shared);
    shared = make_shared(key, NULL);
    assert_int_equal(mu_ssh_shared_add_key(shared, srv.key, &err), 0);
    assert_int_equal(mu_ssh_session_new(&s, loop, shared, &target, &err), 0);
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, 0);
    mu_ssh_session_free(s);
}

#define PASSWORD "hush-hush it's"

static bool want_password(ssh_session s, ssh_message m)
{
    (void)s;
    if (ssh_message_type(m) != SSH_REQUEST_AUTH)
        return false;
    if (ssh_message_subtype(m) == SSH_AUTH_METHOD_PASSWORD && strcmp(ssh_message_auth_password(m), PASSWORD) == 0) {
        ssh_message_auth_reply_success(m, 0);
    } else {
        ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_PUBLICKEY);
        ssh_message_reply_default(m);
    }
    return true;
}

static bool want_keyboard(ssh_session s, ssh_message m)
{
    static const char *prompts[] = {"Name: ", "Password: "};
    char echo[] = {1, 0};

    if (ssh_message_type(m) != SSH_REQUEST_AUTH)
        return false;
    ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_INTERACTIVE);
    if (ssh_message_subtype(m) != SSH_AUTH_METHOD_INTERACTIVE) {
        ssh_message_reply_default(m);
    } else if (!ssh_message_auth_kbdint_is_response(m)) {
        ssh_message_auth_interactive_request(m, "title", "please", 2, prompts, echo);
    } else if (ssh_userauth_kbdint_getnanswers(s) == 2 && strcmp(ssh_userauth_kbdint_getanswer(s, 0), "") == 0 &&
               strcmp(ssh_userauth_kbdint_getanswer(s, 1), PASSWORD) == 0) {
        ssh_message_auth_reply_success(m, 0);
    } else {
        ssh_message_reply_default(m);
    }
    return true;
}

static void serve_password(int fd) { peer_login(peer_kex(fd), want_password, (char[100]){0}, 100); }
static void serve_keyboard(int fd) { peer_login(peer_kex(fd), want_keyboard, (char[100]){0}, 100); }

static struct mu_buf seen_log;
static void keep_log(void *arg, const struct mu_record *r)
{
    size_t i;

    (void)arg;
    mu_buf_add(&seen_log, r->msg, r->msg_len);
    for (i = 0; i < r->n_fields; i++) {
        mu_buf_addf(&seen_log, " %s=", r->fields[i].key);
        if (r->fields[i].type == MU_FIELD_STR)
            mu_buf_adds(&seen_log, r->fields[i].v.str);
    }
    mu_buf_addc(&seen_log, '\n');
}

static void password_by(peer_fn *serve, const char *method)
{
    struct peer p = peer_start(serve);
    struct mu_ssh_session *s;
    struct mu_logger *logger = NULL;
    struct mu_err err;

    assert_int_equal(mu_logger_new(&logger, MU_TRACE), 0);
    assert_int_equal(mu_logger_add_sink(logger, keep_log, NULL, NULL), 0);
    mu_logger_use(logger);
    mu_ssh_thread_init();
    use_shared_without_host_keys(PASSWORD, true);
    s = session_to(&p.server);
    err = connect_outcome(s, CONNECT_MS);
    mu_logger_use(NULL);
    mu_ssh_thread_init();
    mu_logger_free(logger);
    if (err.code)
        fail_msg("%s", err.msg);
    mu_ssh_session_free(s);
    peer_stop(&p);
    assert_non_null(strstr(mu_buf_cstr(&seen_log), "logger=libssh"));
    assert_null(strstr(mu_buf_cstr(&seen_log), "hush"));
    mu_buf_free(&seen_log);

    p = peer_start(serve);
    use_shared_without_host_keys("wrong", false);
    s = session_to(&p.server);
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, MU_EAUTH);
    assert_non_null(strstr(err.msg, method));
    assert_null(strstr(err.msg, "wrong"));
    mu_ssh_session_free(s);
    peer_stop(&p);
}

static void password(void **state)
{
    (void)state;
    password_by(serve_password, "tried password");
}

static void keyboard_interactive(void **state)
{
    (void)state;
    password_by(serve_keyboard, "keyboard-interactive");
}

static void key_and_password_both_wanted(void **state)
{
    struct server srv = server_add("both", "PasswordAuthentication yes\nAuthenticationMethods publickey,password\n");
    char path[512], secret[128] = "";
    struct mu_ssh_session *s;
    struct mu_err err;
    FILE *f;

    (void)state;
    snprintf(path, sizeof(path), "%s/password", sshtest_dir);
    f = fopen(path, "r");
    if (!f)
        skip();
    if (!fgets(secret, sizeof(secret), f))
        fail_msg("%s is empty", path);
    fclose(f);
    secret[strcspn(secret, "\n")] = '\0';
    use_shared_without_host_keys(secret, true);
    s = session_to(&srv);
    err = connect_outcome(s, CONNECT_MS);
    if (err.code)
        fail_msg("%s", err.msg);
    mu_ssh_session_free(s);
    use_shared_without_host_keys(NULL, true);
    s = session_to(&srv);
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, MU_EAUTH);
    assert_non_null(strstr(err.msg, "accepted, but not enough"));
    assert_non_null(strstr(err.msg, "offers password"));
    mu_ssh_session_free(s);
}

static bool never_answer(ssh_session s, ssh_message m)
{
    (void)s;
    return ssh_message_type(m) == SSH_REQUEST_AUTH;
}
static void serve_no_auth(int fd) { peer_login(peer_kex(fd), never_answer, (char[100]){0}, 100); }

static void silence_in_authentication_times_out(void **state)
{
    struct peer p = peer_start(serve_no_auth);

    (void)state;
    use_shared_without_host_keys(NULL, true);
    expect_failure(&p.server, 5000, MU_ECONNTIMEOUT, "authentication: timed out");
    peer_stop(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(wrong_key_is_denied_with_what_was_tried),
        T(nothing_to_try),
        T(too_many_attempts_is_still_denied),
        T(own_key_file_of_a_server),
        T(password),
        T(keyboard_interactive),
        T(key_and_password_both_wanted),
        T(silence_in_authentication_times_out),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
