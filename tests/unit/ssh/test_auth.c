/* Logging in with keys: certificates, the agent's keys and those that are named; what the error says. Passwords, and
 * passphrases that are asked for: test_auth_secrets.c. */
#include "authtest.h"

/* Sign its public key for the user; the certificate lies beside it. */
static void certify(const char *name, const char *more)
{
    must("ssh-keygen -q -s %s -I test %s %s 2>/dev/null", file("ca"), more, file("%s.pub", name));
}

/* ---- certificates ---- */

static void certificate_beside_its_key(void **state)
{
    static const char *const types[] = {"ed25519", "ecdsa", "rsa"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        must("ssh-keygen -q -t %s -N '' -f %s", types[i], file("user_%s", types[i]));
        certify(file("user_%s", types[i]) + strlen(sshtest_dir) + 1, "-n muster -V -1h:+1h");
        GETS_IN(by_cert, .identities = {file("user_%s", types[i])}, .no_agent = true);
    }
}

static void certificate_file_elsewhere(void **state)
{
    (void)state;
    make_key("lone", "");
    certify("lone", "-n muster");
    must("mv %s %s", file("lone-cert.pub"), file("elsewhere.pub"));
    GETS_IN(by_cert, .identities = {file("lone")}, .certificates = {file("elsewhere.pub")}, .no_agent = true);
    refused(&by_cert, &(struct login){.identities = {file("lone")}, .no_agent = true},
            SAYS("key ", "/lone (refused)", "offers publickey"));
    make_key("stranger", "");
    refused(&by_cert,
            &(struct login){.identities = {file("stranger")}, .certificates = {file("elsewhere.pub")}, .no_agent = true},
            SAYS("/elsewhere.pub (there is no private key for it)"));
}

static void certificate_in_the_agent(void **state)
{
    (void)state;
    make_key("held", "");
    make_key("stranger", "");
    certify("held", "-n muster");
    AGENT_HAS("stranger", "held"); /* ssh-add takes the certificate along */
    GETS_IN(by_cert, .only = false);
    must("rm %s", file("held-cert.pub"));
    GETS_IN(by_cert, .identities = {file("held.pub")}, .only = true); /* named by its public key */
}

static void certificate_file_for_a_key_in_the_agent(void **state)
{
    (void)state;
    make_key("kept", "");
    AGENT_HAS("kept");
    certify("kept", "-n muster");
    must("mv %s %s; rm %s", file("kept-cert.pub"), file("apart.pub"), file("kept"));
    GETS_IN(by_cert, .certificates = {file("apart.pub")});
    GETS_IN(by_cert, .identities = {file("kept")}, .certificates = {file("apart.pub")}, .only = true);
}

static void why_a_certificate_is_refused(void **state)
{
    (void)state;
    make_key("late", "");
    certify("late", "-n muster -V 20200101:20200201");
    refused(&by_cert, &(struct login){.identities = {file("late")}, .no_agent = true},
            SAYS("late-cert.pub (refused: it expired on 2020-02-01"));
    certify("late", "-n muster -V +52w:+53w");
    refused(&by_cert, &(struct login){.identities = {file("late")}, .no_agent = true},
            SAYS("late-cert.pub (refused: it is not valid before 20"));
    certify("late", "-n ops,deploy");
    refused(&by_cert, &(struct login){.identities = {file("late")}, .no_agent = true},
            SAYS("late-cert.pub (refused: it is for ops,deploy, not for user muster)"));
    certify("late", "-h -n muster");
    refused(&by_cert, &(struct login){.identities = {file("late")}, .no_agent = true},
            SAYS("late-cert.pub (refused: it is a host's certificate, not a user's)"));
    must("echo nonsense >%s", file("late-cert.pub"));
    refused(&by_cert, &(struct login){.identities = {file("late")}, .certificates = {file("late-cert.pub")}, .no_agent = true},
            SAYS("late-cert.pub (not a certificate)"));
}

/* ---- which keys ---- */

static void named_keys_come_before_the_agents(void **state)
{
    const char *right = file("id_ed25519");

    (void)state;
    for (int i = 0; i < 5; i++)
        make_key(file("wrong%d", i) + strlen(sshtest_dir) + 1, "");
    AGENT_HAS("wrong0", "wrong1", "wrong2", "wrong3", "wrong4", "id_ed25519");
    refused(&few, &(struct login){0}, SAYS("too many keys for this server", "agent: 3 keys (refused), 3 keys (not tried)",
                                           "IdentitiesOnly"));
    GETS_IN(few, .identities = {right});
    GETS_IN(few, .identities = {file("id_ed25519.pub")}, .only = true); /* of the agent's, the one whose public part it is */
    refused(&few, &(struct login){.identities = {file("wrong1")}, .only = true}, SAYS("/wrong1 (refused)"));
    assert_null(strstr(outcome_of(&few, &(struct login){.identities = {file("wrong1")}, .only = true}).msg, "agent:"));
    refused(&plain, &(struct login){.identities = {file("wrong1")}, .agent = "none"}, SAYS("tried key ", "/wrong1 (refused);"));
    refused(&few, &(struct login){.identities = {file("wrong0"), file("wrong1"), file("wrong2"), file("wrong3"), file("wrong4")},
                                  .only = true},
            SAYS("too many keys for this server", "name the right key", "/wrong2 (refused)", "and 1 more file"));
}

static void another_agent(void **state)
{
    (void)state;
    make_key("wrong", "");
    AGENT_HAS("id_ed25519");
    GETS_IN(plain, .agent = "SSH_AUTH_SOCK");
    refused(&plain, &(struct login){.agent = "none"}, SAYS("there is no key, agent or password to log in with"));
    refused(&plain, &(struct login){.agent = file("no-agent")}, SAYS("agent (none to use at ", "/no-agent)"));
    must("ssh-agent -a %s >%s; SSH_AUTH_SOCK=%s ssh-add -q %s 2>/dev/null", file("second"), file("second.out"), file("second"),
         file("wrong"));
    refused(&plain, &(struct login){.agent = file("second")}, SAYS("tried agent: 1 key (refused)"));
    setenv("SECOND_AGENT", file("second"), 1);
    refused(&plain, &(struct login){.agent = "$SECOND_AGENT"}, SAYS("tried agent: 1 key (refused)"));
    must(". %s >/dev/null; kill $SSH_AGENT_PID; rm %s", file("second.out"), file("second.out"));
}

static void encrypted_key_that_the_agent_holds(void **state)
{
    (void)state;
    must("cp %s %s; chmod 600 %s; ssh-keygen -q -p -P '' -N sesame -f %s >/dev/null", file("id_ed25519"), file("locked"),
         file("locked"), file("locked"));
    AGENT_HAS("id_ed25519");
    GETS_IN(plain, .identities = {file("locked")}, .only = true); /* its format tells the public part */
    AGENT_HAS(NULL);
    refused(&plain, &(struct login){.identities = {file("locked"), file("nowhere")}},
            SAYS("/locked (needs a passphrase)", "/nowhere (not there)"));
    GETS_IN(plain, .identities = {file("nowhere"), file("locked")}, .passphrase = "sesame");
    refused(&plain, &(struct login){.identities = {file("locked")}, .passphrase = "wrong"},
            SAYS("/locked (another passphrase than the one given)"));
}

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec t;

    assert_int_equal(clock_gettime(clock, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void decrypting_is_not_the_loops_business(void **state)
{
    struct mu_ssh_session *s;
    uint64_t own, all;
    struct mu_err err;

    (void)state;
    must("cp %s %s; chmod 600 %s; ssh-keygen -q -p -P '' -N sesame -a 100 -f %s >/dev/null", file("id_ed25519"), file("slow"),
         file("slow"), file("slow"));
    s = session_for(&plain, &(struct login){.identities = {file("slow")}, .passphrase = "sesame", .no_agent = true});
    own = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    err = connect_outcome(s, CONNECT_MS);
    own = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - own;
    all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - all;
    if (err.code)
        fail_msg("%s", err.msg);
    if (own * 4 > all)
        fail_msg("the loop's thread spent %g of %g ms", (double)own / 1e6, (double)all / 1e6);
    mu_ssh_session_disconnect(s); /* the second time it is there */
    all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    err = connect_outcome(s, CONNECT_MS);
    all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - all;
    assert_int_equal(err.code, 0);
    if (all > own * 4 + 100000000u)
        fail_msg("the second login took %g ms of CPU", (double)all / 1e6);
    mu_ssh_session_free(s);
}

static void given_up_while_a_key_is_decrypted(void **state)
{
    struct login how = {.identities = {file("slow")}, .passphrase = "sesame", .no_agent = true};
    struct mu_ssh_session *s = session_for(&plain, &how);
    struct connecting c = {0};
    struct mu_err err = {0};

    (void)state;
    assert_int_equal(mu_ssh_session_connect(s, NULL, CONNECT_MS, on_connected, &c, &err), 0);
    while (!c.done && !(s->connect && s->connect->auth))
        mu_loop_turn(loop, true);
    assert_false(c.done);
    mu_ssh_session_free(s); /* the helper thread comes back to nobody; the loop waits for it */
}

static void pubkey_algorithms_are_kept_to(void **state)
{
    (void)state;
    GETS_IN(plain, .identities = {file("id_ed25519")}, .algorithms = "ssh-ed25519", .no_agent = true);
    refused(&plain, &(struct login){.identities = {file("id_ed25519")}, .algorithms = "rsa-sha2-512", .no_agent = true},
            SAYS("/id_ed25519 (not allowed by PubkeyAcceptedAlgorithms"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up_loop, tear_down_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(certificate_beside_its_key),
        T(certificate_file_elsewhere),
        T(certificate_in_the_agent),
        T(certificate_file_for_a_key_in_the_agent),
        T(why_a_certificate_is_refused),
        T(named_keys_come_before_the_agents),
        T(another_agent),
        T(encrypted_key_that_the_agent_holds),
        T(decrypting_is_not_the_loops_business),
        T(given_up_while_a_key_is_decrypted),
        T(pubkey_algorithms_are_kept_to),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
