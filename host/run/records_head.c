#include "run/records_head.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/secret_name.h"
#include "run/run_internal.h"
#include "run/server_json.h"
#include "run/sources.h"

/* ---- files ---- */

struct file {
    char *path;
    char hash[MU_SHA256_HEX + 1];
};

void mu_records_hash(const char *text, size_t len, char hex[MU_SHA256_HEX + 1])
{
    struct mu_sha256 *sum = mu_sha256_new();
    hex[0] = '\0';
    if (!sum)
        return;
    mu_sha256_add(sum, text, len);
    mu_sha256_end(sum, hex);
    mu_sha256_free(sum);
}

/* As the workers will run it. A file that cannot be read any more is left out: who needs it says so. */
static void add_file(struct mu_run *run, const char *path, struct mu_store_file *file, struct file *own, size_t *n)
{
    if (mu_sources_get(run->engine.sources, path, &file->text, &file->len, NULL))
        return;
    mu_records_hash(file->text, file->len, own->hash);
    own->path = mu_path_absolute(path);
    file->path = own->path ? own->path : path;
    file->hash = own->hash;
    if (own->hash[0])
        ++*n;
    else
        free(own->path);
}

/* ---- JSON ---- */

static void add_key(struct mu_buf *out, const char *name)
{
    mu_buf_adds(out, out->len > 1 ? "," : "");
    mu_buf_add_json(out, name, strlen(name));
    mu_buf_addc(out, ':');
}

void mu_records_params(struct mu_buf *out, const struct mu_script *s)
{
    mu_buf_addc(out, '{');
    for (size_t i = 0; i < s->n_params; i++) {
        const struct mu_param *p = &s->params[i];
        add_key(out, p->name);
        if (mu_name_is_secret(p->name))
            mu_buf_adds(out, "null");
        else if (p->type == MU_PARAM_STR)
            mu_buf_add_json(out, p->str, strlen(p->str));
        else if (p->type == MU_PARAM_INT)
            mu_buf_addf(out, "%lld", p->i);
        else if (p->type == MU_PARAM_NUM)
            mu_buf_add_number(out, p->num);
        else
            mu_buf_adds(out, p->i ? "true" : "false");
    }
    mu_buf_addc(out, '}');
}

/* As it can be given to --threshold. */
static void add_rule(struct mu_buf *out, const struct mu_threshold *th)
{
    struct mu_buf text = MU_BUF_INIT;
    if (th->has_reference || th->peers.on || th->history.on) {
        mu_threshold_add_json(th, &text);
        mu_buf_add_json(out, mu_buf_cstr(&text), text.len);
        out->failed = out->failed || text.failed;
        mu_buf_free(&text);
        return;
    }
    if (th->has_min) {
        mu_buf_adds(&text, th->min_open ? "> " : ">= ");
        mu_buf_add_number(&text, th->min);
    }
    if (th->has_max) {
        mu_buf_addf(&text, "%s%s ", th->has_min ? ", " : "", th->max_open ? "<" : "<=");
        mu_buf_add_number(&text, th->max);
    }
    if (th->unit)
        mu_buf_addf(&text, " %s", th->unit);
    mu_buf_add_json(out, mu_buf_cstr(&text), text.len);
    out->failed = out->failed || text.failed;
    mu_buf_free(&text);
}

static void add_thresholds(struct mu_buf *out, const struct mu_script *s)
{
    mu_buf_addc(out, '{');
    for (size_t i = 0; i < s->n_steps; i++)
        for (size_t k = 0; k < s->steps[i].n_set; k++) {
            struct mu_buf name = MU_BUF_INIT;
            mu_buf_addf(&name, "%s.%s", s->steps[i].name, s->steps[i].set[k].metric);
            add_key(out, mu_buf_cstr(&name));
            mu_buf_free(&name);
            add_rule(out, &s->steps[i].set[k]);
        }
    mu_buf_addc(out, '}');
}

struct describing {
    struct mu_run *run;
    struct mu_buf text;
};

static int describe(void *arg, size_t i, struct mu_store_server *out)
{
    struct describing *d = arg;
    mu_buf_clear(&d->text);
    mu_server_add_json(&d->text, d->run->servers[i]);
    *out = (struct mu_store_server){.address = d->run->servers[i]->address, .inventory = mu_buf_cstr(&d->text)};
    return d->text.failed ? MU_ENOMEM : 0;
}

/* ---- the whole ---- */

int mu_records_insert(struct mu_run *run, struct mu_err *err)
{
    const struct mu_script *s = run->engine.script;
    struct mu_buf params = MU_BUF_INIT, thresholds = MU_BUF_INIT;
    struct describing d = {.run = run};
    struct mu_store_file *files = calloc(s->n_files + 1, sizeof *files);
    struct file *own = calloc(s->n_files + 1, sizeof *own);
    const char *host = strchr(run->owner, '@');
    char real[PATH_MAX];
    size_t n = 0;
    int rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!files || !own)
        goto out;
    add_file(run, s->path, &files[0], &own[0], &n);
    for (size_t i = 0; i < s->n_files; i++)
        if (strcmp(s->files[i], s->path) != 0)
            add_file(run, s->files[i], &files[n], &own[n], &n);
    mu_records_params(&params, s);
    add_thresholds(&thresholds, s);
    if (params.failed || thresholds.failed)
        goto out;
    struct mu_store_head head = {.script_path = realpath(s->path, real) ? real : s->path, .files = files, .n_files = n,
                                 .version = MUSTER_VERSION, .host = host ? host + 1 : "", .owner = run->owner,
                                 .params = mu_buf_cstr(&params), .thresholds = mu_buf_cstr(&thresholds),
                                 .options = run->config.invocation, .replayed = run->config.replay_dir != NULL};
    rc = mu_store_begin(run->records.store, run->results, &head, describe, &d, err);
out:
    for (size_t i = 0; own && i < n; i++)
        free(own[i].path);
    free(own);
    free(files);
    mu_buf_free(&params);
    mu_buf_free(&thresholds);
    mu_buf_free(&d.text);
    return rc;
}
