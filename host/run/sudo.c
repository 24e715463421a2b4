#include "run/sudo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void add_quoted(struct mu_buf *b, const char *text)
{
    mu_buf_addc(b, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            mu_buf_adds(b, "'\\''");
        else
            mu_buf_addc(b, *text);
    }
    mu_buf_addc(b, '\'');
}

/* LC_ALL=C is for sudo alone, whose words are read below; the command gets what there was. */
static char *build(const char *prefix, const char *command, bool password)
{
    struct mu_buf inner = MU_BUF_INIT, b = MU_BUF_INIT;
    mu_buf_adds(&inner, "if [ -n \"$1\" ]; then LC_ALL=$1; else unset LC_ALL; fi; shift\n");
    mu_buf_adds(&inner, prefix);
    mu_buf_adds(&inner, command);
    mu_buf_addf(&b, "exec env LC_ALL=C sudo %s -- sh -c ", password ? "-S -p ''" : "-n");
    add_quoted(&b, mu_buf_cstr(&inner));
    mu_buf_adds(&b, " sh \"$LC_ALL\"");
    b.failed = b.failed || inner.failed;
    char *text = mu_buf_take(&b);
    mu_buf_free(&inner);
    mu_buf_free(&b);
    return text;
}

static void make_mark(char mark[32])
{
    unsigned char random[8];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        memset(random, 0x5a, sizeof random); /* any will do: it only has to be unlikely as a password */
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(mark + 2 * i, 3, "%02x", random[i]);
}

static void add_env(struct mu_buf *b, const char *const *env)
{
    for (; env && *env; env++) {
        size_t name = strcspn(*env, "=");
        mu_buf_adds(b, "export ");
        mu_buf_add(b, *env, name);
        mu_buf_addc(b, '=');
        add_quoted(b, *env + name + ((*env)[name] == '='));
        mu_buf_addc(b, '\n');
    }
}

static void add_drain(struct mu_buf *prefix, const char *mark)
{
    mu_buf_addf(prefix, "while IFS= read -r MUSTER_L && [ \"$MUSTER_L\" != %s ]; do :; done; unset MUSTER_L\n", mark);
}

static bool wrap_end(struct mu_sudo *s, const char *password, const char *mark)
{
    struct mu_buf prefix = MU_BUF_INIT, in = MU_BUF_INIT;
    if (password) {
        add_drain(&prefix, mark);
        mu_buf_addf(&in, "%s\n%s\n", password, mark);
    }
    s->end_command = build(mu_buf_cstr(&prefix), "exec sh", password != NULL);
    s->end_input = mu_buf_take(&in);
    mu_buf_free(&prefix);
    mu_buf_free(&in);
    return s->end_command && s->end_input;
}

bool mu_sudo_wrap(struct mu_sudo *s, struct mu_exec_request *req, const char *password)
{
    struct mu_buf env = MU_BUF_INIT, prefix = MU_BUF_INIT, in = MU_BUF_INIT;
    char mark[32];
    make_mark(mark);
    add_env(&env, req->env);
    bool has_input = env.len || req->input_len || req->more_input;
    if (password) {
        mu_buf_reserve(&in, strlen(password) + sizeof mark + env.len + req->input_len); /* no copies left behind */
        mu_buf_addf(&in, "%s\n", password);
        if (has_input) {
            mu_buf_addf(&in, "%s\n", mark);
            add_drain(&prefix, mark);
        } else {
            mu_buf_adds(&prefix, "exec </dev/null\n");
        }
    }
    if (env.len) /* a byte at a time, since what follows is the command's */
        mu_buf_addf(&prefix, "eval \"$(dd bs=1 count=%zu 2>/dev/null)\"\n", env.len);
    mu_buf_add(&in, env.data, env.len);
    if (req->input_len)
        mu_buf_add(&in, req->input, req->input_len);
    s->password = password != NULL;
    s->command = build(mu_buf_cstr(&prefix), req->command, s->password);
    s->input_len = in.len;
    bool failed = env.failed || prefix.failed || in.failed || !wrap_end(s, password, mark);
    s->input = mu_buf_take(&in);
    if (env.data)
        explicit_bzero(env.data, env.len);
    mu_buf_free(&env);
    mu_buf_free(&prefix);
    if (failed || !s->command || !s->input)
        return false;
    req->command = s->command;
    req->input = s->input_len ? s->input : NULL;
    req->input_len = s->input_len;
    req->env = NULL;
    req->end_command = s->end_command;
    req->end_input = *s->end_input ? s->end_input : NULL;
    return true;
}

static void wipe(char **text, size_t len)
{
    if (*text)
        explicit_bzero(*text, len);
    free(*text);
    *text = NULL;
}

void mu_sudo_free(struct mu_sudo *s)
{
    wipe(&s->input, s->input_len);
    wipe(&s->end_input, s->end_input ? strlen(s->end_input) : 0);
    free(s->command);
    free(s->end_command);
    s->command = s->end_command = NULL;
}

/* ---- what sudo says ---- */

static const char *const refusals[] = {
    "a password is required", "no password was provided", "incorrect password attempt", "a terminal is required",
    "is not in the sudoers file", "is not allowed to", "may not run sudo", "you do not exist in the", "unknown user",
    "must be owned by uid 0", "no valid sudoers sources", "no new privileges", "account validation failure",
    "Account expired", "unable to initialize PAM"};

static bool is_refusal(const char *line, size_t len)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (memmem(line, len, refusals[i], strlen(refusals[i])))
            return true;
    return false;
}

void mu_sudo_listen(struct mu_sudo *s, const char *line, size_t len)
{
    bool sudo = (len > 6 && !memcmp(line, "sudo: ", 6)) || memmem(line, len, "is not in the sudoers file", 26) ||
                memmem(line, len, "is not allowed to", 17);
    bool none = len > 5 && !memcmp(line, "env: ", 5) && memmem(line, len, "sudo", 4); /* the rest is in any language */
    if (none || (sudo && is_refusal(line, len)))
        snprintf(s->said, sizeof s->said, "%.*s", (int)(len < 190 ? len : 190), line);
}

bool mu_sudo_refused(const struct mu_sudo *s, const struct mu_exec_result *r, struct mu_err *err)
{
    struct mu_sudo heard = *s;
    if (r->signal[0] || (r->exit_status != 1 && r->exit_status != 127))
        return false;
    const char *line = mu_buf_cstr(&r->err), *end = line + r->err.len;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;
        mu_sudo_listen(&heard, line, (size_t)(stop - line));
        line = stop + 1;
    }
    if (!heard.said[0])
        return false;
    const char *said = heard.said;
    if (strncmp(said, "env: ", 5) == 0) {
        mu_err_set(err, MU_EINVAL, "there is no sudo on the server: install it (Debian package sudo), or log in as root");
        mu_err_cause(err, "no sudo");
    } else if (strstr(said, "incorrect password") || (s->password && strstr(said, "password"))) {
        mu_err_set(err, MU_EINVAL, "sudo did not accept the password (%s): see --sudo-password-file and --sudo-password-env", said);
        mu_err_cause(err, "sudo: wrong password");
    } else if (strstr(said, "password is required") || strstr(said, "terminal is required")) {
        mu_err_set(err, MU_EINVAL, "sudo wants a password: give it with --sudo-password-file or --sudo-password-env, or allow "
                   "the user NOPASSWD in sudoers");
        mu_err_cause(err, "sudo wants a password");
    } else {
        mu_err_set(err, MU_EINVAL, "sudo refused: %s", said);
        mu_err_cause(err, "sudo refused");
    }
    return true;
}
