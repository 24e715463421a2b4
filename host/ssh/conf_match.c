/* conf_match.c: the conditions of a Match line, as they are read. */
#include <string.h>
#include <strings.h>

#include "ssh/conf_internal.h"

static const struct {
    const char *name;
    enum mu_conf_attribute what;
    bool has_value;
} attributes[] = {
    {"all", MU_MATCH_ALL, false},
    {"canonical", MU_MATCH_FINAL, false},
    {"final", MU_MATCH_FINAL, false},
    {"host", MU_MATCH_HOST, true},
    {"originalhost", MU_MATCH_ORIGINALHOST, true},
    {"user", MU_MATCH_USER, true},
    {"localuser", MU_MATCH_LOCALUSER, true},
    {"exec", MU_MATCH_EXEC, true},
};
#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static int unknown(const char *name, struct mu_err *err)
{
    struct mu_buf said = MU_BUF_INIT;

    mu_buf_add_quoted(&said, name, strlen(name));
    mu_err_set(err, MU_EINVAL,
               "Match: %s is no condition; there are all, canonical, final, host, originalhost, user, localuser and exec",
               mu_buf_cstr(&said));
    mu_buf_free(&said);
    return MU_EINVAL;
}

/* One condition, its name read already. *text: what is left. */
static int condition(struct mu_conf *c, struct mu_conf_section *s, char *name, char **text, struct mu_err *err)
{
    struct mu_conf_condition *d = &s->conditions[s->n_conditions];
    size_t i = 0;

    d->negated = *name == '!';
    name += d->negated;
    while (i < N_ATTRIBUTES && strcasecmp(name, attributes[i].name) != 0)
        i++;
    if (i == N_ATTRIBUTES)
        return unknown(name, err);
    d->what = attributes[i].what;
    c->has_exec = c->has_exec || d->what == MU_MATCH_EXEC;
    c->has_final = c->has_final || !strcasecmp(name, "final");
    if (attributes[i].has_value) {
        d->arg = mu_conf_token(text);
        if (!d->arg || !*d->arg || *d->arg == '#')
            return mu_err_set(err, MU_EINVAL, "Match %s: no value", attributes[i].name);
    } else if (d->what == MU_MATCH_ALL) {
        char *more = mu_conf_token(text);

        if (s->n_conditions > 1 || (more && *more && *more != '#'))
            return mu_err_set(err, MU_EINVAL, "Match all: no other condition can stand beside it");
        *text = NULL;
    }
    s->n_conditions++;
    return 0;
}

int mu_conf_match_parse(struct mu_conf *c, struct mu_conf_section *s, char *text, struct mu_err *err)
{
    char *name;
    int rc = 0;

    s->conditions = mu_conf_alloc(&c->arena, (strlen(text) / 2 + 1) * sizeof(*s->conditions));
    if (!s->conditions)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    while (!rc && (name = mu_conf_token(&text)) && *name && *name != '#')
        rc = condition(c, s, name, &text, err);
    if (!rc && !s->n_conditions)
        return mu_err_set(err, MU_EINVAL, "Match: no condition");
    return rc;
}
