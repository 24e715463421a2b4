/* Logging in with secrets: passwords, with other methods and in which order, and passphrases that are asked for. */
#include "authtest.h"

static const char *secret(void)
{
    static char text[128];
    FILE *f = fopen(file("password"), "r");

    assert_non_null(f);
    assert_non_null(fgets(text, sizeof(text), f));
    fclose(f);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* ---- passwords and several methods ---- */

static void password_first_then_key(void **state)
{
    (void)state;
    GETS_IN(both, .identities = {file("id_ed25519")}, .password = secret(), .no_agent = true);
    make_key("wrong", "");
    refused(&both, &(struct login){.identities = {file("wrong")}, .password = secret(), .no_agent = true},
            SAYS("/wrong (refused)", "password (accepted, but not enough)", "offers publickey"));
    refused(&both, &(struct login){.identities = {file("id_ed25519")}, .no_agent = true},
            SAYS("offers password"));
}

static void password_is_not_given_to_who_does_not_ask(void **state)
{
    (void)state;
    make_key("wrong", "");
    refused(&plain, &(struct login){.identities = {file("wrong")}, .password = "hush", .no_agent = true},
            SAYS("/wrong (refused), password (not offered); the server offers publickey"));
    refused(&plain, &(struct login){.password = "hush", .no_agent = true}, SAYS("tried password (not offered)"));
}

static void preferred_authentications(void **state)
{
    (void)state;
    refused(&plain, &(struct login){.identities = {file("id_ed25519")}, .preferred = "password", .password = "x", .no_agent = true},
            SAYS("tried password (not offered)"));
    refused(&plain, &(struct login){.identities = {file("id_ed25519")}, .preferred = "gssapi-with-mic,hostbased"},
            SAYS("no way to log in is left", "PreferredAuthentications"));
    GETS_IN(plain, .identities = {file("id_ed25519")}, .preferred = "gssapi-with-mic,publickey", .no_agent = true);
    make_key("wrong", "");
    refused(&both, &(struct login){.identities = {file("wrong")}, .preferred = "publickey", .password = secret()},
            SAYS("password (switched off in ssh_config)"));
}

/* ---- asking for passphrases ---- */

struct person {
    const char *answer;
    int asked, again;
    char last[512];
};

static int ask(void *arg, const char *key_file, bool again, char *out, size_t size)
{
    struct person *p = arg;

    p->asked++;
    p->again += again;
    snprintf(p->last, sizeof(p->last), "%s", key_file);
    snprintf(out, size, "%s", p->answer);
    return 0;
}

static void passphrases_are_asked_for_once(void **state)
{
    const char *known[] = {file("known_hosts"), NULL}, *const none[] = {NULL}, *const one[] = {file("locked"), NULL};
    struct person p = {.answer = "sesame"};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = known, .key_files = none,
                                   .ask_passphrase = ask, .ask_arg = &p, .agent_timeout_ms = 5000,
                                   .agent_socket = agent_path, .use_agent = true};
    struct mu_ssh_target target = {.host = plain.address, .port = plain.port, .user = plain.user, .key_file = one[0]};
    struct mu_err err = {0};

    (void)state;
    must("cp %s %s; chmod 600 %s; ssh-keygen -q -p -P '' -N sesame -f %s >/dev/null", file("id_ed25519"), file("locked"),
         file("locked"), file("locked"));
    AGENT_HAS(NULL);
    assert_int_equal(mu_ssh_shared_new(&shared, &config, &err), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mu_ssh_shared_prepare(shared, &target, &err), 0);
    assert_int_equal(p.asked, 1);
    assert_string_equal(p.last, one[0]);
    mu_ssh_shared_free(shared);

    AGENT_HAS("id_ed25519"); /* it is held: nobody is asked */
    assert_int_equal(mu_ssh_shared_new(&shared, &config, &err), 0);
    assert_int_equal(mu_ssh_shared_prepare(shared, &target, &err), 0);
    assert_int_equal(p.asked, 1);
    mu_ssh_shared_free(shared);
    AGENT_HAS(NULL);

    p = (struct person){.answer = "wrong"}; /* three times, then it is an error */
    assert_int_equal(mu_ssh_shared_new(&shared, &config, &err), 0);
    assert_int_equal(mu_ssh_shared_prepare(shared, &target, &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "needs a passphrase"));
    assert_int_equal(p.asked, 3);
    assert_int_equal(p.again, 2);
    mu_ssh_shared_free(shared);

    p = (struct person){.answer = ""}; /* he does not know it */
    config.key_files = one;
    assert_int_equal(mu_ssh_shared_new(&shared, &config, &err), MU_EINVAL);
    assert_int_equal(p.asked, 1);
    shared = NULL;
}

static void default_keys_are_asked_for_when_nothing_else_is_there(void **state)
{
    const char *known[] = {file("known_hosts"), NULL};
    struct person p = {.answer = "sesame"};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = known, .ask_passphrase = ask,
                                   .ask_arg = &p};
    struct mu_ssh_target target = {.host = plain.address, .port = plain.port, .user = plain.user};
    struct mu_ssh_target own = target;
    struct mu_err err = {0};
    char *home = copy(getenv("HOME"));
    struct mu_ssh_session *s;

    (void)state;
    must("mkdir -p %s; cp %s %s; chmod 600 %s", file("home/.ssh"), file("locked"), file("home/.ssh/id_ed25519"),
         file("home/.ssh/id_ed25519"));
    setenv("HOME", file("home"), 1);
    own.key_file = file("id_ed25519");
    assert_int_equal(mu_ssh_shared_new(&shared, &config, &err), 0);
    assert_int_equal(mu_ssh_shared_prepare(shared, &own, &err), 0);
    assert_int_equal(p.asked, 0); /* not needed so far */
    assert_int_equal(mu_ssh_shared_prepare(shared, &target, &err), 0);
    assert_int_equal(mu_ssh_shared_prepare(shared, &target, &err), 0);
    assert_int_equal(p.asked, 1);
    s = session_to(&plain);
    err = connect_outcome(s, CONNECT_MS);
    if (err.code)
        fail_msg("%s", err.msg);
    mu_ssh_session_free(s);
    setenv("HOME", home ? home : "", 1);
    free(home);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up_loop, tear_down_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(password_first_then_key),
        T(password_is_not_given_to_who_does_not_ask),
        T(preferred_authentications),
        T(passphrases_are_asked_for_once),
        T(default_keys_are_asked_for_when_nothing_else_is_there),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
