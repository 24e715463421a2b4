#include "ssh/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The command itself is sent as it is, for whatever login shell the user has, with one line before it: one that sh,
 * csh and fish read alike, and that a comment, a here-document or a syntax error in the command leaves alone. It tells
 * the process id of the login shell and, where the system has /proc, its process group: they are the same under sshd,
 * which makes each command a session leader. Where they differ (under dropbear) the group is the server's own: the command
 * is then ended process by process, as far as they descend from its shell. */
#define ANNOUNCE                                                                                                        \
    "sh -c 'read -r s 2>/dev/null </proc/$$/stat; s=${s##*) }; set -- $s; echo \"%s $PPID $3\" >&2'\n"

/* The environment must not show in the command line, and servers refuse to take it by SSH's own means: it comes ahead
 * on standard input. One byte at a time, since what follows is the command's. */
#define ENVIRONMENT "eval \"$(dd bs=1 count=%zu 2>/dev/null)\"\n"

#define HELD_MAX 4096

void mu_command_token(char token[MU_TOKEN_SIZE])
{
    unsigned char random[8];
    size_t i;

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        memset(random, 0x5a, sizeof(random)); /* any will do: it only has to be unlikely in the output */
    memcpy(token, "muster-", 7);
    for (i = 0; i < sizeof(random); i++)
        snprintf(token + 7 + 2 * i, 3, "%02x", random[i]);
}

int mu_command_build(char **out, const char *command, const char *token, size_t env_len, struct mu_err *err)
{
    struct mu_buf b = MU_BUF_INIT;

    if (*token)
        mu_buf_addf(&b, ANNOUNCE, token);
    if (env_len)
        mu_buf_addf(&b, ENVIRONMENT, env_len);
    mu_buf_adds(&b, command);
    *out = mu_buf_take(&b);
    mu_buf_free(&b);
    return *out ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
}

int mu_command_env(struct mu_buf *out, const char *const *env, struct mu_err *err)
{
    for (; env && *env; env++) {
        const char *c = *env;

        while (isalpha((unsigned char)*c) || *c == '_' || (c > *env && isdigit((unsigned char)*c)))
            c++;
        if (c == *env || *c != '=') {
            struct mu_buf name = MU_BUF_INIT;

            mu_buf_add_escaped(&name, *env, strcspn(*env, "=")); /* never the value: it may be a secret */
            mu_err_set(err, MU_EINVAL, "environment: \"%s\" is not a variable's name: letters, digits and _ are allowed",
                       mu_buf_cstr(&name));
            mu_buf_free(&name);
            return MU_EINVAL;
        }
        mu_buf_adds(out, "export ");
        mu_buf_add(out, *env, (size_t)(c + 1 - *env));
        mu_buf_addc(out, '\'');
        for (c++; *c; c++) {
            if (*c == '\'')
                mu_buf_adds(out, "'\\''");
            else
                mu_buf_addc(out, *c);
        }
        mu_buf_adds(out, "'\n");
    }
    return out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}

/* ---- the announcement ---- */

static void announced(struct mu_ssh_exec *e, const char *text, size_t n)
{
    char numbers[64];
    long pid = 0, group = 0;
    int found;

    snprintf(numbers, sizeof(numbers), "%.*s", (int)(n < 60 ? n : 60), text);
    found = sscanf(numbers, "%ld %ld", &pid, &group);
    if (found >= 1 && pid > 1)
        e->result.pid = pid;
    e->by_tree = e->result.pid && found == 2 && group != pid;
    e->token[0] = '\0';
}

/* Hand on what is held, up to n bytes. */
static void release(struct mu_ssh_exec *e, size_t n)
{
    struct mu_buf *h = &e->held;

    mu_exec_take(e, MU_EXEC_STDERR, h->data, n);
    memmove(h->data, h->data + n, h->len - n);
    h->len -= n;
}

void mu_announce_flush(struct mu_ssh_exec *e)
{
    if (e->held.len)
        release(e, e->held.len);
    mu_buf_free(&e->held);
}

void mu_announce_feed(struct mu_ssh_exec *e, const char *bytes, size_t n)
{
    struct mu_buf *h = &e->held;
    size_t token_len = strlen(e->token), keep;
    char *at, *newline;

    mu_buf_add(h, bytes, n);
    e->result.err.failed |= h->failed;
    if (h->failed || !h->len)
        return;
    at = memmem(h->data, h->len, e->token, token_len);
    if (at) {
        newline = memchr(at, '\n', h->len - (size_t)(at - h->data));
        if (!newline && h->len < HELD_MAX)
            return; /* the rest of the line comes */
        if (newline)
            announced(e, at + token_len, (size_t)(newline - at) - token_len);
        else
            newline = at + token_len - 1; /* not ours: no such line is so long */
        e->token[0] = '\0';
        mu_exec_take(e, MU_EXEC_STDERR, h->data, (size_t)(at - h->data));
        mu_exec_take(e, MU_EXEC_STDERR, newline + 1, h->len - (size_t)(newline + 1 - h->data));
        mu_buf_free(h);
        return;
    }
    /* Whole lines without it are the command's own; of the last one, keep what may be the token's start. */
    newline = memrchr(h->data, '\n', h->len);
    keep = newline ? h->len - (size_t)(newline + 1 - h->data) : h->len;
    if (keep >= HELD_MAX)
        keep = token_len - 1;
    release(e, h->len - keep);
}
