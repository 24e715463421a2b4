/* api_store.c: runs that were kept, and going on with one. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_internal.h"
#include "core/secret_name.h"
#include "run/former.h"
#include "run/journal.h"
#include "run/journal_read.h"
#include "run/records_head.h"
#include "run/server_json.h"
#include "run/sources.h"
#include "run/state_dir.h"

struct muster_stored {
    struct muster *m;
    struct mu_former *former; /* NULL: a run has it now */
    char **words;
    bool resume;
};

char *muster_db_path(const char *state_dir, bool make, struct muster_error *err)
{
    struct mu_buf path = MU_BUF_INIT;
    struct mu_err e = {0};
    int rc = mu_state_dir(&path, state_dir, &e), sys;
    if (!rc && make && (sys = mu_state_make_dirs(mu_buf_cstr(&path))) != 0)
        rc = mu_err_sys(&e, MU_EIO, sys, "the folder %s cannot be made", mu_buf_cstr(&path));
    mu_buf_adds(&path, "/results.db");
    char *text = rc ? NULL : mu_buf_take(&path);
    if (!rc && !text)
        mu_err_set(&e, MU_ENOMEM, "out of memory");
    mu_buf_free(&path);
    if (!text)
        mu_api_give(err, &e);
    return text;
}

bool muster_name_is_secret(const char *name, size_t len)
{
    char *copy = strndup(name, len);
    bool secret = !copy || mu_name_is_secret(copy);
    free(copy);
    return secret;
}

/* ---- looking ---- */

int muster_stored_open(struct muster *m, const struct muster_stored_options *options, struct muster_stored **out,
                       struct muster_error *err)
{
    struct mu_logger *former = mu_logger_use(m->logger);
    struct muster_stored *s = calloc(1, sizeof *s);
    struct mu_err e = {0};
    char real[PATH_MAX];
    const char *script = options->script && realpath(options->script, real) ? real : options->script;
    int rc = s ? 0 : mu_err_set(&e, MU_ENOMEM, "out of memory");
    if (!rc) {
        s->m = m;
        s->resume = options->resume;
        rc = options->resume ? mu_former_open(&s->former, options->db, options->run, &e)
                             : mu_former_look(&s->former, options->db, options->run, script, &e);
    }
    if (!rc && mu_former_words(s->former, &s->words))
        rc = mu_err_set(&e, MU_ENOMEM, "out of memory");
    mu_logger_use(former);
    if (rc)
        muster_stored_free(s);
    else
        *out = s;
    return mu_api_give_result(err, rc, &e);
}

void muster_stored_free(struct muster_stored *s)
{
    if (!s)
        return;
    mu_former_free(s->former);
    for (size_t i = 0; s->words && s->words[i]; i++)
        free(s->words[i]);
    free(s->words);
    free(s);
}

const struct mu_former *mu_api_stored(const struct muster_stored *s) { return s->former; }

const char *muster_stored_id(const struct muster_stored *s) { return s->former->run.run_id; }
bool muster_stored_is_finished(const struct muster_stored *s) { return s->former && mu_former_is_finished(s->former); }
const char *muster_stored_script(const struct muster_stored *s) { return s->former->run.script_path; }

const char *muster_stored_word(const struct muster_stored *s, size_t i)
{
    size_t n = 0;
    while (s->words[n])
        n++;
    return i < n ? s->words[i] : NULL;
}

const char *muster_stored_server(const struct muster_stored *s, size_t i)
{
    return i < s->former->run.n_servers ? s->former->results->tasks[i].server_id : NULL;
}

const char *muster_stored_status(const struct muster_stored *s, size_t i)
{
    return i < s->former->run.n_servers ? mu_status_name(s->former->results->tasks[i].status) : NULL;
}

/* ---- servers ---- */

static int check_secrets(const struct muster_stored *s, struct mu_err *err)
{
    for (size_t i = 0; i < s->former->run.n_servers; i++) {
        const struct mu_server *srv = mu_inventory_find(s->m->inventory, muster_stored_server(s, i));
        for (size_t k = 0; srv && k < srv->n_vars; k++)
            if (mu_var_is_withheld(&srv->vars[k]))
                return mu_err_set(err, MU_EINVAL, "server %s: its variable %s is a secret, so it was not kept: give the "
                                  "inventory again", srv->id, srv->vars[k].name);
    }
    return 0;
}

int muster_stored_add_servers(struct muster_stored *s, struct muster_error *err)
{
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err e = {0};
    size_t added = 0;
    int rc = 0;
    mu_buf_adds(&text, "{\"servers\":[");
    for (size_t i = 0; !rc && i < s->former->run.n_servers; i++) {
        char *one = NULL;
        if (mu_inventory_find(s->m->inventory, muster_stored_server(s, i)))
            continue;
        rc = mu_store_load_inventory(s->former->store, &s->former->run, i, &one, &e);
        mu_buf_adds(&text, added++ ? "," : "");
        mu_buf_adds(&text, one);
        free(one);
    }
    mu_buf_adds(&text, "]}");
    if (!rc && text.failed)
        rc = mu_err_set(&e, MU_ENOMEM, "out of memory");
    if (!rc && added)
        rc = mu_inventory_parse(s->m->inventory, muster_stored_id(s), text.data, text.len, &e);
    if (!rc && mu_api_fit_choice(s->m))
        rc = mu_err_set(&e, MU_ENOMEM, "out of memory");
    if (!rc && added)
        rc = check_secrets(s, &e);
    mu_buf_free(&text);
    return mu_api_give_result(err, rc, &e);
}

/* Whether a comma-separated list has the word; *known: each of its words is a status. */
static bool has_status(const char *list, const char *word)
{
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, ",");
        if (len == strlen(word) && !strncmp(at, word, len))
            return true;
        at += at[len] ? len + 1 : len;
    }
    return false;
}

static int check_statuses(const char *list, struct mu_err *err)
{
    for (const char *at = list;;) {
        size_t len = strcspn(at, ",");
        bool known = false;
        for (int i = MU_ST_FAILED; i <= MU_ST_SKIPPED; i++) {
            const char *name = mu_status_name((enum mu_status)i);
            known = known || (len == strlen(name) && !strncmp(at, name, len));
        }
        if (!known)
            return mu_err_set(err, MU_EINVAL, "'%.*s' is no status: failed, error, timeout, unreachable, cancelled, passed or "
                              "skipped, several with commas between them", len > 40 ? 40 : (int)len, at);
        if (!at[len])
            return 0;
        at += len + 1;
    }
}

int muster_stored_select(struct muster_stored *s, const char *statuses, size_t *n, struct muster_error *err)
{
    struct muster *m = s->m;
    struct mu_err e = {0};
    size_t all = mu_inventory_count(m->inventory);
    int rc = check_statuses(statuses, &e);
    bool *now = calloc(all ? all : 1, sizeof *now);
    *n = 0;
    if (!now)
        rc = mu_err_set(&e, MU_ENOMEM, "out of memory");
    for (size_t i = 0; !rc && i < s->former->run.n_servers; i++) {
        const char *id = muster_stored_server(s, i);
        const struct mu_server *srv = mu_inventory_find(m->inventory, id);
        if (!has_status(statuses, muster_stored_status(s, i)))
            continue;
        if (!srv && !m->chosen) /* where some were named, those that were not are not missed */
            rc = mu_err_set(&e, MU_ENOENT, "server %s of the run %s is not in the inventory", id, muster_stored_id(s));
        else if (srv && muster_server_selected(m, srv->index))
            now[srv->index] = true;
    }
    if (rc) {
        free(now);
        return mu_api_give(err, &e);
    }
    for (size_t i = 0; i < all; i++)
        *n += now[i];
    free(m->chosen);
    m->chosen = now;
    m->n_chosen = all;
    m->adding = false;
    return 0;
}

/* ---- artefacts ---- */

struct artefact_call {
    int (*fn)(void *arg, const struct muster_artefact *artefact);
    void *arg;
    int answer;
};

static int pass_artefact(void *arg, const struct mu_store_artefact *a)
{
    struct artefact_call *call = arg;
    call->answer = call->fn(call->arg, &(struct muster_artefact){a->server, a->name, a->kept_ms, a->bytes, a->n});
    return call->answer;
}

int muster_stored_artefacts(struct muster_stored *s, bool bytes,
                            int (*fn)(void *arg, const struct muster_artefact *artefact), void *arg, struct muster_error *err)
{
    struct artefact_call call = {fn, arg, 0};
    struct mu_err e = {0};
    int rc = mu_store_artefacts(s->former->store, &s->former->run, bytes, pass_artefact, &call, &e);
    return call.answer ? call.answer : mu_api_give_result(err, rc, &e);
}

/* ---- going on ---- */

int muster_stored_check_script(const struct muster_stored *s, const struct muster_script *script, struct muster_error *err)
{
    struct mu_sources *sources = mu_sources_new();
    struct mu_err e = {0};
    char hash[MU_SHA256_HEX + 1] = "";
    const char *text, *then = s->former->run.source;
    size_t len;
    int rc = sources ? mu_sources_get(sources, script->script->path, &text, &len, &e) : MU_ENOMEM;
    if (rc == MU_ENOMEM)
        mu_err_set(&e, rc, "out of memory");
    if (!rc) {
        mu_records_hash(text, len, hash);
        if (then && strcmp(then, hash) != 0)
            rc = mu_err_set(&e, MU_EINVAL, "%s has changed since the run %s: its SHA-256 was %.12s, and is %.12s", script->script->path,
                            muster_stored_id(s), then, hash);
    }
    mu_sources_free(sources);
    return mu_api_give_result(err, rc, &e);
}

/* What it claimed is given back before: a server that is measured anew could not claim a second time. */
static int check_claims(const struct mu_former *f, const char *state_dir, struct mu_err *err)
{
    struct mu_buf path = MU_BUF_INIT;
    struct mu_left *left = NULL;
    int rc = mu_journal_dir(&path, state_dir, err);
    mu_buf_addf(&path, "/%s.jsonl", f->run.run_id);
    if (rc || path.failed || access(mu_buf_cstr(&path), F_OK) != 0) {
        mu_buf_free(&path);
        return 0; /* nothing was claimed there */
    }
    rc = mu_left_open(&left, mu_buf_cstr(&path), err);
    if (!rc && left->n_claims)
        rc = mu_err_set(err, MU_ESTATE, "the run %s left %zu server%s behind that it had claimed: `muster cleanup --journal %s` "
                        "first, then resume it", f->run.run_id, left->n_claims, left->n_claims == 1 ? "" : "s", left->path);
    else if (!rc)
        unlink(left->path);
    mu_left_free(left);
    mu_buf_free(&path);
    return rc;
}

int muster_run_resume(struct muster_stored *s, struct muster_script *script, const struct muster_run_options *options,
                      struct muster_run **out, struct muster_error *err)
{
    struct muster *m = s->m;
    struct mu_former *f = s->former;
    struct mu_err e = {0};
    size_t n = f ? f->run.n_servers : 0;
    struct mu_server **servers = calloc(n ? n : 1, sizeof(struct mu_server *));
    int rc = servers ? 0 : mu_err_set(&e, MU_ENOMEM, "out of memory");
    if (!rc && (!f || !s->resume))
        rc = mu_err_set(&e, MU_ESTATE, "this run was not opened to be gone on with");
    for (size_t i = 0; !rc && i < n; i++)
        if (!(servers[i] = mu_inventory_find(m->inventory, f->results->tasks[i].server_id)))
            rc = mu_err_set(&e, MU_ENOENT, "server %s of the run %s is not in the inventory", f->results->tasks[i].server_id,
                            f->run.run_id);
    if (!rc && !mu_former_is_finished(f) && !(options && options->nats)) /* agents destroy what another began */
        rc = check_claims(f, options ? options->state_dir : NULL, &e);
    if (!rc) {
        rc = mu_api_run_new(m, script->script, options, servers, n, m->library_dir, &(struct mu_api_kind){.former = f}, out, &e);
        servers = NULL;
        if (!rc)
            s->former = NULL;
    }
    free(servers);
    return mu_api_give_result(err, rc, &e);
}
