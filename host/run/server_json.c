#include "run/server_json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/secret_name.h"

/* Links stay as they are. */
char *mu_path_absolute(const char *path)
{
    char *cwd = NULL, *text = NULL;
    path += strncmp(path, "./", 2) ? 0 : 2;
    if (*path == '/' || !(cwd = getcwd(NULL, 0)))
        return strdup(path);
    if (asprintf(&text, "%s/%s", cwd, path) < 0)
        text = NULL;
    free(cwd);
    return text;
}

static bool set_text(json_t *object, const char *key, const char *text)
{
    return !text || json_object_set_new(object, key, json_string(text)) == 0;
}

static bool set_path(json_t *object, const char *key, const char *path)
{
    char *whole = path ? mu_path_absolute(path) : NULL;
    bool ok = !path || (whole && set_text(object, key, whole));
    free(whole);
    return ok;
}

/* Groups of Ansible's inventories, as our own formats say them. */
static bool set_groups(json_t *vars, const struct mu_server *s)
{
    json_t *groups = s->grouped ? json_array() : NULL;
    bool ok = groups || !s->grouped;
    for (size_t i = 0; ok && i < s->n_groups; i++)
        ok = json_array_append_new(groups, json_string(s->groups[i])) == 0;
    if (ok && groups)
        ok = json_object_set(vars, MU_GROUPS_VARIABLE, groups) == 0;
    json_decref(groups);
    return ok;
}

json_t *mu_server_json(const struct mu_server *s, bool secrets)
{
    json_t *o = json_object(), *vars = json_object();
    bool ok = o && vars && set_text(o, "id", s->id) && set_text(o, "address", s->address) && set_text(o, "user", s->user) &&
              set_path(o, "key", s->key) && (!s->local || set_text(o, "transport", "local")) &&
              set_text(o, "ssh_args", s->ssh_args) &&
              (!s->port || json_object_set_new(o, "port", json_integer(s->port)) == 0);
    for (size_t i = 0; ok && i < s->n_vars; i++)
        ok = json_object_set_new(vars, s->vars[i].name,
                                 secrets || !mu_name_is_secret(s->vars[i].name) ? mu_var_json(&s->vars[i]) : json_null()) == 0;
    if (!ok || !set_groups(vars, s) || json_object_set(o, "vars", vars) != 0) {
        json_decref(o);
        o = NULL;
    }
    json_decref(vars);
    return o;
}

void mu_server_add_json(struct mu_buf *out, const struct mu_server *s)
{
    json_t *o = mu_server_json(s, false);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (text) {
        mu_buf_adds(out, text);
    } else {
        mu_buf_adds(out, "{\"id\":");
        mu_buf_add_json(out, s->id, strlen(s->id));
        mu_buf_addc(out, '}');
    }
    free(text);
    json_decref(o);
}

bool mu_var_is_withheld(const struct mu_var *var)
{
    return var->type == MU_VAR_JSON && !strcmp(var->str, "null") && mu_name_is_secret(var->name);
}
