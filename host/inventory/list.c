#include "inventory/internal.h"

#include <stdlib.h>
#include <string.h>

/* One line on its way: what is left of it. */
struct cursor {
    const char *at, *end;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Go to the next word; false at the end of the line or at a comment, which only starts where a word could. */
static bool next_word(struct cursor *c)
{
    while (c->at < c->end && blank(*c->at))
        c->at++;
    return c->at < c->end && *c->at != '#';
}

/* How long the word at s is, up to a blank. */
static size_t word_len(const char *s, const char *end)
{
    const char *p = s;

    while (p < end && !blank(*p))
        p++;
    return (size_t)(p - s);
}

/* Read the value after "name=". *value points into the line. */
static int read_value(struct cursor *c, const char *name, size_t name_len, const char **value, size_t *len,
                      struct mu_err *err)
{
    struct mu_quoted q, v;
    const char *close;

    mu_quote(&q, name, name_len);
    if (c->at < c->end && (*c->at == '"' || *c->at == '\'')) {
        *value = c->at + 1;
        close = memchr(*value, *c->at, (size_t)(c->end - *value));
        if (!close)
            return mu_err_set(err, MU_EINVAL, "the value of \"%s\" has no closing %c", q.text, *c->at);
        *len = (size_t)(close - *value);
        c->at = close + 1;
        if (c->at < c->end && !blank(*c->at))
            return mu_err_set(err, MU_EINVAL, "the value of \"%s\" goes on after its closing %c: quote all of it",
                              q.text, *close);
        return 0;
    }
    *value = c->at;
    *len = word_len(c->at, c->end);
    c->at += *len;
    if (memchr(*value, '"', *len) || memchr(*value, '\'', *len))
        return mu_err_set(err, MU_EINVAL, "the value of \"%s\", %s, has a quote in it: quote all of it", q.text,
                          mu_quote(&v, *value, *len));
    return 0;
}

/* Variables are only appended: the end of the line sorts them, which also finds those given twice. */
static int add_var(struct mu_server *srv, const char *name, size_t name_len, char **value_take, struct mu_err *err)
{
    struct mu_var *var;
    int rc = mu_var_check_name(name, name_len, err);

    if (rc < 0)
        return rc;
    var = mu_vars_insert(srv, srv->n_vars);
    if (!var || !(var->name = strndup(name, name_len))) {
        srv->n_vars -= var ? 1 : 0;
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    var->type = MU_VAR_STR;
    var->str = *value_take;
    *value_take = NULL;
    return 0;
}

/* Read one "name=value"; seen has a bit for each field that the line gave. */
static int read_setting(struct cursor *c, struct mu_server *srv, const struct mu_source *source, unsigned *seen,
                        struct mu_err *err)
{
    const char *name = c->at, *value = NULL;
    size_t word = word_len(name, c->end), len = 0, name_len;
    const char *equals = memchr(name, '=', word);
    enum mu_server_field_id field;
    struct mu_quoted q;
    char *copy = NULL;
    int rc;

    if (!equals)
        return mu_err_set(
            err, MU_EINVAL,
            "\"%s\" is not name=value (as in address=10.0.0.2, without blanks around =; one server a line)",
            mu_quote(&q, name, word));
    name_len = (size_t)(equals - name);
    if (name_len == 0)
        return mu_err_set(err, MU_EINVAL, "\"%s\" has no name before the =", mu_quote(&q, name, word));
    c->at = equals + 1;
    rc = read_value(c, name, name_len, &value, &len, err);
    if (rc < 0)
        return rc;
    copy = strndup(value, len);
    if (!copy)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    field = mu_server_field(name, name_len);
    if (field == MU_SF_NONE) {
        rc = add_var(srv, name, name_len, &copy, err);
    } else if (*seen & 1u << field) {
        rc = mu_err_set(err, MU_EINVAL, "\"%s\" is given twice", mu_server_field_name(field));
    } else {
        *seen |= 1u << field;
        rc = mu_server_set_field(srv, field, copy, source->folder, err);
    }
    free(copy);
    return rc;
}

static int read_server(struct mu_inventory *inv, const struct mu_source *source, size_t line, struct cursor *c,
                       struct mu_err *err)
{
    struct mu_server *srv = NULL;
    size_t len = word_len(c->at, c->end);
    struct mu_quoted q;
    unsigned seen = 0;
    char *id;
    int rc;

    if (memchr(c->at, '=', len))
        return mu_err_set(err, MU_EINVAL, "the line starts with \"%s\": it must start with the id of a server",
                          mu_quote(&q, c->at, len));
    if (memchr(c->at, '[', len))
        return mu_err_set(err, MU_EINVAL, "\"%s\" looks like a node set: a list has one server a line",
                          mu_quote(&q, c->at, len));
    id = strndup(c->at, len);
    if (!id)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rc = mu_inventory_add_from(inv, id, source, line, &srv, err);
    free(id);
    if (rc < 0)
        return rc;
    c->at += len;
    while (rc == 0 && next_word(c))
        rc = read_setting(c, srv, source, &seen, err);
    return rc < 0 ? rc : mu_vars_sort(srv->vars, srv->n_vars, err);
}

/* The text is UTF-8; that leaves control characters, which only a broken file has. */
static int check_line(const struct cursor *c, struct mu_err *err)
{
    for (const char *p = c->at; p < c->end; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7F)
            return mu_err_set(err, MU_EINVAL, "a control character (0x%02X) in column %zu", (unsigned char)*p,
                              (size_t)(p - c->at) + 1);
    return 0;
}

int mu_inventory_read_list(struct mu_inventory *inv, const struct mu_source *source, const char *text, size_t len,
                           struct mu_err *err)
{
    const char *end = text + len;

    for (size_t line = 1; text < end; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        struct cursor c = {text, newline ? newline : end};
        int rc;

        if (c.end > c.at && c.end[-1] == '\r')
            c.end--;
        rc = check_line(&c, err);
        if (rc == 0 && next_word(&c))
            rc = read_server(inv, source, line, &c, err);
        if (rc < 0) {
            mu_err_prefix(err, "%s:%zu", source->name, line);
            return rc;
        }
        text = newline ? newline + 1 : end;
    }
    return 0;
}
