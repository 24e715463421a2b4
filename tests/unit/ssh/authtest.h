/* authtest.h: what the tests of logging in share: servers that want different things, an agent and what it holds, and a
 * login by all that can be said of one. Everything is static: each test is one program.
 *
 * Purpose: for test programs only. Owner: each program has its own copy. Thread: one. Must not know: other programs.
 */
#ifndef AUTHTEST_H
#define AUTHTEST_H

#include "sshtest.h"

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

#endif
