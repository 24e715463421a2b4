/* conf_tokens.c: %h and its like, ${NAME}, and ~. */
#include <openssl/evp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/conf_internal.h"
#include "ssh/shared_parts.h"

static void this_host(char *name, size_t size)
{
    if (gethostname(name, size))
        snprintf(name, size, "localhost");
    name[size - 1] = '\0';
}

/* %C: a short name of the connection, as ssh makes it. */
static void add_hash(struct mu_buf *out, const struct mu_conf_tokens *t)
{
    char host[256];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct mu_buf text = MU_BUF_INIT;

    this_host(host, sizeof(host));
    mu_buf_addf(&text, "%s%s%d%s", host, t->hostname, t->port, t->user);
    if (!text.failed && EVP_Digest(text.data, text.len, digest, &n, EVP_sha1(), NULL)) {
        for (unsigned i = 0; i < n; i++)
            mu_buf_addf(out, "%02x", digest[i]);
    } else {
        out->failed = true;
    }
    mu_buf_free(&text);
}

static void add_token(struct mu_buf *out, char token, const struct mu_conf_tokens *t)
{
    char host[256];

    switch (token) {
    case 'C':
        add_hash(out, t);
        break;
    case 'L':
    case 'l':
        this_host(host, sizeof(host));
        mu_buf_add(out, host, token == 'L' ? strcspn(host, ".") : strlen(host));
        break;
    case 'd':
        mu_buf_adds(out, t->home);
        break;
    case 'h':
        mu_buf_adds(out, t->hostname);
        break;
    case 'i':
        mu_buf_addf(out, "%lu", (unsigned long)getuid());
        break;
    case 'k':
        mu_buf_adds(out, t->alias);
        break;
    case 'n':
        mu_buf_adds(out, t->original);
        break;
    case 'p':
        mu_buf_addf(out, "%d", t->port);
        break;
    case 'r':
        mu_buf_adds(out, t->user);
        break;
    case 'u':
        mu_buf_adds(out, t->local_user);
        break;
    default:
        break;
    }
}

/* *at: behind "${"; afterwards behind "}". */
static int add_variable(struct mu_buf *out, const char **at, const char *text, struct mu_err *err)
{
    const char *end = strchr(*at, '}'), *value;
    char *name;

    if (!end || end == *at)
        return mu_err_set(err, MU_EINVAL, "%s: ${NAME} has no %s", text, end ? "name" : "}");
    name = strndup(*at, (size_t)(end - *at));
    if (!name) {
        out->failed = true;
        return 0;
    }
    value = getenv(name);
    *at = end + 1;
    if (value)
        mu_buf_adds(out, value);
    else
        mu_err_set(err, MU_EINVAL, "%s: the environment has no %s", text, name);
    free(name);
    return value ? 0 : MU_EINVAL;
}

static int add_expanded(struct mu_buf *out, const char *p, const char *set, bool env, const struct mu_conf_tokens *t,
                        struct mu_err *err)
{
    const char *text = p;
    int rc = 0;

    while (*p && !rc) {
        if (env && p[0] == '$' && p[1] == '{') {
            p += 2;
            rc = add_variable(out, &p, text, err);
        } else if (*p != '%') {
            mu_buf_addc(out, *p++);
        } else if (p[1] == '%') {
            mu_buf_addc(out, '%');
            p += 2;
        } else if (p[1] && strchr(set, p[1])) {
            add_token(out, p[1], t);
            p += 2;
        } else {
            rc = mu_err_set(err, MU_EINVAL, "%s: %%%.1s stands for nothing here; a plain %% is %%%%", text, p + 1);
        }
    }
    return rc;
}

/* text with a leading ~ or ~NAME as a home folder; NULL with err set. */
static char *expand_home(const char *text, struct mu_err *err)
{
    size_t n = strcspn(text, "/");
    struct passwd pw, *found = NULL;
    char room[4096], *name, *out = NULL;

    if (*text != '~' || n == 1) {
        out = strcmp(text, "~") ? mu_ssh_expand_home(text) : mu_ssh_expand_home("~/");
        if (!out)
            mu_err_set(err, MU_ENOMEM, "out of memory");
        return out;
    }
    name = strndup(text + 1, n - 1);
    if (!name) {
        mu_err_set(err, MU_ENOMEM, "out of memory");
        return NULL;
    }
    if (getpwnam_r(name, &pw, room, sizeof(room), &found) || !found)
        mu_err_set(err, MU_EINVAL, "%s: there is no user %s", text, name);
    else if (asprintf(&out, "%s%s", pw.pw_dir, text + n) < 0)
        mu_err_set(err, MU_ENOMEM, "out of memory");
    free(name);
    return found ? out : NULL;
}

int mu_conf_expand(const char *text, const char *set, bool env, bool home, const struct mu_conf_tokens *t, char **out,
                   struct mu_err *err)
{
    struct mu_buf b = MU_BUF_INIT;
    char *from = home ? expand_home(text, err) : strdup(text);
    int rc = MU_ENOMEM;

    *out = NULL;
    if (from)
        rc = add_expanded(&b, from, set, env, t, err);
    else if (home)
        rc = err ? err->code : MU_EINVAL;
    free(from);
    if (!rc && !(*out = mu_buf_take(&b)))
        rc = MU_ENOMEM;
    mu_buf_free(&b);
    return rc == MU_ENOMEM ? mu_err_set(err, MU_ENOMEM, "out of memory") : rc;
}
