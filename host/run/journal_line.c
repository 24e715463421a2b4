/* The lines of a journal as JSON. Strings that are not UTF-8 cannot be written: better no claim than one that is lost. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/journal.h"
#include "run/server_json.h"

#define VERSION 1

static int cannot(struct mu_err *err, const char *what)
{
    mu_err_set(err, MU_EINVAL, "%s cannot be written into the journal: it is not UTF-8 text", what);
    mu_err_cause(err, "claim cannot be journalled");
    return MU_EINVAL;
}

/* object[key] = text; false when text is not UTF-8 or memory is out. NULL is left out. */
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

/* ~ stays for whoever reads it, as below; "none" is no path. */
static bool set_config(json_t *object, const char *path)
{
    bool as_it_is = path && (*path == '~' || !strcasecmp(path, "none"));
    return as_it_is ? set_text(object, "ssh_config", path) : set_path(object, "ssh_config", path);
}

static bool set_paths(json_t *object, const char *key, const char *const *paths)
{
    json_t *list = paths ? json_array() : NULL;
    bool ok = !paths || list;
    for (; ok && paths && *paths; paths++) {
        /* ~ is for whoever reads it: the same person, by another shell. */
        char *whole = **paths == '~' ? strdup(*paths) : mu_path_absolute(*paths);
        ok = whole && json_array_append_new(list, json_string(whole)) == 0;
        free(whole);
    }
    return (!list || json_object_set_new(object, key, list) == 0) && ok;
}

static bool set_param(json_t *params, const struct mu_param *p)
{
    char text[64];
    switch (p->type) {
    case MU_PARAM_STR:
        return set_text(params, p->name, p->str);
    case MU_PARAM_INT:
        snprintf(text, sizeof text, "%lld", p->i);
        break;
    case MU_PARAM_NUM:
        snprintf(text, sizeof text, "%.17g", p->num);
        break;
    case MU_PARAM_BOOL:
        snprintf(text, sizeof text, "%s", p->i ? "true" : "false");
        break;
    }
    return set_text(params, p->name, text);
}

static bool add_object(struct mu_buf *out, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    mu_buf_adds(out, text);
    free(text);
    return text != NULL && !out->failed;
}

int mu_journal_head_line(struct mu_buf *out, const struct mu_journal_head *h, struct mu_err *err)
{
    char now[MU_CLOCK_ISO_SIZE];
    json_t *line = json_object(), *params = json_object();
    const char *what = "the name of the script, its folder, the library's or a key's";
    bool ok = line && params && json_object_set_new(line, "muster", json_integer(VERSION)) == 0 &&
              set_text(line, "run", h->run_id) && set_text(line, "owner", h->owner) &&
              set_text(line, "time", mu_clock_iso(mu_clock_wall_ms(), now)) &&
              set_path(line, "script", h->script->path) && set_path(line, "library", h->library_dir) &&
              set_text(line, "user", h->user) && set_text(line, "host_key_policy", h->hostkey_policy) &&
              set_config(line, h->ssh_config) &&
              set_paths(line, "known_hosts", h->known_hosts) && set_paths(line, "keys", h->key_files) &&
              json_object_set_new(line, "local", json_boolean(h->local)) == 0;
    for (size_t i = 0; ok && i < h->script->n_params; i++) {
        ok = set_param(params, &h->script->params[i]);
        if (!ok)
            what = h->script->params[i].name;
    }
    if (ok)
        ok = json_object_set(line, "params", params) == 0 && add_object(out, line);
    mu_buf_addc(out, '\n');
    int rc = ok && !out->failed ? 0 : out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : cannot(err, what);
    json_decref(params);
    json_decref(line);
    return rc;
}

static void add_end(struct mu_buf *out, const char *data)
{
    char now[MU_CLOCK_ISO_SIZE];
    mu_buf_addf(out, ",\"time\":\"%s\"", mu_clock_iso(mu_clock_wall_ms(), now));
    if (data) {
        mu_buf_adds(out, ",\"data\":");
        mu_buf_adds(out, data);
    }
    mu_buf_adds(out, "}\n");
}

/* JSON text that a reader could not take would be lost: see to it now. */
static int check_data(const char *data, struct mu_err *err)
{
    json_error_t why;
    json_t *value = data ? json_loads(data, JSON_ALLOW_NUL, &why) : NULL;
    if (data && !value) {
        mu_err_set(err, MU_EINVAL, "the claim's data cannot be written into the journal: %s", why.text);
        mu_err_cause(err, "claim cannot be journalled");
        return MU_EINVAL;
    }
    json_decref(value);
    return 0;
}

int mu_journal_claim_line(struct mu_buf *out, const struct mu_server *server, const char *data, struct mu_err *err)
{
    json_t *o = mu_server_json(server, true); /* cleaning up is to work without the inventory */
    int rc = o ? check_data(data, err) : cannot(err, "what the inventory says of the server");
    if (!rc) {
        mu_buf_adds(out, "{\"claim\":");
        add_object(out, o);
        add_end(out, data);
        rc = out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
    }
    json_decref(o);
    return rc;
}

int mu_journal_id_line(struct mu_buf *out, const char *what, const char *server_id, const char *data,
                       struct mu_err *err)
{
    int rc = check_data(data, err);
    if (rc)
        return rc;
    mu_buf_addf(out, "{\"%s\":", what);
    mu_buf_add_json(out, server_id, strlen(server_id));
    add_end(out, data);
    return out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}
