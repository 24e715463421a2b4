/* auth_say.c: why a login did not work, in one line. */
#include <stdio.h>
#include <string.h>

#include "ssh/auth.h"

#define NAMED_MAX 4 /* files that are told one by one */

static const char *const outcomes[] = {[MU_AUTH_UNTRIED] = "not tried",
                                       [MU_AUTH_REFUSED] = "refused",
                                       [MU_AUTH_PARTIAL] = "accepted, but not enough",
                                       [MU_AUTH_FORBIDDEN] = "not allowed by PubkeyAcceptedAlgorithms, or too short",
                                       [MU_AUTH_UNSIGNED] = "it could not sign",
                                       [MU_AUTH_NO_AGENT] = "the agent is out of use"};

bool mu_auth_showed(const struct mu_auth *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->tries[i].outcome != MU_AUTH_UNTRIED)
            return true;
    return a->password != MU_AUTH_UNTRIED || a->keyboard != MU_AUTH_UNTRIED;
}

static bool is_of(const struct mu_ssh_session *s, int method) { return ssh_userauth_list(s->ssh, NULL) & method; }

/* libssh knows what the server takes once it has refused something. */
static bool list_known(const struct mu_ssh_session *s) { return ssh_userauth_list(s->ssh, NULL) != 0; }

static void offers(const struct mu_ssh_session *s, struct mu_buf *out)
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
    size_t start = out->len;

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (is_of(s, methods[i].method))
            mu_buf_addf(out, "%s%s", out->len > start ? "," : "", methods[i].name);
    if (out->len == start)
        mu_buf_adds(out, "nothing known");
}

/* "what path (", in a list. */
static void open_item(struct mu_buf *out, const char *what, const char *path)
{
    mu_buf_addf(out, "%s%s", out->len ? ", " : "", what);
    if (path) {
        mu_buf_addc(out, ' ');
        mu_buf_add_escaped(out, path, strlen(path));
    }
    mu_buf_adds(out, " (");
}

static const char *outcome_of(const struct mu_ssh_session *s, const struct mu_auth_try *t)
{
    if (t->outcome == MU_AUTH_UNTRIED && list_known(s) && !is_of(s, SSH_AUTH_METHOD_PUBLICKEY))
        return "not offered";
    return outcomes[t->outcome];
}

static void say_try(const struct mu_ssh_session *s, const struct mu_auth_try *t, struct mu_buf *out)
{
    struct mu_cert about;

    open_item(out, t->cert ? "certificate" : "key", t->cert ? t->cert->path : t->id->path);
    mu_buf_addf(out, "%s%s", t->key ? "" : "by the agent: ", outcome_of(s, t));
    if (t->cert && t->outcome == MU_AUTH_REFUSED && !mu_cert_parse(&about, t->cert->blob, t->cert->len)) {
        struct mu_buf why = MU_BUF_INIT;
        mu_cert_explain(&about, s->user, time(NULL), &why);
        if (why.len)
            mu_buf_addf(out, ": %s", mu_buf_cstr(&why));
        mu_buf_free(&why);
        mu_cert_free(&about);
    }
    mu_buf_addc(out, ')');
}

/* Files that are named and gave nothing to try. */
static void say_useless(const struct mu_ssh_session *s, struct mu_buf *out, size_t *named, size_t *more)
{
    char *const *files = s->options->identity_files, *const *certs = s->options->certificate_files;

    for (size_t i = 0; files && files[i]; i++) {
        const struct mu_identity *id = mu_keys_find(s->shared->keys, files[i]);
        if (!id || id->key || !id->why || mu_ssh_agent_holds(s->connect->auth->agent, id->blob, id->len))
            continue;
        if ((*named)++ >= NAMED_MAX) {
            ++*more;
            continue;
        }
        open_item(out, "key", id->path);
        mu_buf_addf(out, "%s)", id->why);
    }
    for (size_t i = 0; certs && certs[i]; i++) {
        const struct mu_certificate *cert = mu_keys_find_certificate(s->shared->keys, certs[i]);
        bool used = false;
        for (size_t k = 0; k < s->connect->auth->n; k++)
            used = used || s->connect->auth->tries[k].cert == cert;
        if (!cert || used)
            continue;
        if ((*named)++ >= NAMED_MAX) {
            ++*more;
            continue;
        }
        open_item(out, "certificate", cert->path);
        mu_buf_addf(out, "%s)", cert->why ? cert->why : "there is no private key for it");
    }
}

static void say_agent(const struct mu_ssh_session *s, size_t *of_agent, struct mu_buf *out)
{
    const struct mu_auth *a = s->connect->auth;
    size_t count[MU_AUTH_NO_AGENT + 1] = {0};

    for (size_t i = 0; i < a->n; i++) {
        if (a->tries[i].id || a->tries[i].cert)
            continue;
        count[a->tries[i].outcome]++;
        ++*of_agent;
    }
    if (!*of_agent) {
        if (!a->agent && s->options->identity_agent && strcmp(s->options->identity_agent, "none") != 0)
            mu_buf_addf(out, "%sagent (none to use at %s)", out->len ? ", " : "", s->options->identity_agent);
        return;
    }
    mu_buf_addf(out, "%sagent: ", out->len ? ", " : "");
    for (size_t i = 0, first = 1; i <= MU_AUTH_NO_AGENT; i++) {
        size_t k = i < MU_AUTH_NO_AGENT ? i + 1 : MU_AUTH_UNTRIED; /* what was not tried comes last */
        bool off = k == MU_AUTH_UNTRIED && list_known(s) && !is_of(s, SSH_AUTH_METHOD_PUBLICKEY);
        if (!count[k])
            continue;
        mu_buf_addf(out, "%s%zu key%s (%s)", first ? "" : ", ", count[k], count[k] == 1 ? "" : "s",
                    off ? "not offered" : outcomes[k]);
        first = 0;
    }
}

static bool in_order(const struct mu_auth *a, enum mu_auth_method method)
{
    for (size_t i = 0; i < a->n_order; i++)
        if (a->order[i] == method)
            return true;
    return false;
}

static void say_password(const struct mu_ssh_session *s, struct mu_buf *out)
{
    const struct mu_auth *a = s->connect->auth;

    if (!mu_ssh_shared_password(s->shared))
        return;
    if (a->password != MU_AUTH_UNTRIED) {
        open_item(out, "password", NULL);
        mu_buf_addf(out, "%s)", outcomes[a->password]);
    }
    if (a->keyboard != MU_AUTH_UNTRIED) {
        open_item(out, "keyboard-interactive", NULL);
        mu_buf_adds(out, outcomes[a->keyboard]);
        if (a->prompt.len)
            mu_buf_addf(out, "; it asked \"%s\"", mu_buf_cstr(&a->prompt));
        mu_buf_addc(out, ')');
    }
    if (a->password == MU_AUTH_UNTRIED && a->keyboard == MU_AUTH_UNTRIED) {
        bool excluded = !in_order(a, MU_AUTH_PASSWORD) && !in_order(a, MU_AUTH_KEYBOARD);
        open_item(out, "password", NULL);
        mu_buf_addf(out, "%s)", excluded ? "switched off in ssh_config" : list_known(s) ? "not offered" : "not tried");
    }
}

/* "key a (refused), agent: 3 keys (refused), password (not offered)" */
static size_t say_tried(const struct mu_ssh_session *s, struct mu_buf *out)
{
    const struct mu_auth *a = s->connect->auth;
    size_t named = 0, more = 0, of_agent = 0;

    for (size_t i = 0; in_order(a, MU_AUTH_KEY) && i < a->n; i++) {
        if (!a->tries[i].id && !a->tries[i].cert)
            continue;
        if (named++ < NAMED_MAX)
            say_try(s, &a->tries[i], out);
        else
            more++;
    }
    if (in_order(a, MU_AUTH_KEY))
        say_useless(s, out, &named, &more);
    if (more)
        mu_buf_addf(out, " and %zu more file%s", more, more == 1 ? "" : "s");
    if (in_order(a, MU_AUTH_KEY))
        say_agent(s, &of_agent, out);
    say_password(s, out);
    return of_agent;
}

/* The server grants only so many tries a connection (MaxAuthTries). */
static bool too_many(const char *closed) { return closed && strstr(closed, "Too many authentication failures"); }

void mu_auth_explain(const struct mu_ssh_session *s, const char *closed, struct mu_err *err)
{
    const struct mu_auth *a = s->connect->auth;
    struct mu_buf tried = MU_BUF_INIT, offer = MU_BUF_INIT;
    size_t of_agent = say_tried(s, &tried);

    offers(s, &offer);
    if (!a->n_order)
        mu_err_set(err, MU_EAUTH, "%s port %d: user %s: no way to log in is left: ssh_config switches publickey, password and "
                   "keyboard-interactive off, or PreferredAuthentications names none of them", s->host, s->port, s->user);
    else if (too_many(closed))
        mu_err_set(err, MU_EAUTH, "%s port %d: user %s: too many keys for this server, which closed the connection: tried "
                   "%s; %s", s->host, s->port, s->user, mu_buf_cstr(&tried),
                   of_agent ? "name the right key and set IdentitiesOnly, or take keys out of the agent"
                            : "name the right key alone");
    else if (closed)
        mu_err_set(err, MU_EAUTH, "%s port %d: user %s: the server closed the connection during the login: tried %s: %s",
                   s->host, s->port, s->user, mu_buf_cstr(&tried), closed);
    else if (!tried.len)
        mu_err_set(err, MU_EAUTH, "%s port %d: user %s: there is no key, agent or password to log in with; the server offers %s",
                   s->host, s->port, s->user, mu_buf_cstr(&offer));
    else
        mu_err_set(err, MU_EAUTH, "%s port %d: user %s was not let in: tried %s; the server offers %s", s->host, s->port,
                   s->user, mu_buf_cstr(&tried), mu_buf_cstr(&offer));
    mu_err_cause(err, too_many(closed) ? "authentication: too many keys tried" : "authentication: denied");
    mu_buf_free(&tried);
    mu_buf_free(&offer);
}
