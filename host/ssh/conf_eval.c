/* conf_eval.c: what of a configuration holds for one server. */
#include <ctype.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "core/log.h"
#include "ssh/conf_internal.h"

struct asking {
    const struct mu_conf_who *who;
    struct mu_conf_found *found;
    const char *host; /* what Host lines are compared with: as it was given; in the final pass where that leads */
    bool final;
};

/* ---- one line ---- */

static int add_file(const struct mu_conf_line **list, size_t *n, const struct mu_conf_line *l, struct mu_err *err)
{
    for (size_t i = 0; i < *n; i++)
        if (list[i]->user == l->user && !strcmp(list[i]->text, l->text))
            return 0;
    if (*n == MU_CONF_FILES_MAX) {
        mu_err_set(err, MU_EINVAL, "more than %d times %s for one server", MU_CONF_FILES_MAX, l->keyword);
        return mu_conf_at(l, err);
    }
    list[(*n)++] = l;
    return 0;
}

static void not_honoured(const struct mu_conf_line *l)
{
    const struct mu_conf_keyword *k = mu_conf_keyword_find(l->keyword);

    if (l->text && k && mu_conf_glob_list(l->text, k->harmless, true) > 0)
        return;
    mu_conf_warn_once(l, "muster does not do what it asks for");
}

int mu_conf_take(struct mu_conf_found *f, const struct mu_conf_line *l, struct mu_err *err)
{
    switch (l->key) {
    case MU_CONF_IDENTITY_FILE:
        return add_file(f->identities, &f->n_identities, l, err);
    case MU_CONF_CERTIFICATE_FILE:
        return add_file(f->certificates, &f->n_certificates, l, err);
    case MU_CONF_NOT_HONOURED:
        not_honoured(l);
        return 0;
    case MU_CONF_PROXY_COMMAND: /* of the two, whichever comes first; "none" is a choice, too */
    case MU_CONF_PROXY_JUMP:
        if (!f->one[MU_CONF_PROXY_COMMAND] && !f->one[MU_CONF_PROXY_JUMP])
            f->one[l->key] = l;
        return 0;
    default:
        if (l->key < MU_CONF_N_SINGLE && !f->one[l->key])
            f->one[l->key] = l;
        return 0;
    }
}

/* ---- Match ---- */

/* Where HostName leads, as far as it is known at this line. */
static int host_so_far(const struct asking *q, char **out, struct mu_err *err)
{
    const struct mu_conf_line *l = q->found->one[MU_CONF_HOST_NAME];
    const struct mu_conf_tokens t = {.hostname = q->host};
    int rc = 0;

    if (!l || q->final)
        *out = strdup(q->host);
    else if ((rc = mu_conf_expand(l->text, "h", false, false, &t, out, err)))
        return mu_conf_at(l, err);
    return *out ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
}

static int match_exec(const struct asking *q, const struct mu_conf_section *s, const char *command, const char *host,
                      const char *user, struct mu_err *err)
{
    const struct mu_conf_line *alias = q->found->one[MU_CONF_HOST_KEY_ALIAS], *port = q->found->one[MU_CONF_PORT];
    const struct mu_conf_tokens t = {.original = q->who->original, .hostname = host, .alias = alias ? alias->text : host,
                                     .user = user, .local_user = q->who->local_user, .home = q->who->home,
                                     .port = port ? port->value : 22};
    char *expanded = NULL;
    int rc;

    if (mu_conf_expand(command, MU_CONF_TOKENS_ALL, false, false, &t, &expanded, err))
        return mu_conf_at(s->head, err);
    rc = q->who->exec ? q->who->exec(q->who->exec_arg, expanded) : 0;
    free(expanded);
    return rc;
}

/* 1: it holds, 0: not; MU_CONF_PENDING; negative. */
static int condition_holds(const struct asking *q, const struct mu_conf_section *s, const struct mu_conf_condition *d,
                           const char *host, const char *user, struct mu_err *err)
{
    switch (d->what) {
    case MU_MATCH_ALL:
        return 1;
    case MU_MATCH_FINAL:
        return q->final;
    case MU_MATCH_HOST:
        return mu_conf_glob_list(host, d->arg, true) > 0;
    case MU_MATCH_ORIGINALHOST:
        return mu_conf_glob_list(q->who->original, d->arg, true) > 0;
    case MU_MATCH_USER:
        return mu_conf_glob_list(user, d->arg, false) > 0;
    case MU_MATCH_LOCALUSER:
        return mu_conf_glob_list(q->who->local_user, d->arg, false) > 0;
    case MU_MATCH_EXEC:
        return match_exec(q, s, d->arg, host, user, err);
    }
    return 0;
}

static int match_holds(const struct asking *q, const struct mu_conf_section *s, struct mu_err *err)
{
    const struct mu_conf_line *said = q->found->one[MU_CONF_USER];
    const char *user = said ? said->text : q->who->local_user;
    char *host = NULL;
    int rc = host_so_far(q, &host, err);

    if (rc)
        return rc;
    rc = 1;
    /* A command is not run when what stands before it does not hold. */
    for (size_t i = 0; i < s->n_conditions && rc == 1; i++) {
        rc = condition_holds(q, s, &s->conditions[i], host, user, err);
        if ((rc == 0 || rc == 1) && s->conditions[i].negated)
            rc = !rc;
    }
    free(host);
    return rc;
}

static bool host_holds(const struct mu_conf_line *head, const char *host)
{
    bool holds = false;

    for (size_t i = 0; i < head->n_args; i++) {
        bool negated = head->args[i][0] == '!';

        if (!mu_conf_glob(host, head->args[i] + negated))
            continue;
        if (negated)
            return false;
        holds = true;
    }
    return holds;
}

/* ---- files ---- */

static int ask_file(const struct asking *q, const struct mu_conf_file *f, struct mu_err *err);

static int ask_section(const struct asking *q, const struct mu_conf_section *s, struct mu_err *err)
{
    int rc = 1;

    if (s->head && s->head->key == MU_CONF_HOST)
        rc = host_holds(s->head, q->host);
    else if (s->head)
        rc = match_holds(q, s, err);
    if (rc != 1)
        return rc;
    rc = 0;
    for (size_t i = 0; i < s->n_lines && !rc; i++) {
        if (s->lines[i]->key != MU_CONF_INCLUDE) {
            rc = mu_conf_take(q->found, s->lines[i], err);
            continue;
        }
        for (struct mu_conf_file **f = s->lines[i]->included; *f && !rc; f++)
            rc = ask_file(q, *f, err);
    }
    return rc;
}

/* The first of the names that is host, or n_names. */
static size_t find_name(const struct mu_conf_file *f, const char *host)
{
    size_t low = 0, high = f->n_names;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(f->names[middle].name, host) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int ask_file(const struct asking *q, const struct mu_conf_file *f, struct mu_err *err)
{
    size_t name = find_name(f, q->host), other = 0, last = f->n_sections;
    int rc = 0;

    /* Both lists are in the file's order: merge them. */
    while (!rc) {
        bool named = name < f->n_names && !strcmp(f->names[name].name, q->host);
        size_t section;

        if (!named && other == f->n_others)
            break;
        if (named && (other == f->n_others || f->names[name].section < f->others[other]))
            section = f->names[name++].section;
        else
            section = f->others[other++];
        if (section != last) /* a name that stands twice in one line */
            rc = ask_section(q, &f->sections[section], err);
        last = section;
    }
    return rc;
}

static int ask_all(const struct mu_conf *c, const struct asking *q, struct mu_err *err)
{
    int rc = 0;

    for (size_t i = 0; i < 2 && !rc; i++)
        if (c->roots[i])
            rc = ask_file(q, c->roots[i], err);
    return rc;
}

/* ---- where it leads ---- */

/* Numeric addresses in the form that the system writes them; NULL: it is none. */
static char *usual_address(const char *host)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char text[NI_MAXHOST];
    char *out = NULL;

    if ((!strchr(host, ':') && !isdigit((unsigned char)*host)) || getaddrinfo(host, NULL, &hints, &found))
        return NULL;
    if (!getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
        out = strdup(text);
    freeaddrinfo(found);
    return out;
}

static int resolve_name(const struct asking *q, char **out, struct mu_err *err)
{
    char *host = NULL, *address;
    int rc = host_so_far(q, &host, err);

    if (rc)
        return rc;
    address = usual_address(host);
    if (address && strcasecmp(address, host) != 0) {
        free(host);
        host = address;
    } else if (address) { /* it has that form, but for its case, which ssh leaves */
        free(address);
    } else {
        for (char *p = host; *p; p++)
            *p = (char)tolower((unsigned char)*p);
    }
    *out = host;
    return 0;
}

int mu_conf_ask(const struct mu_conf *c, const struct mu_conf_who *who, struct mu_conf_found *f, char **hostname,
                struct mu_err *err)
{
    struct asking q = {.who = who, .found = f, .host = who->original};
    const struct mu_conf_line *canon;
    int rc = c ? ask_all(c, &q, err) : 0;

    *hostname = NULL;
    if (!rc)
        rc = resolve_name(&q, hostname, err);
    if (rc || !c)
        return rc;
    canon = f->one[MU_CONF_CANONICALIZE_HOSTNAME];
    if (canon && canon->value != MU_CONF_NO)
        mu_conf_warn_once(canon, "names are not made canonical; the name is used as it is");
    else
        canon = NULL;
    if (!c->has_final && !canon)
        return 0;
    q.final = true;
    q.host = *hostname;
    /* A HostName that the final pass finds comes too late, as in ssh. */
    if (!f->one[MU_CONF_HOST_NAME]) {
        struct mu_conf_line none = {.key = MU_CONF_HOST_NAME, .text = *hostname, .keyword = "HostName", .origin = ""};

        f->one[MU_CONF_HOST_NAME] = &none;
        rc = ask_all(c, &q, err);
        f->one[MU_CONF_HOST_NAME] = NULL;
    } else {
        rc = ask_all(c, &q, err);
    }
    if (rc) {
        free(*hostname);
        *hostname = NULL;
    }
    return rc;
}
