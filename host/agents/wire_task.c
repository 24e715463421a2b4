/* wire_task.c: tasks. */
#include "agents/wire.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agents/wire_form.h"
#include "core/secret_name.h"
#include "run/rules.h"
#include "run/script.h"
#include "run/server_json.h"

/* ---- writing ---- */

static int add(const char *bytes, size_t n, void *out)
{
    mu_buf_add(out, bytes, n);
    return 0; /* the buffer remembers: jansson itself does not always */
}

/* As the store has it, but that a variable whose value stays here is not there at all: scripts ask whether one is. */
static json_t *server_json(const struct mu_server *server)
{
    json_t *o = mu_server_json(server, false), *vars = json_object_get(o, "vars");
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(vars, next, name, value)
        if (mu_name_is_secret(name))
            json_object_del(vars, name);
    return o;
}

static void put_servers(msgpack_packer *pk, const struct mu_server *const servers[2])
{
    struct mu_buf *out = pk->data, text = MU_BUF_INIT;
    json_t *list = json_array();
    if (!servers[0]) {
        mu_put_nil(pk);
        json_decref(list);
        return;
    }
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < 2 && servers[i]; i++)
        ok = json_array_append_new(list, server_json(servers[i])) == 0;
    if (ok && !json_dump_callback(list, add, &text, JSON_COMPACT) && !text.failed)
        mu_put_text(pk, mu_buf_cstr(&text));
    else
        out->failed = true;
    mu_buf_free(&text);
    json_decref(list);
}

static void put_verdict(msgpack_packer *pk, const struct mu_verdict *v)
{
    if (!v) {
        mu_put_nil(pk);
        return;
    }
    mu_put_array(pk, 3);
    mu_put_uint(pk, v->status);
    mu_put_must(pk, v->reason);
    mu_put_failures(pk, v->failures, v->n_failures);
}

static void put_repeat(msgpack_packer *pk, const struct mu_repeat *r)
{
    if (!r) {
        mu_put_nil(pk);
        return;
    }
    mu_put_array(pk, 2);
    mu_put_must(pk, r->why);
    mu_put_array(pk, r->n);
    for (size_t i = 0; i < r->n; i++)
        mu_put_bool(pk, r->steps[i]);
}

/* A metric's values, where a rule looks at them and there are any; returns whether. pk NULL: only tell. */
static bool put_values(msgpack_packer *pk, const struct mu_past *past, const char *server, const char *step,
                       const struct mu_threshold *th)
{
    size_t n = 0;
    const double *values = th->history.on ? mu_past_find(past, server, step, th->metric, &n) : NULL;
    n = n < th->history.last ? n : th->history.last;
    if (!values || !n || !pk)
        return values && n;
    mu_put_array(pk, 3);
    mu_put_must(pk, step);
    mu_put_must(pk, th->metric);
    mu_put_array(pk, n);
    for (size_t i = 0; i < n; i++)
        mu_put_num(pk, values[i]);
    return true;
}

static size_t each_values(msgpack_packer *pk, const struct mu_past *past, size_t index, const char *server,
                          const struct mu_rules *rules, const struct mu_script *script)
{
    size_t n = 0;
    for (size_t i = 0; i < script->n_steps; i++) {
        const struct mu_threshold *th;
        for (size_t at = 0; (th = mu_rules_next(rules, index, i, &at)) != NULL;)
            n += put_values(pk, past, server, script->steps[i].name, th);
    }
    return n;
}

/* The second one's is not asked for: what a pair measures has no past. */
static void put_past(msgpack_packer *pk, const struct mu_past *past, size_t index, const struct mu_server *server,
                     const struct mu_rules *rules, const struct mu_script *script)
{
    if (!past) {
        mu_put_nil(pk);
        return;
    }
    bool any = server && rules && script;
    mu_put_array(pk, any ? each_values(NULL, past, index, server->id, rules, script) : 0);
    if (any)
        each_values(pk, past, index, server->id, rules, script);
}

void mu_wire_add_task(struct mu_buf *out, const char *run_id, const struct mu_message *deal, const struct mu_server *server,
                      const struct mu_server *peer, const struct mu_rules *rules, const struct mu_script *script,
                      const struct mu_past *past, const char *past_why)
{
    msgpack_packer pk;
    mu_put_start(&pk, out, MU_WIRE_TASK, 10);
    mu_put_must(&pk, run_id);
    mu_put_uint(&pk, deal->task);
    mu_put_uint(&pk, deal->peer);
    mu_put_uint(&pk, deal->kind);
    put_servers(&pk, (const struct mu_server *const[2]){server, deal->kind == MU_TASK_PAIR ? peer : NULL});
    put_verdict(&pk, deal->verdict);
    put_repeat(&pk, deal->repeat);
    mu_put_text(&pk, deal->text);
    put_past(&pk, past, deal->task, server, rules, script);
    mu_put_text(&pk, past_why);
}

/* ---- reading ---- */

static struct mu_inventory *get_servers(struct mu_wire_in *in, enum mu_task_kind kind)
{
    struct mu_inventory *servers = NULL;
    size_t n = kind == MU_TASK_PAIR ? 2 : 1;
    char *text = mu_get_text(in);
    if (!text)
        return NULL;
    int rc = mu_inventory_new(&servers);
    if (rc)
        mu_get_nomem(in);
    if (!rc)
        rc = mu_inventory_parse_back(servers, "task", text, strlen(text), in->doc->err);
    if (rc && !in->doc->rc) {
        in->doc->rc = rc == MU_ENOMEM ? rc : MU_EINVAL; /* also of two servers with one name */
        if (in->doc->err)
            in->doc->err->code = in->doc->rc;
    }
    if (!rc && mu_inventory_count(servers) != n)
        mu_get_refuse(in, n == 1 ? "it is not about one server" : "it is not about two servers");
    free(text);
    if (in->doc->rc) {
        mu_inventory_free(servers);
        servers = NULL;
    }
    return servers;
}

static struct mu_verdict *get_verdict(struct mu_wire_in *in)
{
    struct mu_wire_in e;
    if (!mu_get_array_or_nil(in, "verdict", &e))
        return NULL;
    struct mu_verdict *v = calloc(1, sizeof *v);
    if (!v) {
        mu_get_nomem(&e);
        return NULL;
    }
    v->status = (enum mu_status)mu_get_enum(&e, MU_ST_SKIPPED);
    v->reason = mu_get_must(&e);
    mu_get_failures(&e, &v->failures, &v->n_failures);
    mu_get_end(&e);
    return v;
}

static struct mu_repeat *get_repeat(struct mu_wire_in *in)
{
    struct mu_wire_in e, steps;
    struct mu_repeat *r = NULL;
    if (!mu_get_array_or_nil(in, "choice of steps", &e))
        return NULL;
    char *why = mu_get_must(&e);
    if (mu_get_array(&e, "list of steps", &steps)) { /* so there is a why */
        r = mu_repeat_new(steps.n, why);
        if (!r)
            mu_get_nomem(&e);
        for (size_t i = 0; r && i < steps.n; i++)
            r->steps[i] = mu_get_bool(&steps);
    }
    mu_get_end(&e);
    free(why);
    return r;
}

static void get_values(struct mu_wire_in *e, struct mu_past *past, const char *server)
{
    struct mu_wire_in values;
    char *step = mu_get_must(e), *metric = mu_get_must(e);
    if (mu_get_array(e, "list of values", &values))
        for (size_t i = 0; i < values.n; i++) {
            double value = mu_get_num(&values);
            if (!mu_get_failed(e) && mu_past_add(past, server, step, metric, value, SIZE_MAX))
                mu_get_nomem(e);
        }
    mu_get_end(e);
    free(step);
    free(metric);
}

static struct mu_past *get_past(struct mu_wire_in *in, const struct mu_inventory *servers)
{
    struct mu_wire_in list, e;
    if (!mu_get_array_or_nil(in, "past", &list))
        return NULL;
    struct mu_past *past = mu_past_new();
    if (!past) {
        mu_get_nomem(in);
        return NULL;
    }
    if (list.n && !servers)
        mu_get_refuse(&list, "it is of no server");
    while (!mu_get_failed(in) && list.at < list.n)
        if (mu_get_array(&list, "past of a metric", &e))
            get_values(&e, past, mu_inventory_at(servers, 0)->id);
    if (mu_past_settle(past))
        mu_get_nomem(in);
    return past;
}

int mu_wire_read_task(struct mu_wire_task *out, const void *bytes, size_t len, struct mu_err *err)
{
    struct mu_wire_doc doc;
    struct mu_wire_in in;
    size_t at = 0;
    *out = (struct mu_wire_task){0};
    int rc = mu_wire_open(&doc, &in, "task", bytes, len, &at, err);
    if (rc)
        return rc;
    if (doc.kind != MU_WIRE_TASK)
        mu_get_refuse(&in, "it is something else");
    if (at != len)
        mu_get_refuse(&in, "something comes after its end");
    out->run_id = mu_get_must(&in);
    out->index = mu_get_size(&in);
    out->peer = mu_get_size(&in);
    out->kind = (enum mu_task_kind)mu_get_enum(&in, MU_TASK_AFTER_ALL);
    out->servers = get_servers(&in, out->kind);
    out->verdict = get_verdict(&in);
    out->repeat = get_repeat(&in);
    out->claim = mu_get_text(&in);
    out->past = get_past(&in, out->servers);
    out->past_why = mu_get_text(&in);
    mu_get_end(&in);
    if (out->kind < MU_TASK_BEFORE_ALL && !out->servers)
        mu_get_refuse(&in, "its server is missing");
    if (out->kind == MU_TASK_AGAIN && !out->repeat)
        mu_get_refuse(&in, "which steps are meant is missing");
    mu_wire_close(&doc);
    if (doc.rc)
        mu_wire_task_clear(out);
    return doc.rc;
}

void mu_wire_task_clear(struct mu_wire_task *t)
{
    free(t->run_id);
    mu_inventory_free(t->servers);
    mu_verdict_free(t->verdict);
    mu_repeat_free(t->repeat);
    free(t->claim);
    mu_past_free(t->past);
    free(t->past_why);
    *t = (struct mu_wire_task){0};
}
