/* Logging in: certificates, the agent's keys and those that are named, passwords, several methods; what the error says. */
#include "sshtest.h"

#include <sys/wait.h>

#include "ssh/shared_parts.h"

/* ---- what servers and agents there are ---- */

static struct server plain, few, by_cert, both; /* any key; three tries; certificates alone; password, then key */
static char agent_path[300];

static const char *file(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *file(const char *fmt, ...)
{
    static char path[64][512];
    static unsigned turn;
    char *p = path[turn++ % 64];
    va_list ap;
    int n = snprintf(p, 512, "%s/", sshtest_dir);

    va_start(ap, fmt);
    vsnprintf(p + n, 512 - (size_t)n, fmt, ap);
    va_end(ap);
    return p;
}

static struct server add_server(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static struct server add_server(const char *name, const char *fmt, ...)
{
    char config[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(config, sizeof(config), fmt, ap);
    va_end(ap);
    return server_add(name, config);
}

/* A key that no server knows. */
static void make_key(const char *name, const char *more)
{
    must("rm -f %s %s.pub; ssh-keygen -q -t ed25519 -N '' -C '' %s -f %s", file("%s", name), file("%s", name), more,
         file("%s", name));
}

/* Sign its public key for the user; the certificate lies beside it. */
static void certify(const char *name, const char *more)
{
    must("ssh-keygen -q -s %s -I test %s %s 2>/dev/null", file("ca"), more, file("%s.pub", name));
}

static int start_all(void **state)
{
    if (fleet_setup(state))
        return -1;
    load_shared();
    make_key("ca", "");
    plain = server_named("srv01");
    few = add_server("few", "MaxAuthTries 3\n");
    by_cert = add_server("bycert", "TrustedUserCAKeys %s\nAuthorizedKeysFile none\n", file("ca.pub"));
    both = add_server("both", "PasswordAuthentication yes\nAuthenticationMethods password,publickey\n");
    mu_ssh_shared_free(shared);
    shared = NULL;
    snprintf(agent_path, sizeof(agent_path), "%s", file("agent"));
    must("ssh-agent -a %s >%s", agent_path, file("agent.out"));
    return 0;
}

static int stop_all(void **state)
{
    must("for a in %s %s; do [ ! -e $a ] || { . $a >/dev/null; kill $SSH_AGENT_PID; }; done", file("agent.out"),
         file("second.out")); /* the second is left by a test that failed */
    return fleet_teardown(state);
}

static void agent_has(const char *const *keys)
{
    must("SSH_AUTH_SOCK=%s ssh-add -q -D 2>/dev/null", agent_path);
    for (; *keys; keys++)
        must("SSH_AUTH_SOCK=%s ssh-add -q %s 2>/dev/null", agent_path, file("%s", *keys));
}
#define AGENT_HAS(...) agent_has((const char *const[]){__VA_ARGS__, NULL})

static int set_up_loop(void **state)
{
    struct mu_err err = {0};

    (void)state;
    return mu_loop_new(&loop, &err);
}

static int tear_down_loop(void **state)
{
    (void)state;
    mu_loop_free(loop);
    mu_ssh_shared_free(shared);
    shared = NULL;
    return 0;
}

/* ---- one login ---- */

struct login {
    const char *identities[6], *certificates[3]; /* files; NULL ends them */
    bool only;
    const char *agent;     /* IdentityAgent */
    const char *preferred; /* PreferredAuthentications */
    const char *algorithms;
    const char *password, *passphrase;
    bool no_agent;
};

static char **list_of(const char *const *names)
{
    char **list = calloc(8, sizeof(*list));

    for (size_t i = 0; names[i]; i++)
        list[i] = strdup(names[i]);
    return list;
}

static char *copy(const char *text) { return text ? strdup(text) : NULL; }

static struct mu_ssh_session *session_for(const struct server *srv, const struct login *how)
{
    static const char *const none[] = {NULL};
    const char *known[] = {file("known_hosts"), NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = known, .key_files = none,
                                   .password = how->password, .passphrase = how->passphrase,
                                   .agent_timeout_ms = 5000, .agent_socket = agent_path, .use_agent = !how->no_agent};
    struct mu_ssh_session *s;
    struct mu_err err = {0};

    mu_ssh_shared_free(shared);
    if (mu_ssh_shared_new(&shared, &config, &err))
        fail_msg("%s", err.msg);
    s = session_to(srv);
    if (how->identities[0])
        s->options->identity_files = list_of(how->identities);
    if (how->certificates[0])
        s->options->certificate_files = list_of(how->certificates);
    s->options->identities_only = how->only;
    s->options->identity_agent = copy(how->agent);
    s->options->preferred_authentications = copy(how->preferred);
    s->options->pubkey_algorithms = copy(how->algorithms);
    return s;
}

static struct mu_err outcome_of(const struct server *srv, const struct login *how)
{
    struct mu_ssh_session *s = session_for(srv, how);
    struct mu_err err = connect_outcome(s, CONNECT_MS);

    mu_ssh_session_free(s);
    return err;
}

static void gets_in(const struct server *srv, const struct login *how)
{
    struct mu_err err = outcome_of(srv, how);

    if (err.code)
        fail_msg("%s", err.msg);
}
#define GETS_IN(srv, ...) gets_in(&(srv), &(struct login){__VA_ARGS__})

/* Refused, and the message says all of it. */
static void refused(const struct server *srv, const struct login *how, const char *const *says)
{
    struct mu_err err = outcome_of(srv, how);

    assert_int_equal(err.code, MU_EAUTH);
    for (; *says; says++)
        if (!strstr(err.msg, *says))
            fail_msg("\"%s\" is not in: %s", *says, err.msg);
}
#define SAYS(...) (const char *const[]){__VA_ARGS__, NULL}

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
        T(password_first_then_key),
        T(password_is_not_given_to_who_does_not_ask),
        T(preferred_authentications),
        T(passphrases_are_asked_for_once),
        T(default_keys_are_asked_for_when_nothing_else_is_there),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
