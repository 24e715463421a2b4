/* How a server is reached, out of Ansible's variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/ansible.h"

#define REFERENCES_MAX 20 /* one to another; more is a circle */

/* Where later names win over earlier ones, as in Ansible. */
static const char *const names[MU_SF_NONE][3] = {
    [MU_SF_ADDRESS] = {"ansible_host", "ansible_ssh_host", NULL},
    [MU_SF_PORT] = {"ansible_port", "ansible_ssh_port", NULL},
    [MU_SF_USER] = {"ansible_user", "ansible_ssh_user", NULL},
    [MU_SF_KEY] = {"ansible_private_key_file", "ansible_ssh_private_key_file", NULL},
    [MU_SF_TRANSPORT] = {"ansible_connection", NULL, NULL},
};
/* These are put one after another. */
static const char *const arg_names[] = {"ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"};

bool mu_connection_uses(const char *name)
{
    for (size_t f = 0; f < MU_SF_NONE; f++)
        for (size_t i = 0; i < 2; i++)
            if (names[f][i] && strcmp(names[f][i], name) == 0)
                return true;
    for (size_t i = 0; i < sizeof arg_names / sizeof *arg_names; i++)
        if (strcmp(arg_names[i], name) == 0)
            return true;
    return false;
}

/* ansible_password, ansible_ssh_pass, ansible_become_password, ansible_ssh_private_key_passphrase … */
bool mu_connection_is_secret(const char *name)
{
    static const char *const ends[] = {"_pass", "_password", "_passwd", "_passphrase", "_private_key"};
    size_t len = strlen(name);

    if (strncmp(name, "ansible_", 8) != 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (len >= n && strcmp(name + len - n, ends[i]) == 0)
            return true;
    }
    return false;
}

/* ---- variables ---- */

static const struct mu_avar *in(const struct mu_avars *vars, size_t number)
{
    size_t low = 0, high = vars->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (vars->at[mid].name == number)
            return &vars->at[mid];
        if (vars->at[mid].name < number)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static const struct mu_avar *find(const struct mu_scope_vars *vars, const char *name, size_t len)
{
    const struct mu_avar *var = NULL;
    size_t number;

    if (!mu_names_find(&vars->a->vars, name, len, &number))
        return NULL;
    var = in(vars->own, number);
    return var ? var : in(vars->shared, number);
}

/* ---- text, with its references replaced ---- */

struct resolving {
    const struct mu_scope_vars *vars;
    const char *name; /* of the connection variable */
    const struct mu_avar *var;
    unsigned depth;
    struct mu_err *err;
};

static int bad(struct resolving *r, const char *what, const char *about)
{
    struct mu_quoted host, q;

    mu_quote(&host, r->vars->host, strlen(r->vars->host));
    mu_quote(&q, about, strlen(about));
    if (r->var->line)
        return mu_err_set(r->err, MU_EINVAL, "%s:%u: server \"%s\": %s: %s%s%s", r->var->source->name, r->var->line,
                          host.text, r->name, what, *about ? " " : "", q.text);
    return mu_err_set(r->err, MU_EINVAL, "%s: server \"%s\": %s: %s%s%s", r->var->source->name, host.text, r->name, what,
                      *about ? " " : "", q.text);
}

static int add_text(struct resolving *r, const char *text, struct mu_buf *out);

static int add_value(struct resolving *r, json_t *value, struct mu_buf *out)
{
    if (json_is_string(value))
        return add_text(r, json_string_value(value), out);
    if (json_is_integer(value))
        mu_buf_addf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        mu_buf_add_number(out, json_real_value(value));
    else if (json_is_boolean(value))
        mu_buf_adds(out, json_is_true(value) ? "True" : "False");
    else if (json_object_get(value, MU_VAULT_KEY))
        return bad(r, "it is encrypted (!vault), and nothing is decrypted here: say it in plain", "");
    else
        return bad(r, "it is a list, a mapping or null, and has to be text", "");
    return 0;
}

static int add_magic(struct resolving *r, const char *name, size_t len, struct mu_buf *out)
{
    const struct mu_source *source = r->vars->source;
    const char *host = r->vars->host;
    char given[64];

    snprintf(given, sizeof given, "%.*s", (int)(len < 60 ? len : 60), name);
    if (strcmp(given, "inventory_hostname") == 0)
        mu_buf_adds(out, host);
    else if (strcmp(given, "inventory_hostname_short") == 0)
        mu_buf_add(out, host, strspn(host, "0123456789.") == strlen(host) ? strlen(host) : strcspn(host, "."));
    else if (strcmp(given, "inventory_dir") == 0 && source)
        mu_buf_add(out, *source->folder ? source->folder : ".", *source->folder ? strlen(source->folder) - 1 : 1);
    else if (strcmp(given, "inventory_file") == 0 && source)
        mu_buf_adds(out, source->name);
    else
        return bad(r, "it refers to a variable that is not set:", given);
    return 0;
}

static size_t name_len(const char *s)
{
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

/* From "{{" on; *at is moved behind the "}}". */
static int add_reference(struct resolving *r, const char **at, struct mu_buf *out)
{
    const char *name = *at + 2 + strspn(*at + 2, " \t"), *end = name + name_len(name);
    const struct mu_avar *var;
    int rc;

    *at = end + strspn(end, " \t");
    if (end == name || strncmp(*at, "}}", 2) != 0)
        return bad(r, "it is a template, of which only {{ name }} is understood:", json_string_value(r->var->value) ?
                   json_string_value(r->var->value) : "");
    *at += 2;
    var = find(r->vars, name, (size_t)(end - name));
    if (!var)
        return add_magic(r, name, (size_t)(end - name), out);
    if (++r->depth > REFERENCES_MAX)
        return bad(r, "it refers to itself", "");
    rc = add_value(r, var->value, out);
    r->depth--;
    return rc;
}

static int add_text(struct resolving *r, const char *text, struct mu_buf *out)
{
    int rc = 0;

    while (*text && !rc) {
        size_t n = strcspn(text, "{");
        mu_buf_add(out, text, n);
        text += n;
        if (strncmp(text, "{{", 2) == 0)
            rc = add_reference(r, &text, out);
        else if (text[0] == '{' && (text[1] == '%' || text[1] == '#'))
            rc = bad(r, "it is a template, of which only {{ name }} is understood:", text);
        else if (*text)
            mu_buf_addc(out, *text++);
    }
    return rc;
}

/* 1: *out is the variable's text; 0: it is not set. */
static int resolve(struct resolving *r, struct mu_buf *out)
{
    int rc;

    r->var = find(r->vars, r->name, strlen(r->name));
    if (!r->var || json_is_null(r->var->value))
        return 0;
    rc = add_value(r, r->var->value, out);
    if (!rc && out->failed)
        rc = mu_err_set(r->err, MU_ENOMEM, "out of memory");
    return rc ? rc : 1;
}

/* ---- fields ---- */

static int set(struct resolving *r, struct mu_server *srv, enum mu_server_field_id field, const char *value)
{
    struct mu_err e = {0};
    int rc = mu_server_set_field(srv, field, value, "", &e);

    if (rc == MU_ENOMEM)
        return mu_err_set(r->err, rc, "out of memory");
    return rc < 0 ? bad(r, e.msg, "") : 0;
}

/* 1: not known, and SSH is tried. */
static int set_transport(struct resolving *r, struct mu_server *srv, const char *value)
{
    static const char *const over_ssh[] = {"ssh", "smart", "paramiko", "paramiko_ssh", "libssh"};
    const char *dot = strrchr(value, '.'); /* ansible.builtin.ssh */

    value = dot ? dot + 1 : value;
    if (strcmp(value, "local") == 0)
        return set(r, srv, MU_SF_TRANSPORT, "local");
    for (size_t i = 0; i < sizeof over_ssh / sizeof *over_ssh; i++)
        if (strcmp(value, over_ssh[i]) == 0)
            return 0;
    return 1;
}

static int set_args(struct resolving *r, struct mu_server *srv)
{
    struct mu_buf all = MU_BUF_INIT;
    int rc = 0;

    for (size_t i = 0; i < sizeof arg_names / sizeof *arg_names && rc >= 0; i++) {
        size_t before = all.len;
        r->name = arg_names[i];
        if (all.len)
            mu_buf_addc(&all, ' ');
        rc = resolve(r, &all);
        if (rc == 0 && before)
            all.data[all.len = before] = '\0';
    }
    rc = rc < 0 ? rc : all.len ? set(r, srv, MU_SF_SSH_ARGS, mu_buf_cstr(&all)) : 0;
    mu_buf_free(&all);
    return rc;
}

int mu_connection_set(struct mu_server *srv, const struct mu_scope_vars *vars, struct mu_err *err)
{
    struct resolving r = {.vars = vars, .err = err};
    int rc = 0, odd = 0;

    for (size_t f = 0; f < MU_SF_NONE && rc >= 0; f++) {
        struct mu_buf text = MU_BUF_INIT;
        for (size_t i = 2; i-- > 0 && rc == 0;) {
            r.name = names[f][i];
            rc = r.name ? resolve(&r, &text) : 0;
        }
        if (rc == 1)
            rc = f == MU_SF_TRANSPORT ? odd = set_transport(&r, srv, mu_buf_cstr(&text))
                                      : set(&r, srv, (enum mu_server_field_id)f, mu_buf_cstr(&text));
        mu_buf_free(&text);
        rc = rc > 0 ? 0 : rc;
    }
    if (rc == 0)
        rc = set_args(&r, srv);
    return rc < 0 ? rc : odd > 0;
}
