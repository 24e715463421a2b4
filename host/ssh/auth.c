#include "ssh/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STEPS_MAX 8
#define KBDINT_ROUNDS_MAX 8

enum { STEP_SERVICE, STEP_KEYS, STEP_AGENT, STEP_PASSWORD, STEP_KBDINT, STEP_NONE, STEP_END };

void mu_auth_end(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;

    mu_buf_free(&c->tried);
    if (c->agent_fd >= 0) {
        /* libssh would keep it open as long as the session. */
        if (s->ssh)
            ssh_set_agent_socket(s->ssh, -1);
        close(c->agent_fd);
        c->agent_fd = -1;
    }
}

/* A method that the server does not name is not worth a question; before its first answer we do not know. */
static bool offered(struct mu_ssh_session *s, int method)
{
    int list = ssh_userauth_list(s->ssh, NULL);

    return !list || (list & method);
}

static void note_refused(struct mu_ssh_session *s, int rc)
{
    static const char *const names[] = {[STEP_KEYS] = "key ", [STEP_AGENT] = "agent", [STEP_PASSWORD] = "password",
                                        [STEP_KBDINT] = "keyboard-interactive"};
    struct mu_connect *c = s->connect;
    const char *file = NULL;

    if (c->step == STEP_SERVICE || c->step >= STEP_NONE)
        return;
    if (c->tried.len)
        mu_buf_adds(&c->tried, ", ");
    mu_buf_adds(&c->tried, names[c->step]);
    if (c->step == STEP_KEYS) {
        mu_ssh_shared_key(s->shared, s->key_file, c->key, &file);
        mu_buf_add_escaped(&c->tried, file, strlen(file));
    }
    if (rc == SSH_AUTH_PARTIAL)
        mu_buf_adds(&c->tried, " (accepted, but not enough)");
}

static void offers(struct mu_ssh_session *s, char *out, size_t size)
{
    static const struct {
        int method;
        const char *name;
    } methods[] = {
        {SSH_AUTH_METHOD_PUBLICKEY, "publickey"},
        {SSH_AUTH_METHOD_PASSWORD, "password"},
        {SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive"},
        {SSH_AUTH_METHOD_HOSTBASED, "hostbased"},
        {SSH_AUTH_METHOD_GSSAPI_MIC, "gssapi-with-mic"},
    };
    int list = ssh_userauth_list(s->ssh, NULL);
    size_t i, used = 0;

    snprintf(out, size, "nothing known");
    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (list & methods[i].method)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? "," : "", methods[i].name);
    }
}

/* closed: what the server said when it closed the connection, or NULL. */
static void denied(struct mu_ssh_session *s, const char *closed)
{
    struct mu_connect *c = s->connect;
    struct mu_err err = {0};
    char offer[128];

    offers(s, offer, sizeof(offer));
    if (closed)
        mu_err_set(&err, MU_EAUTH, "%s port %d: user %s: the server closed the connection after it had refused %s: %s",
                   s->host, s->port, s->user, mu_buf_cstr(&c->tried), closed);
    else if (!c->tried.len)
        mu_err_set(&err, MU_EAUTH, "%s port %d: user %s: there is no key, agent or password to log in with; the server offers %s",
                   s->host, s->port, s->user, offer);
    else
        mu_err_set(&err, MU_EAUTH, "%s port %d: user %s was not let in: tried %s; the server offers %s", s->host, s->port,
                   s->user, mu_buf_cstr(&c->tried), offer);
    mu_err_cause(&err, "authentication: denied");
    mu_connect_done(s, &err);
}

static void closed_by_server(struct mu_ssh_session *s)
{
    struct mu_err err = {0};
    char why[256];

    mu_session_error(s, why, sizeof(why));
    /* A server that has had enough of wrong keys says so with a disconnect message, in place of an answer. */
    if (strstr(why, "SSH_MSG_DISCONNECT"))
        note_refused(s, SSH_AUTH_DENIED);
    if (s->connect->tried.len) {
        denied(s, why);
        return;
    }
    mu_err_set(&err, MU_ELOST, "%s port %d: the connection was lost during authentication: %s", s->host, s->port, why);
    mu_err_cause(&err, "connection lost");
    mu_connect_done(s, &err);
}

static int keyboard_interactive(struct mu_ssh_session *s, const char *password)
{
    struct mu_connect *c = s->connect;
    int rc = ssh_userauth_kbdint(s->ssh, NULL, NULL);

    while (rc == SSH_AUTH_INFO && c->rounds++ < KBDINT_ROUNDS_MAX) {
        int i, n = ssh_userauth_kbdint_getnprompts(s->ssh);

        for (i = 0; i < n; i++) {
            char echo = 1;
            bool secret;

            ssh_userauth_kbdint_getprompt(s->ssh, (unsigned)i, &echo);
            secret = !echo && !c->password_sent; /* once: a second question means that it was wrong */
            c->password_sent = c->password_sent || secret;
            ssh_userauth_kbdint_setanswer(s->ssh, (unsigned)i, secret ? password : "");
        }
        rc = ssh_userauth_kbdint(s->ssh, NULL, NULL);
    }
    return rc == SSH_AUTH_INFO ? SSH_AUTH_DENIED : rc;
}

/* Ask the question of the current step, or ask again for its answer. SSH_AUTH_INFO: the step has nothing to ask. */
static int ask(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;
    const char *password = mu_ssh_shared_password(s->shared);

    switch (c->step) {
    case STEP_SERVICE: {
        /* Its answer comes behind the server's extension info, without which libssh offers RSA keys with SHA-1 only. */
        int rc = ssh_service_request(s->ssh, "ssh-userauth");
        return rc == SSH_OK ? SSH_AUTH_INFO : rc == SSH_AGAIN ? SSH_AUTH_AGAIN : SSH_AUTH_ERROR;
    }
    case STEP_KEYS:
        if (c->key >= mu_ssh_shared_key_count(s->shared, s->key_file) || !offered(s, SSH_AUTH_METHOD_PUBLICKEY))
            return SSH_AUTH_INFO;
        return ssh_userauth_publickey(s->ssh, NULL, mu_ssh_shared_key(s->shared, s->key_file, c->key, NULL));
    case STEP_AGENT:
        if (s->key_file || !offered(s, SSH_AUTH_METHOD_PUBLICKEY))
            return SSH_AUTH_INFO;
        if (c->agent_fd < 0) {
            c->agent_fd = mu_ssh_shared_agent_fd(s->shared);
            if (c->agent_fd < 0)
                return SSH_AUTH_INFO;
            ssh_set_agent_socket(s->ssh, c->agent_fd);
        }
        return ssh_userauth_agent(s->ssh, NULL);
    case STEP_PASSWORD:
        if (!password || !offered(s, SSH_AUTH_METHOD_PASSWORD))
            return SSH_AUTH_INFO;
        return ssh_userauth_password(s->ssh, NULL, password);
    case STEP_KBDINT:
        if (!password || !offered(s, SSH_AUTH_METHOD_INTERACTIVE))
            return SSH_AUTH_INFO;
        return keyboard_interactive(s, password);
    case STEP_NONE: /* with nothing to try: some test machines let everybody in, others tell what they offer */
        return c->tried.len ? SSH_AUTH_INFO : ssh_userauth_none(s->ssh, NULL);
    default:
        return SSH_AUTH_DENIED;
    }
}

/* The step had its answer, and it was no; or it had nothing to ask. */
static void next(struct mu_ssh_session *s, int rc)
{
    struct mu_connect *c = s->connect;

    if (rc != SSH_AUTH_INFO)
        note_refused(s, rc);
    if (c->step == STEP_KEYS && rc != SSH_AUTH_INFO)
        c->key++;
    else
        c->step++;
}

void mu_auth_step(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;
    uint64_t moved;
    int rc, n = 0;

    while (c->step < STEP_END) {
        moved = s->io.in_bytes + s->io.out_bytes;
        rc = ask(s);
        if (rc == SSH_AUTH_SUCCESS) {
            mu_connect_done(s, NULL);
            return;
        }
        if (!mu_session_alive(s)) {
            closed_by_server(s);
            return;
        }
        if (rc != SSH_AUTH_AGAIN) { /* an error with the connection still there: a key or agent that cannot sign */
            next(s, rc);
            continue;
        }
        if (++n >= STEPS_MAX || (s->io.in_bytes + s->io.out_bytes == moved &&
                                 !(ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING))) {
            mu_session_rearm(s);
            return;
        }
    }
    denied(s, NULL);
}
