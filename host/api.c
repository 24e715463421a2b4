/* api.c: muster.h over the layers. It wires; it decides nothing. Servers are in api_servers.c, results and reports in api_results.c. */
#include "muster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"
#include "bindings/bindings.h"
#include "core/log_sink.h"

const char *muster_version(void) { return MUSTER_VERSION; }

int mu_api_give(struct muster_error *out, const struct mu_err *err)
{
    if (out) {
        out->code = err->code;
        snprintf(out->message, sizeof out->message, "%s", err->msg);
    }
    return err->code;
}

int mu_api_give_nomem(struct muster_error *out)
{
    struct mu_err err;
    mu_err_set(&err, MU_ENOMEM, "out of memory");
    return mu_api_give(out, &err);
}

int mu_api_give_result(struct muster_error *out, int rc, const struct mu_err *err)
{
    return rc ? mu_api_give(out, err) : 0;
}

/* ---- engine ---- */

int muster_new(struct muster **out, const struct muster_options *options, struct muster_error *err)
{
    const struct muster_options defaults = MUSTER_OPTIONS_INIT;
    const struct muster_options *o = options && options->size >= sizeof defaults ? options : &defaults;
    const char *dir = o->library_dir ? o->library_dir : MUSTER_LIBRARY_DIR;
    struct muster *m = calloc(1, sizeof *m);
    if (!m || !(m->library_dir = strdup(dir)) || mu_logger_new(&m->logger, (enum mu_level)o->level) ||
        mu_inventory_new(&m->inventory)) {
        muster_free(m);
        return mu_api_give_nomem(err);
    }
    m->level = (enum mu_level)o->level;
    *out = m;
    return 0;
}

void muster_free(struct muster *m)
{
    if (!m || m->pinned)
        return;
    mu_inventory_free(m->inventory);
    mu_logger_free(m->logger);
    free(m->library_dir);
    free(m->chosen);
    free(m);
}

int muster_log_to_fd(struct muster *m, int fd, enum muster_log_format format, bool color, struct muster_error *err)
{
    struct mu_err e = {0};
    return mu_api_give_result(err, mu_log_sink_fd(m->logger, fd, false, (enum mu_log_format)format, color, &e), &e);
}

int muster_log_to_file(struct muster *m, const char *path, enum muster_log_format format, struct muster_error *err)
{
    struct mu_err e = {0};
    return mu_api_give_result(err, mu_log_sink_file(m->logger, path, (enum mu_log_format)format, &e), &e);
}

struct own_sink {
    muster_log_fn *fn;
    void *arg;
};

#define FIELDS_SHOWN 64

static void to_own_sink(void *arg, const struct mu_record *r)
{
    struct own_sink *sink = arg;
    struct muster_field fields[FIELDS_SHOWN];
    char numbers[FIELDS_SHOWN][32];
    size_t n = 0;
    for (size_t i = 0; i < r->n_fields && n < FIELDS_SHOWN; i++, n++) {
        const struct mu_field *f = &r->fields[i];
        fields[n].key = f->key;
        fields[n].value = numbers[n];
        switch (f->type) {
        case MU_FIELD_STR:
            fields[n].value = f->v.str;
            break;
        case MU_FIELD_INT:
            snprintf(numbers[n], sizeof numbers[n], "%lld", (long long)f->v.i);
            break;
        case MU_FIELD_NUM:
            snprintf(numbers[n], sizeof numbers[n], "%.17g", f->v.num);
            break;
        case MU_FIELD_BOOL:
            fields[n].value = f->v.b ? "true" : "false";
            break;
        }
    }
    char small[512];
    char *text = r->msg_len < sizeof small ? small : malloc(r->msg_len + 1);
    if (!text)
        return;
    memcpy(text, r->msg, r->msg_len);
    text[r->msg_len] = '\0';
    sink->fn(sink->arg, (enum muster_level)r->level, r->wall_ms, text, fields, n);
    if (text != small)
        free(text);
}

int muster_log_to(struct muster *m, muster_log_fn *fn, void *arg, struct muster_error *err)
{
    struct own_sink *sink = malloc(sizeof *sink);
    if (!sink)
        return mu_api_give_nomem(err);
    *sink = (struct own_sink){fn, arg};
    if (mu_logger_add_sink(m->logger, to_own_sink, sink, free)) {
        free(sink);
        return mu_api_give_nomem(err);
    }
    return 0;
}

void muster_log(struct muster *m, enum muster_level level, const char *message)
{
    struct mu_logger *former = mu_logger_use(m->logger);
    mu_log_text((enum mu_level)level, NULL, 0, message, strlen(message));
    mu_logger_use(former);
}

void muster_log_status(struct muster *m, const char *text)
{
    mu_logger_status(m->logger, text ? text : "", text ? strlen(text) : 0);
}

/* ---- scripts ---- */

int muster_script_load(struct muster *m, const char *path, struct muster_script **out, struct muster_error *err)
{
    struct mu_err e = {0};
    struct muster_script *s = calloc(1, sizeof *s);
    if (!s)
        return mu_api_give_nomem(err);
    s->m = m;
    int rc = mu_script_load(&s->script, path, m->library_dir, &mu_bindings, m->logger, &e);
    if (rc) {
        free(s);
        return mu_api_give(err, &e);
    }
    *out = s;
    return 0;
}

void muster_script_free(struct muster_script *s)
{
    if (!s || s->m->pinned)
        return;
    mu_script_free(s->script);
    free(s);
}

int muster_script_set_param(struct muster_script *s, const char *name, const char *value, struct muster_error *err)
{
    struct mu_err e = {0};
    return mu_api_give_result(err, mu_script_set_param(s->script, name, value, &e), &e);
}

int muster_script_set_threshold(struct muster_script *s, const char *name, const char *rule, struct muster_error *err)
{
    struct mu_err e = {0};
    return mu_api_give_result(err, mu_script_set_threshold(s->script, name, rule, &e), &e);
}

const char *muster_script_description(const struct muster_script *s) { return s->script->description; }
size_t muster_script_step_count(const struct muster_script *s) { return s->script->n_steps; }

const char *muster_script_step_name(const struct muster_script *s, size_t i)
{
    return i < s->script->n_steps ? s->script->steps[i].name : NULL;
}

bool muster_script_step_destructive(const struct muster_script *s, size_t i)
{
    return i < s->script->n_steps && s->script->steps[i].destructive;
}

bool muster_script_step_pair(const struct muster_script *s, size_t i)
{
    return i < s->script->n_steps && s->script->steps[i].pair;
}

/* ---- runs ---- */

static void server_done(void *arg, const struct mu_task_result *task, size_t done, size_t total)
{
    struct muster_run *run = arg;
    enum mu_status status = MU_ST_SKIPPED;
    for (size_t i = 0; i < task->n_steps; i++)
        status = mu_status_worst(status, task->steps[i].status);
    for (size_t i = 0; i < task->n_failures; i++)
        status = mu_status_worst(status, task->failures[i].status);
    run->on_server_done(run->on_server_done_arg, task->server_id, mu_status_name(status), done, total);
}

int mu_api_run_new(struct muster *m, const struct mu_script *script, const struct muster_run_options *options,
                   struct mu_server **servers, size_t n, const char *library_dir, const struct mu_api_kind *kind,
                   struct muster_run **out, struct mu_err *err)
{
    const struct muster_run_options defaults = MUSTER_RUN_OPTIONS_INIT;
    struct mu_run_config config;
    int rc = MU_ENOMEM;
    struct muster_run *run = calloc(1, sizeof *run);
    mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!run) {
        free(servers);
        return rc;
    }
    run->m = m;
    run->servers = servers;
    const struct muster_run_options *o = options && options->size >= sizeof defaults ? options : &defaults;
    if (mu_api_translate(&run->words, o, &config)) {
        config.on_done = o->on_server_done ? server_done : NULL;
        config.on_done_arg = run;
        run->on_server_done = o->on_server_done;
        run->on_server_done_arg = o->on_server_done_arg;
        mu_api_watch(run, o, &config);
        config.library_dir = library_dir;
        config.left = kind ? kind->left : NULL;
        config.former = kind ? kind->former : NULL;
        config.adopt_claims = config.former && o->nats;
        if (kind && kind->console) {
            run->console_io = (struct mu_console_io){kind->console->next, kind->console->arg};
            config.console = &run->console_io;
        }
        rc = o->nats ? mu_api_crew(run, o, &config, err) : 0;
        rc = rc ? rc : mu_run_new(&run->run, &config, script, servers, n, &mu_bindings, m->logger, err);
    }
    if (rc)
        muster_run_free(run);
    else
        *out = run;
    return rc;
}

int muster_run_new(struct muster *m, struct muster_script *script, const struct muster_run_options *options,
                   struct muster_run **out, struct muster_error *err)
{
    struct mu_err e = {0};
    size_t n = 0, total = mu_inventory_count(m->inventory);
    struct mu_server **servers = calloc(total ? total : 1, sizeof(struct mu_server *));
    if (!servers)
        return mu_api_give_nomem(err);
    for (size_t i = 0; i < total; i++)
        if (muster_server_selected(m, i))
            servers[n++] = mu_inventory_at(m->inventory, i);
    if (!n) {
        free(servers);
        mu_err_set(&e, MU_EINVAL, "no servers to run on");
        return mu_api_give(err, &e);
    }
    int rc = mu_api_run_new(m, script->script, options, servers, n, m->library_dir, NULL, out, &e);
    return mu_api_give_result(err, rc, &e);
}

int muster_run_start(struct muster_run *run, struct muster_error *err)
{
    struct mu_err e = {0};
    return mu_api_give_result(err, mu_run_go(run->run, &e), &e);
}

void muster_run_interrupt(struct muster_run *run, int signal_number) { mu_run_interrupt(run->run, signal_number); }

void muster_run_free(struct muster_run *run)
{
    if (!run)
        return;
    mu_api_crew_free(run);
    if (!mu_run_free(run->run)) {
        run->m->pinned = true;
        return;
    }
    mu_api_words_free(&run->words);
    mu_buf_free(&run->summary);
    mu_buf_free(&run->at_work);
    muster_script_free(run->own_script);
    free(run->servers);
    free(run);
}
