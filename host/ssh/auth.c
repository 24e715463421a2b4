/* auth.c: which method to ask the server for, and when; what is shown is chosen in auth_keys.c. */
#include "ssh/auth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS_MAX 8
#define KBDINT_ROUNDS_MAX 8
#define PROMPT_SHOWN 60

static void hang_up_agent(struct mu_ssh_session *s)
{
    struct mu_auth *a = s->connect->auth;

    if (a->agent_fd < 0)
        return;
    /* libssh would keep it open as long as the session. */
    if (s->ssh)
        ssh_set_agent_socket(s->ssh, -1);
    close(a->agent_fd);
    a->agent_fd = -1;
}

static void forget_probe(struct mu_auth *a)
{
    ssh_key_free(a->probe);
    a->probe = NULL;
    a->would_do = false;
}

void mu_auth_end(struct mu_ssh_session *s)
{
    struct mu_auth *a = s->connect->auth;

    if (!a)
        return;
    mu_work_cancel(a->work);
    hang_up_agent(s);
    forget_probe(a);
    mu_auth_list_free(a);
    mu_buf_free(&a->prompt);
    free(a);
    s->connect->auth = NULL;
}

static void fail(struct mu_ssh_session *s, const char *closed)
{
    struct mu_err err = {0};

    mu_auth_explain(s, closed, &err);
    mu_connect_done(s, &err);
}

static void out_of_memory(struct mu_ssh_session *s)
{
    struct mu_err err = {0};

    mu_err_set(&err, MU_ENOMEM, "%s port %d: out of memory", s->host, s->port);
    mu_err_cause(&err, "out of memory");
    mu_connect_done(s, &err);
}

static void order_methods(struct mu_auth *a, const struct mu_ssh_options *o)
{
    static const struct {
        const char *name;
        enum mu_auth_method method;
    } methods[] = {
        {"publickey", MU_AUTH_KEY}, {"password", MU_AUTH_PASSWORD}, {"keyboard-interactive", MU_AUTH_KEYBOARD}};
    const bool off[] = {o->no_publickey, o->no_password, o->no_kbdint};
    const char *p = o->preferred_authentications;

    for (p = p ? p : "publickey,password,keyboard-interactive"; *p;) {
        size_t n = strcspn(p, ",");
        for (size_t i = 0; i < 3; i++) {
            bool known = false;
            for (size_t k = 0; k < a->n_order; k++)
                known = known || a->order[k] == methods[i].method;
            if (!known && !off[i] && strlen(methods[i].name) == n && !strncmp(methods[i].name, p, n))
                a->order[a->n_order++] = methods[i].method;
        }
        p += n + (p[n] == ',');
    }
}

/* Whether there is something left to try with it. */
static bool has_more(struct mu_ssh_session *s, enum mu_auth_method method)
{
    const struct mu_auth *a = s->connect->auth;

    if (method == MU_AUTH_KEY)
        return a->at < a->n;
    return mu_ssh_shared_password(s->shared) &&
           (method == MU_AUTH_PASSWORD ? a->password : a->keyboard) == MU_AUTH_UNTRIED;
}

static enum mu_auth_method choose(struct mu_ssh_session *s)
{
    static const int bits[] = {[MU_AUTH_KEY] = SSH_AUTH_METHOD_PUBLICKEY, [MU_AUTH_PASSWORD] = SSH_AUTH_METHOD_PASSWORD,
                               [MU_AUTH_KEYBOARD] = SSH_AUTH_METHOD_INTERACTIVE};
    struct mu_auth *a = s->connect->auth;
    int list = ssh_userauth_list(s->ssh, NULL); /* 0 before the server's first answer */

    /* Its answer comes behind the server's extension info, without which libssh offers RSA keys with SHA-1 only. */
    if (!a->served)
        return MU_AUTH_SERVICE;
    for (size_t i = 0; i < a->n_order; i++) {
        enum mu_auth_method m = a->order[i];
        if (!has_more(s, m) || (list && !(list & bits[m])))
            continue;
        if (!list && m != MU_AUTH_KEY && !a->asked_none) /* a password is for those who ask for one */
            return MU_AUTH_NONE;
        return m;
    }
    /* With nothing to try: some test machines let everybody in, others tell what they offer. */
    return !list && !a->asked_none ? MU_AUTH_NONE : MU_AUTH_NOTHING;
}

static int ask_keyboard(struct mu_ssh_session *s, const char *password)
{
    struct mu_auth *a = s->connect->auth;
    int rc = ssh_userauth_kbdint(s->ssh, NULL, NULL);

    while (rc == SSH_AUTH_INFO && a->rounds++ < KBDINT_ROUNDS_MAX) {
        int i, n = ssh_userauth_kbdint_getnprompts(s->ssh);

        for (i = 0; i < n; i++) {
            char echo = 1;
            const char *prompt = ssh_userauth_kbdint_getprompt(s->ssh, (unsigned)i, &echo);
            bool secret = !echo && !a->password_sent; /* once: a second question means that it was wrong */

            if (prompt && !a->password_sent) {
                mu_buf_clear(&a->prompt);
                mu_buf_add_escaped(&a->prompt, prompt, strnlen(prompt, PROMPT_SHOWN));
            }
            a->password_sent = a->password_sent || secret;
            ssh_userauth_kbdint_setanswer(s->ssh, (unsigned)i, secret ? password : "");
        }
        rc = ssh_userauth_kbdint(s->ssh, NULL, NULL);
    }
    return rc == SSH_AUTH_INFO ? SSH_AUTH_DENIED : rc;
}

/* Show the next key, or ask again what became of it. */
static int ask_key(struct mu_ssh_session *s)
{
    struct mu_auth *a = s->connect->auth;
    const struct mu_auth_try *t = &a->tries[a->at];

    if (t->key)
        return ssh_userauth_publickey(s->ssh, NULL, t->key);
    /* libssh keeps each list that it got from an agent until the end of the process: it is to get one a session, of the key
     * that will do. Where there is one key only there is nothing to find out. */
    if (a->n_agents > 1 && !a->would_do) {
        int rc;
        if (!a->probe && !(a->probe = mu_ssh_agent_import(t->shown.blob, t->shown.len)))
            return SSH_AUTH_DENIED;
        rc = ssh_userauth_try_publickey(s->ssh, NULL, a->probe);
        if (rc != SSH_AUTH_SUCCESS)
            return rc;
        a->would_do = true;
    }
    if (a->agent_fd < 0) {
        a->agent_fd = mu_ssh_agent_client_fd((struct mu_ssh_agent *)(uintptr_t)a->agent, &t->shown,
                                         t->signer.len ? &t->signer : NULL);
        if (a->agent_fd < 0) {
            a->tries[a->at].outcome = MU_AUTH_NO_AGENT;
            return SSH_AUTH_DENIED;
        }
        ssh_set_agent_socket(s->ssh, a->agent_fd);
    }
    return ssh_userauth_agent(s->ssh, NULL);
}

/* Ask what is to be asked now, or ask again for its answer. SSH_AUTH_INFO: it was no attempt to log in. */
static int ask(struct mu_ssh_session *s)
{
    const char *password = mu_ssh_shared_password(s->shared);

    switch (s->connect->auth->now) {
    case MU_AUTH_SERVICE: {
        int rc = ssh_service_request(s->ssh, "ssh-userauth");
        return rc == SSH_OK ? SSH_AUTH_INFO : rc == SSH_AGAIN ? SSH_AUTH_AGAIN : SSH_AUTH_ERROR;
    }
    case MU_AUTH_NONE:
        return ssh_userauth_none(s->ssh, NULL);
    case MU_AUTH_KEY:
        return ask_key(s);
    case MU_AUTH_PASSWORD:
        return ssh_userauth_password(s->ssh, NULL, password);
    case MU_AUTH_KEYBOARD:
        return ask_keyboard(s, password);
    default:
        return SSH_AUTH_DENIED;
    }
}

static enum mu_auth_outcome outcome(struct mu_ssh_session *s, int rc)
{
    if (rc == SSH_AUTH_PARTIAL)
        return MU_AUTH_PARTIAL;
    if (rc == SSH_AUTH_ERROR)
        return MU_AUTH_UNSIGNED; /* with the connection still there: a key or agent that cannot sign */
    return strstr(ssh_get_error(s->ssh), " is not allowed ") ? MU_AUTH_FORBIDDEN : MU_AUTH_REFUSED;
}

/* What was asked had its answer, and it was not the end. */
static void answered(struct mu_ssh_session *s, int rc)
{
    struct mu_auth *a = s->connect->auth;

    switch (a->now) {
    case MU_AUTH_SERVICE:
        a->served = true;
        break;
    case MU_AUTH_NONE:
        a->asked_none = true;
        break;
    case MU_AUTH_KEY:
        hang_up_agent(s);
        forget_probe(a);
        if (rc == SSH_AUTH_DENIED && !(ssh_userauth_list(s->ssh, NULL) & SSH_AUTH_METHOD_PUBLICKEY) && !a->at &&
            ssh_userauth_list(s->ssh, NULL))
            break; /* its first answer: keys are not what it wants now; perhaps behind a password */
        if (a->tries[a->at].outcome == MU_AUTH_UNTRIED)
            a->tries[a->at].outcome = outcome(s, rc);
        a->at++;
        break;
    case MU_AUTH_PASSWORD:
        a->password = rc == SSH_AUTH_PARTIAL ? MU_AUTH_PARTIAL : MU_AUTH_REFUSED;
        break;
    case MU_AUTH_KEYBOARD:
        a->keyboard = rc == SSH_AUTH_PARTIAL ? MU_AUTH_PARTIAL : MU_AUTH_REFUSED;
        break;
    case MU_AUTH_NOTHING:
        break;
    }
    a->now = MU_AUTH_NOTHING;
}

static void closed_by_server(struct mu_ssh_session *s)
{
    struct mu_auth *a = s->connect->auth;
    struct mu_err err = {0};
    char why[256];

    mu_session_error(s, why, sizeof(why));
    /* A server that has had enough of wrong keys says so with a disconnect message, in place of an answer. */
    if (strstr(why, "SSH_MSG_DISCONNECT") && a->now >= MU_AUTH_KEY)
        answered(s, SSH_AUTH_DENIED);
    if (mu_auth_showed(a)) {
        fail(s, why);
        return;
    }
    mu_err_set(&err, MU_ELOST, "%s port %d: the connection was lost during authentication: %s", s->host, s->port, why);
    mu_err_cause(&err, "connection lost");
    mu_connect_done(s, &err);
}

/* True when there is something to go on with now. */
static bool prepare(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;
    int rc = 0;

    if (!c->auth) {
        c->auth = calloc(1, sizeof(*c->auth));
        if (!c->auth) {
            out_of_memory(s);
            return false;
        }
        c->auth->agent_fd = -1;
        order_methods(c->auth, s->options);
        c->auth->ready = mu_shared_login_loaded(s->shared, s->options);
    }
    if (c->auth->work)
        return false;
    if (!c->auth->ready) {
        if (mu_auth_load(s))
            out_of_memory(s);
        return false;
    }
    if (c->auth->served || c->auth->now)
        return true;
    if (s->options->pubkey_algorithms &&
        ssh_options_set(s->ssh, SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, s->options->pubkey_algorithms))
        rc = MU_ENOMEM; /* they are known: the options were checked when they were looked up */
    if (!rc)
        rc = mu_auth_list(s);
    if (rc)
        out_of_memory(s);
    return rc == 0;
}

void mu_auth_step(struct mu_ssh_session *s)
{
    struct mu_auth *a;
    uint64_t moved;
    int rc, n = 0;

    if (!prepare(s))
        return;
    a = s->connect->auth;
    for (;;) {
        if (a->now == MU_AUTH_NOTHING)
            a->now = choose(s);
        if (a->now == MU_AUTH_NOTHING) {
            fail(s, NULL);
            return;
        }
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
        if (rc != SSH_AUTH_AGAIN) {
            answered(s, rc);
            continue;
        }
        if (++n >= STEPS_MAX || (s->io.in_bytes + s->io.out_bytes == moved &&
                                 !(ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING))) {
            mu_session_rearm(s);
            return;
        }
    }
}
