/* conf_value.c: what stands behind a keyword, checked when it is read, so that a mistake has its line. */
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ssh/conf_internal.h"
#include "ssh/options.h"

struct choice {
    const char *name;
    int value;
};

static const struct choice flags[] = {
    {"yes", MU_CONF_YES}, {"true", MU_CONF_YES}, {"no", MU_CONF_NO}, {"false", MU_CONF_NO}, {NULL, 0}};
static const struct choice pubkey[] = {{"yes", MU_CONF_YES},     {"true", MU_CONF_YES},       {"no", MU_CONF_NO},
                                       {"false", MU_CONF_NO},    {"unbound", MU_CONF_YES},    {"host-bound", MU_CONF_YES},
                                       {NULL, 0}};
static const struct choice strict[] = {{"yes", MU_CONF_YES},  {"true", MU_CONF_YES}, {"no", MU_CONF_NO},
                                       {"false", MU_CONF_NO}, {"off", MU_CONF_NO},   {"ask", MU_CONF_ASK},
                                       {"accept-new", MU_CONF_ACCEPT_NEW}, {NULL, 0}};
static const struct choice canon[] = {{"yes", MU_CONF_YES},  {"true", MU_CONF_YES},      {"no", MU_CONF_NO},
                                      {"false", MU_CONF_NO}, {"always", MU_CONF_ALWAYS}, {NULL, 0}};
static const struct choice family[] = {{"any", MU_SSH_ANY}, {"inet", MU_SSH_INET}, {"inet6", MU_SSH_INET6}, {NULL, 0}};

static const struct choice *choices_of(enum mu_conf_form form)
{
    return form == MU_FORM_PUBKEY   ? pubkey
           : form == MU_FORM_STRICT ? strict
           : form == MU_FORM_CANON  ? canon
           : form == MU_FORM_FAMILY ? family
                                    : flags;
}

static int choose(struct mu_conf_line *l, const struct choice *of, struct mu_err *err)
{
    struct mu_buf names = MU_BUF_INIT, said = MU_BUF_INIT;

    for (const struct choice *c = of; c->name; c++) {
        if (!strcasecmp(c->name, l->text)) {
            l->value = c->value;
            return 0;
        }
    }
    for (size_t i = 0; of[i].name; i++)
        mu_buf_addf(&names, "%s%s", !i ? "" : of[i + 1].name ? ", " : " or ", of[i].name);
    mu_buf_add_quoted(&said, l->text, strlen(l->text));
    mu_err_set(err, MU_EINVAL, "%s %s: it is %s", l->keyword, mu_buf_cstr(&said), mu_buf_cstr(&names));
    mu_buf_free(&names);
    mu_buf_free(&said);
    return MU_EINVAL;
}

static bool whole_number(const char *text, long least, long most, int *out)
{
    char *end = NULL;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < least || n > most)
        return false;
    *out = (int)n;
    return true;
}

/* A number, or the name of a service. */
static bool port(const char *text, int *out)
{
    struct servent entry, *found = NULL;
    char room[1024];

    if (whole_number(text, 1, 65535, out))
        return true;
    if (getservbyname_r(text, "tcp", &entry, room, sizeof(room), &found) || !found)
        return false;
    *out = ntohs((uint16_t)found->s_port);
    return true;
}

/* "user@host:port", "[host]:port", "ssh://user@host:port"; out: without what a URI has around it. */
static bool hop(const char *text, size_t n, struct mu_buf *out)
{
    const char *end = text + n, *host, *after, *at = NULL;
    char digits[32];
    int number;

    if (n > 6 && !strncmp(text, "ssh://", 6)) {
        text += 6;
        if (end[-1] == '/')
            end--;
    }
    for (const char *p = text; p < end; p++)
        if (*p == '@')
            at = p;
    if (at == text)
        return false;
    host = at ? at + 1 : text;
    if (host < end && *host == '[') {
        after = memchr(host, ']', (size_t)(end - host));
        if (!after)
            return false;
        after++;
    } else {
        for (after = host; after < end && *after != ':' && *after != '/';)
            after++;
    }
    if (after == host)
        return false;
    if (after < end && (*after != ':' && *after != '/'))
        return false;
    if (after < end && after + 1 < end) {
        size_t len = (size_t)(end - after - 1);

        if (len >= sizeof(digits))
            return false;
        memcpy(digits, after + 1, len);
        digits[len] = '\0';
        if (!port(digits, &number))
            return false;
        mu_buf_add(out, text, (size_t)(after - text));
        mu_buf_addf(out, ":%d", number);
    } else {
        mu_buf_add(out, text, (size_t)(after - text));
    }
    return true;
}

bool mu_conf_jump(struct mu_conf_arena *a, const char *text, char **out)
{
    size_t n = strcspn(text, "#");
    struct mu_buf hops = MU_BUF_INIT;
    bool fine = true;

    while (n && strchr(" \t\r\n", text[n - 1]))
        n--;
    if (n == 4 && !strncasecmp(text, "none", 4)) {
        *out = mu_conf_strdup(a, "none");
        return true;
    }
    for (size_t at = 0; fine && at <= n;) {
        size_t len = 0;

        while (at + len < n && text[at + len] != ',')
            len++;
        if (at)
            mu_buf_addc(&hops, ',');
        fine = hop(text + at, len, &hops);
        at += len + 1;
    }
    *out = fine ? mu_conf_strdup(a, mu_buf_cstr(&hops)) : NULL;
    mu_buf_free(&hops);
    return fine;
}

static int wrong(const struct mu_conf_line *l, const char *value, const char *why, struct mu_err *err)
{
    struct mu_buf said = MU_BUF_INIT;

    mu_buf_add_quoted(&said, value, strlen(value));
    mu_err_set(err, MU_EINVAL, "%s %s: %s", l->keyword, mu_buf_cstr(&said), why);
    mu_buf_free(&said);
    return MU_EINVAL;
}

static int number(struct mu_conf_line *l, struct mu_err *err)
{
    if (!whole_number(l->text, INT_MIN, INT_MAX, &l->value))
        return wrong(l, l->text, "not a number", err);
    if (l->key == MU_CONF_CONNECTION_ATTEMPTS && l->value < 1)
        return wrong(l, l->text, "at least 1", err);
    return 0;
}

static int seconds(struct mu_conf_line *l, struct mu_err *err)
{
    if (!strcmp(l->text, "none"))
        l->value = 0;
    else if (!mu_conf_seconds(l->text, &l->value))
        return wrong(l, l->text, "not a time; write seconds, 1m30s, or none", err);
    return 0;
}

static int paths(const struct mu_conf_line *l, struct mu_err *err)
{
    for (size_t i = 0; i < l->n_args; i++) {
        if (!*l->args[i])
            return mu_err_set(err, MU_EINVAL, "%s: an empty name", l->keyword);
        if (!strcasecmp(l->args[i], "none") && l->n_args > 1)
            return mu_err_set(err, MU_EINVAL, "%s: \"none\" stands alone or not at all", l->keyword);
    }
    return 0;
}

/* "$NAME", the older way to name a variable, must name one. ${NAME} is looked at when it is used. */
static int agent(const struct mu_conf_line *l, struct mu_err *err)
{
    const char *t = l->text;
    size_t n = *t == '$' && t[1] != '{' ? strspn(t + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
                                        : 0;

    if (*t == '$' && t[1] != '{' && (!n || t[1 + n]))
        return wrong(l, t, "not the name of a variable", err);
    return 0;
}

static int rest_of_line(struct mu_conf_arena *a, struct mu_conf_line *l, enum mu_conf_form form, const char *rest,
                        struct mu_err *err)
{
    rest += strspn(rest, " \t\r\n=");
    if (form == MU_FORM_JUMP) {
        if (!mu_conf_jump(a, rest, &l->text))
            return wrong(l, rest, "not a list of [user@]host[:port]", err);
    } else {
        l->text = mu_conf_strdup(a, rest);
    }
    return 0;
}

int mu_conf_value(struct mu_conf_arena *a, struct mu_conf_line *l, const struct mu_conf_keyword *k, const char *rest,
                  struct mu_err *err)
{
    switch (k->form) {
    case MU_FORM_ANY:
    case MU_FORM_WORDS:
        l->text = l->n_args ? l->args[0] : NULL;
        return 0;
    case MU_FORM_COMMAND:
    case MU_FORM_JUMP:
        return rest_of_line(a, l, k->form, rest, err);
    case MU_FORM_PATHS:
        return paths(l, err);
    default:
        break;
    }
    if (!l->n_args || !*l->args[0])
        return mu_err_set(err, MU_EINVAL, "%s: no value", l->keyword);
    if (l->n_args > 1)
        return wrong(l, l->args[1], "there is one value too many", err);
    l->text = l->args[0];
    switch (k->form) {
    case MU_FORM_FLAG:
    case MU_FORM_PUBKEY:
    case MU_FORM_STRICT:
    case MU_FORM_CANON:
    case MU_FORM_FAMILY:
        return choose(l, choices_of(k->form), err);
    case MU_FORM_NUMBER:
        return number(l, err);
    case MU_FORM_TIME:
        return seconds(l, err);
    case MU_FORM_PORT:
        return port(l->text, &l->value) ? 0 : wrong(l, l->text, "not a port between 1 and 65535", err);
    case MU_FORM_AGENT:
        return agent(l, err);
    case MU_FORM_CIPHERS:
    case MU_FORM_MACS:
    case MU_FORM_KEX:
    case MU_FORM_KEYS:
        l->text = mu_conf_algorithms(a, k->form, l->text, l);
        return 0;
    default:
        return 0;
    }
}
