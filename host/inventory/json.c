#include "inventory/internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_FIELDS "id, address, port, user, key, transport, ssh_args, vars"

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

static int wrong_type(struct mu_err *err, const char *name, const char *expected, const json_t *v)
{
    return mu_err_set(err, MU_EINVAL, "%s must be %s, not %s", name, expected, type_name(v));
}

/* ---- variables ---- */

int mu_var_from_json(struct mu_var *var, const char *name, const json_t *v)
{
    var->name = strdup(name);
    if (!var->name)
        return MU_ENOMEM;
    switch (json_typeof(v)) {
    case JSON_STRING:
        var->type = MU_VAR_STR;
        var->str = strdup(json_string_value(v));
        return var->str ? 0 : MU_ENOMEM;
    case JSON_INTEGER:
        var->type = MU_VAR_INT;
        var->i = json_integer_value(v);
        return 0;
    case JSON_REAL:
        var->type = MU_VAR_NUM;
        var->num = json_real_value(v);
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        var->type = MU_VAR_BOOL;
        var->i = json_is_true(v);
        return 0;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL:
        break;
    }
    var->type = MU_VAR_JSON;
    var->str = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    return var->str ? 0 : MU_ENOMEM;
}

/* The members of an object as variables, sorted. On an error *out is what there is already: the caller frees it. */
static int read_vars(json_t *object, bool any_name, struct mu_var **out, size_t *n, struct mu_err *err)
{
    const char *name;
    json_t *value;
    size_t cap = 1;

    if (!json_is_object(object))
        return wrong_type(err, "\"vars\"", "an object", object);
    if (json_object_size(object) == 0)
        return 0;
    while (cap < json_object_size(object))
        cap *= 2; /* as mu_vars_insert() expects it */
    *out = calloc(cap, sizeof **out);
    if (!*out)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    json_object_foreach(object, name, value) {
        int rc = any_name ? 0 : mu_var_check_name(name, strlen(name), err);
        if (rc < 0)
            return rc;
        rc = mu_var_from_json(&(*out)[(*n)++], name, value);
        if (rc < 0)
            return mu_err_set(err, rc, "out of memory");
    }
    return mu_vars_sort(*out, *n, err);
}

/* ---- servers ---- */

static int read_field(struct mu_server *srv, const struct mu_source *source, const char *name, json_t *value,
                      struct mu_err *err)
{
    enum mu_server_field_id field = mu_server_field(name, strlen(name));
    struct mu_quoted q;

    if (strcmp(name, "id") == 0)
        return 0; /* read before all others */
    if (strcmp(name, "vars") == 0)
        return read_vars(value, source->any_name, &srv->vars, &srv->n_vars, err);
    if (field == MU_SF_NONE)
        return mu_err_set(err, MU_EINVAL,
                          "unknown field \"%s\": put it under \"vars\" (the fields are " KNOWN_FIELDS ")",
                          mu_quote(&q, name, strlen(name)));
    if (field == MU_SF_PORT) {
        if (!json_is_integer(value))
            return wrong_type(err, "port", "an integer", value);
        return mu_server_set_port(srv, json_integer_value(value), err);
    }
    if (!json_is_string(value))
        return wrong_type(err, name, "a string", value);
    return mu_server_set_field(srv, field, json_string_value(value), source->folder, err);
}

static int read_server(struct mu_inventory *inv, const struct mu_source *source, size_t i, json_t *item,
                       struct mu_err *err)
{
    json_t *id = json_is_object(item) ? json_object_get(item, "id") : item, *value;
    struct mu_server *srv = NULL;
    struct mu_quoted q;
    const char *name;
    int rc;

    if (!json_is_object(item) && !json_is_string(item))
        rc = wrong_type(err, "a server", "an object or an id (a string)", item);
    else if (!id)
        rc = mu_err_set(err, MU_EINVAL, "it has no \"id\"");
    else if (!json_is_string(id))
        rc = wrong_type(err, "id", "a string", id);
    else
        rc = mu_inventory_add_from(inv, json_string_value(id), source, i, &srv, err);
    if (rc < 0) {
        mu_err_prefix(err, "%s: servers[%zu]", source->name, i);
        return rc;
    }
    if (json_is_object(item)) {
        json_object_foreach(item, name, value) {
            rc = read_field(srv, source, name, value, err);
            if (rc < 0)
                break;
        }
    }
    if (rc == 0 && mu_vars_merge(srv, source->defaults, source->n_defaults) < 0)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc < 0)
        mu_err_prefix(err, "%s: servers[%zu] \"%s\"", source->name, i, mu_quote(&q, srv->id, strlen(srv->id)));
    return rc;
}

/* ---- the document ---- */

static int read_head(json_t *root, struct mu_source *source, json_t **servers, struct mu_err *err)
{
    struct mu_quoted q;
    const char *name;
    json_t *value;
    int rc = 0;

    if (json_is_array(root)) {
        *servers = root;
        return 0;
    }
    json_object_foreach(root, name, value) {
        if (strcmp(name, "servers") != 0 && strcmp(name, "vars") != 0)
            return mu_err_set(err, MU_EINVAL,
                              "%s: unknown field \"%s\": an inventory has \"servers\" and \"vars\", nothing else",
                              source->name, mu_quote(&q, name, strlen(name)));
    }
    *servers = json_object_get(root, "servers");
    if (!*servers)
        return mu_err_set(err, MU_EINVAL, "%s: no \"servers\": an inventory is an array of servers, or has one there",
                          source->name);
    if (!json_is_array(*servers))
        rc = wrong_type(err, "\"servers\"", "an array", *servers);
    value = json_object_get(root, "vars");
    if (rc == 0 && value)
        rc = read_vars(value, source->any_name, &source->defaults, &source->n_defaults, err);
    if (rc < 0)
        mu_err_prefix(err, "%s", source->name);
    return rc;
}

/* The text, which no zero ends, holds something other than white space, else it was not read as JSON. */
static int syntax_error(const struct mu_source *source, const char *text, const json_error_t *e, struct mu_err *err)
{
    struct mu_buf why = MU_BUF_INIT;

    while (strchr(" \t\r\n", *text))
        text++;

    if (json_error_code(e) == json_error_out_of_memory || !e->text[0]) /* jansson does not always name it */
        return mu_err_set(err, MU_ENOMEM, "%s: out of memory", source->name);
    mu_buf_add_escaped(&why, e->text, strlen(e->text));
    mu_err_set(err, MU_EINVAL, "%s:%d:%d: not valid JSON: %s (read as JSON because it starts with %c)", source->name,
               e->line > 0 ? e->line : 1, e->column > 0 ? e->column : 1, mu_buf_cstr(&why), *text);
    mu_buf_free(&why);
    return MU_EINVAL;
}

int mu_inventory_read_json(struct mu_inventory *inv, struct mu_source *source, const char *text, size_t len,
                           struct mu_err *err)
{
    json_t *root, *servers = NULL, *item;
    json_error_t e;
    size_t i;
    int rc;

    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        return syntax_error(source, text, &e, err);
    rc = read_head(root, source, &servers, err);
    if (rc < 0)
        goto out;
    json_array_foreach(servers, i, item) {
        rc = read_server(inv, source, i, item, err);
        if (rc < 0)
            break;
    }
out:
    json_decref(root);
    return rc;
}
