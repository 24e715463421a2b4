/* Ansible's INI inventories: [group], [group:children], [group:vars]; before the first of them hosts of no group. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/ansible.h"

enum state { HOSTS, CHILDREN, VARS };

/* A group that was named before it was declared: each has to be in the end. */
struct pending {
    size_t line;
    enum state state; /* CHILDREN: as a child of parent; VARS: variables were given to it */
    char *name;
    struct mu_numbers parents;
    bool over;
};

struct ini {
    struct mu_ansible *a;
    struct mu_place place;
    struct mu_names declared; /* names of pending ones */
    struct pending *pending;
    size_t cap;
    enum state state;
    uint32_t group;
    struct mu_err *err;
};

static int no_memory(struct ini *ini)
{
    return mu_err_set(ini->err, MU_ENOMEM, "out of memory");
}

static int pend(struct ini *ini, const char *name, enum state state, struct pending **out)
{
    size_t i;
    int rc = mu_names_add(&ini->declared, name, strlen(name), &i);

    if (rc < 0)
        return no_memory(ini);
    if (i >= ini->cap) {
        size_t cap = ini->cap ? ini->cap * 2 : 16;
        struct pending *more = reallocarray(ini->pending, cap, sizeof *more);
        if (!more)
            return no_memory(ini);
        ini->pending = more;
        ini->cap = cap;
    }
    if (rc == 1)
        ini->pending[i] = (struct pending){.line = ini->place.line, .state = state, .name = ini->declared.at[i]};
    else if (ini->pending[i].over) {
        ini->pending[i].over = false;
        ini->pending[i].line = ini->place.line;
        ini->pending[i].state = state;
        ini->pending[i].parents.n = 0;
    }
    *out = &ini->pending[i];
    return 0;
}

/* The group has been declared: those that named it as a child get it. */
static int resolve(struct ini *ini, const char *name)
{
    uint32_t group;
    size_t i;
    int rc = 0;

    if (!mu_names_find(&ini->declared, name, strlen(name), &i) || ini->pending[i].over)
        return 0;
    ini->pending[i].over = true;
    if (ini->pending[i].state != CHILDREN)
        return 0;
    rc = mu_ansible_group(ini->a, name, ini->place, &group, ini->err);
    for (uint32_t k = 0; k < ini->pending[i].parents.n && !rc; k++)
        rc = mu_ansible_child(ini->a, ini->pending[i].parents.at[k], group, ini->place, ini->err);
    return rc;
}

/* ---- sections ---- */

static bool rest_is_comment(const char *s)
{
    s += strspn(s, " \t\r\v\f");
    return !*s || *s == '#';
}

/* "[name]" or "[name:kind]" with perhaps a comment; line has no blanks around it. */
static bool is_section(const char *line, char **name, char **kind)
{
    size_t n = strcspn(line + 1, ":] \t\r\v\f"), k = 0;
    const char *p = line + 1 + n;

    *name = *kind = NULL;
    if (*line != '[' || n == 0)
        return false;
    if (*p == ':') {
        p++;
        while (isalnum((unsigned char)p[k]) || p[k] == '_')
            k++;
        p += k;
        if (!k)
            return false;
    }
    if (*p != ']' || !rest_is_comment(p + 1))
        return false;
    *name = strndup(line + 1, n);
    *kind = strndup(p - k, k);
    return true;
}

static int section(struct ini *ini, const char *name, const char *kind)
{
    static const char *const kinds[] = {"hosts", "children", "vars"};
    struct pending *p;
    struct mu_quoted q;
    size_t there, state = 0;
    int rc = 0;

    while (state < 3 && *kind && strcmp(kind, kinds[state]) != 0)
        state++;
    if (state == 3)
        return mu_err_set(ini->err, MU_EINVAL, "a section is [group], [group:children] or [group:vars], not :%s",
                          mu_quote(&q, kind, strlen(kind)));
    ini->state = (enum state)state;
    if (ini->state == VARS && !mu_names_find(&ini->a->groups, name, strlen(name), &there) &&
        !mu_names_find(&ini->declared, name, strlen(name), &there))
        rc = pend(ini, name, VARS, &p);
    if (!rc)
        rc = mu_ansible_group(ini->a, name, ini->place, &ini->group, ini->err);
    if (!rc && ini->state != VARS)
        rc = resolve(ini, name);
    return rc;
}

static int child(struct ini *ini, const char *line)
{
    size_t n = strcspn(line, ":] \t\r\v\f"), there;
    struct pending *p;
    struct mu_quoted q;
    char *name;
    int rc;

    if (n == 0 || !rest_is_comment(line + n))
        return mu_err_set(ini->err, MU_EINVAL, "\"%s\" is not the name of a group", mu_quote(&q, line, strlen(line)));
    name = strndup(line, n);
    if (!name)
        return no_memory(ini);
    if (mu_names_find(&ini->a->groups, name, n, &there)) {
        rc = mu_ansible_child(ini->a, ini->group, (uint32_t)there, ini->place, ini->err);
    } else {
        rc = pend(ini, name, CHILDREN, &p);
        if (!rc && mu_numbers_add(&p->parents, ini->group) < 0)
            rc = no_memory(ini);
    }
    free(name);
    return rc;
}

/* ---- variables and hosts ---- */

/* name=value with blanks around both cut off. */
static int group_var(struct ini *ini, char *line)
{
    char *equals = strchr(line, '='), *end;
    struct mu_quoted q;
    json_t *value;
    int rc;

    if (!equals)
        return mu_err_set(ini->err, MU_EINVAL, "\"%s\" is not name=value", mu_quote(&q, line, strlen(line)));
    for (end = equals; end > line && isspace((unsigned char)end[-1]); end--)
        ;
    *end = '\0';
    equals++;
    while (isspace((unsigned char)*equals))
        equals++;
    value = mu_literal(equals);
    rc = value ? mu_ansible_group_var(ini->a, ini->group, line, value, ini->place, ini->err) : no_memory(ini);
    json_decref(value);
    return rc;
}

/* Names and values of a host's line, of which a range stands for many. */
struct host_line {
    struct ini *ini;
    size_t n;
    char **names;
    json_t **values;
};

static int one_host(void *arg, const char *name, long port)
{
    struct host_line *h = arg;
    struct ini *ini = h->ini;
    uint32_t host;
    int rc;

    if (strcmp(name, "---") == 0)
        return mu_err_set(ini->err, MU_EINVAL, "--- starts a YAML file: give it a name that ends with .yml");
    rc = mu_ansible_host(ini->a, name, ini->place, ini->group, port, &host, ini->err);
    for (size_t i = 0; i < h->n && !rc; i++)
        rc = mu_ansible_host_var(ini->a, host, h->names[i], h->values[i], ini->place, ini->err);
    return rc;
}

static int host_vars(struct host_line *h, char *word, size_t n)
{
    struct mu_quoted q;

    h->names = calloc(n + 1, sizeof *h->names);
    h->values = calloc(n + 1, sizeof *h->values);
    if (!h->names || !h->values)
        return no_memory(h->ini);
    for (; h->n < n; h->n++) {
        char *equals = strchr(word, '=');
        char *after = word + strlen(word) + 1;
        if (!equals)
            return mu_err_set(h->ini->err, MU_EINVAL, "\"%s\" is not name=value (without blanks around =)",
                              mu_quote(&q, word, strlen(word)));
        *equals = '\0';
        h->names[h->n] = word;
        h->values[h->n] = mu_literal(equals + 1);
        if (!h->values[h->n])
            return no_memory(h->ini);
        word = after;
    }
    return 0;
}

static int host(struct ini *ini, const char *line)
{
    struct host_line h = {.ini = ini};
    struct mu_buf words = MU_BUF_INIT;
    struct mu_quoted q;
    size_t n, len;
    int rc = mu_words_split(line, strlen(line), &words, &n, ini->err);

    if (!rc && n) {
        char *first = words.data;
        len = strlen(first);
        rc = host_vars(&h, first + len + 1, n - 1);
        if (!rc && len && first[len - 1] == ':')
            rc = mu_err_set(ini->err, MU_EINVAL, "\"%s\" ends with a colon: a port follows one (or this is YAML, and "
                            "the file's name should end with .yml)", mu_quote(&q, first, len));
        if (!rc)
            rc = mu_hosts_expand(first, one_host, &h, ini->err);
    }
    for (size_t i = 0; i < h.n; i++)
        json_decref(h.values[i]);
    free(h.names);
    free(h.values);
    mu_buf_free(&words);
    return rc;
}

/* ---- lines ---- */

static int one_line(struct ini *ini, char *line)
{
    struct mu_quoted q;
    char *name, *kind;
    int rc;

    if (is_section(line, &name, &kind)) {
        rc = name && kind ? section(ini, name, kind) : no_memory(ini);
        free(name);
        free(kind);
        return rc;
    }
    if (line[0] == '[' && line[strlen(line) - 1] == ']')
        return mu_err_set(ini->err, MU_EINVAL, "%s is not a section: no blanks in it, and [group], [group:children] or "
                          "[group:vars]", mu_quote(&q, line, strlen(line)));
    if (ini->state == VARS)
        return group_var(ini, line);
    return ini->state == CHILDREN ? child(ini, line) : host(ini, line);
}

static int check_pending(struct ini *ini)
{
    struct mu_quoted q;

    for (size_t i = 0; i < ini->declared.n; i++) {
        const struct pending *p = &ini->pending[i];
        if (p->over)
            continue;
        ini->place.line = p->line;
        mu_quote(&q, p->name, strlen(p->name));
        return mu_err_set(ini->err, MU_EINVAL, p->state == VARS ? "[%s:vars], and there is no group %s"
                                                                : "the child %s: there is no group [%s]", q.text, q.text);
    }
    return 0;
}

int mu_ansible_read_ini(struct mu_ansible *a, const struct mu_source *source, const char *text, size_t len,
                        struct mu_err *err)
{
    struct ini ini = {.a = a, .place = {source, 0}, .group = MU_UNGROUPED, .err = err};
    const char *end = text + len;
    int rc = 0;

    while (text < end && !rc) {
        size_t n = 0;
        while (text + n < end && text[n] != '\n' && text[n] != '\r')
            n++;
        const char *next = text + n + (text + n < end) + (text + n + 1 < end && text[n] == '\r' && text[n + 1] == '\n');
        ini.place.line++;
        while (n && isspace((unsigned char)*text))
            text++, n--;
        while (n && isspace((unsigned char)text[n - 1]))
            n--;
        if (n && *text != '#' && *text != ';') {
            char *line = strndup(text, n);
            rc = line ? one_line(&ini, line) : no_memory(&ini);
            free(line);
        }
        text = next;
    }
    if (!rc)
        rc = check_pending(&ini);
    if (rc < 0 && rc != MU_ENOMEM)
        mu_err_prefix(err, "%s:%zu", source->name, ini.place.line);
    for (size_t i = 0; i < ini.declared.n; i++)
        free(ini.pending[i].parents.at);
    free(ini.pending);
    mu_names_free(&ini.declared);
    return rc;
}
