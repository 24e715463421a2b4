/* api_cleanup.c: leftovers of earlier runs, and the runs that clean up after them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_internal.h"
#include "bindings/bindings.h"
#include "run/journal.h"
#include "run/journal_read.h"

struct muster_leftovers {
    struct muster *m;
    struct mu_left **runs; /* NULL-terminated only by n_runs */
    char **problems;
    size_t n_runs, n_problems, n_living;
};

/* ---- finding them ---- */

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

/* One journal: with strict its trouble is the caller's. */
static int add(struct muster_leftovers *l, const char *path, bool strict, bool tidy, struct mu_err *err)
{
    struct mu_left *left = NULL;
    int rc = mu_left_open(&left, path, err);
    if (rc == MU_ENOMEM || (rc && strict))
        return rc;
    if (rc == MU_ESTATE)
        l->n_living++;
    if (rc && rc != MU_ESTATE && rc != MU_ENOENT && !(l->problems[l->n_problems++] = strdup(err->msg)))
        return MU_ENOMEM;
    if (rc)
        return 0;
    if (left->n_claims) {
        l->runs[l->n_runs++] = left;
        return 0;
    }
    if (tidy)
        unlink(path);
    mu_left_free(left);
    return 0;
}

int muster_leftovers_open(struct muster *m, const struct muster_leftovers_options *options,
                          struct muster_leftovers **out, struct muster_error *err)
{
    const struct muster_leftovers_options defaults = MUSTER_LEFTOVERS_OPTIONS_INIT;
    const struct muster_leftovers_options *o = options && options->size >= sizeof defaults ? options : &defaults;
    struct mu_logger *former = mu_logger_use(m->logger);
    struct muster_leftovers *l = calloc(1, sizeof *l);
    struct mu_buf dir = MU_BUF_INIT;
    const char *const *paths = o->journals;
    char **found = NULL;
    struct mu_err e = {0};
    size_t n = 0;
    int rc = MU_ENOMEM;
    mu_err_set(&e, MU_ENOMEM, "out of memory");
    if (!l)
        goto out;
    l->m = m;
    if (!paths) {
        rc = mu_journal_dir(&dir, o->state_dir, &e);
        if (!rc)
            rc = mu_left_list(&found, mu_buf_cstr(&dir), o->tidy, &e);
        if (rc)
            goto out;
        paths = (const char *const *)found;
    }
    while (paths[n])
        n++;
    l->runs = calloc(n + 1, sizeof(struct mu_left *));
    l->problems = calloc(n + 1, sizeof *l->problems);
    rc = l->runs && l->problems ? 0 : MU_ENOMEM;
    for (size_t i = 0; !rc && i < n; i++)
        rc = add(l, paths[i], o->journals != NULL, o->tidy, &e);
out:
    free_list(found);
    mu_buf_free(&dir);
    mu_logger_use(former);
    if (rc) {
        muster_leftovers_free(l);
        return mu_api_give(err, &e);
    }
    *out = l;
    return 0;
}

void muster_leftovers_free(struct muster_leftovers *l)
{
    if (!l || l->m->pinned)
        return;
    for (size_t i = 0; i < l->n_runs; i++)
        mu_left_free(l->runs[i]);
    free(l->runs);
    free_list(l->problems);
    free(l);
}

/* ---- looking at them ---- */

size_t muster_leftovers_living(const struct muster_leftovers *l) { return l->n_living; }
size_t muster_leftovers_count(const struct muster_leftovers *l) { return l->n_runs; }

const char *muster_leftovers_problem(const struct muster_leftovers *l, size_t i)
{
    return i < l->n_problems ? l->problems[i] : NULL;
}

int muster_leftovers_run(const struct muster_leftovers *l, size_t run, struct muster_leftover_run *out)
{
    if (run >= l->n_runs)
        return MU_ENOENT;
    const struct mu_left *r = l->runs[run];
    *out = (struct muster_leftover_run){.id = r->run_id, .owner = r->owner, .time = r->time, .script = r->script,
                                        .journal = r->path, .n_servers = r->n_claims};
    return 0;
}

int muster_leftovers_server(const struct muster_leftovers *l, size_t run, size_t server,
                            struct muster_leftover_server *out)
{
    if (run >= l->n_runs || server >= l->runs[run]->n_claims)
        return MU_ENOENT;
    const struct mu_left_claim *c = &l->runs[run]->claims[server];
    *out = (struct muster_leftover_server){.id = c->server->id, .address = c->server->address,
                                           .time = c->time ? c->time : "", .data = c->data};
    return 0;
}

/* ---- cleaning up ---- */

/* The library of then where it is still there, for the script was written for it. */
static const char *library_of(const struct muster *m, const struct mu_left *left)
{
    struct stat st;
    bool there = left->library_dir && stat(left->library_dir, &st) == 0 && S_ISDIR(st.st_mode);
    return there ? left->library_dir : m->library_dir;
}

static int load_script(struct muster_script *s, const struct mu_left *left, const char *path, const char *library,
                       struct mu_err *err)
{
    if (access(path, R_OK) != 0) {
        mu_err_sys(err, MU_ENOENT, errno, "its script %s cannot be read: put it back, or name a copy with --script", path);
        return MU_ENOENT;
    }
    int rc = mu_script_load(&s->script, path, library, &mu_bindings, s->m->logger, err);
    for (char *const *p = left->params; !rc && *p; p += 2)
        if (mu_script_set_param(s->script, p[0], p[1], err)) {
            mu_err_prefix(err, "%s has changed since that run: put the one of then back, or name a copy with --script", path);
            rc = MU_EINVAL;
        }
    if (!rc && !s->script->has_teardown)
        rc = mu_err_set(err, MU_EINVAL, "%s has no teardown, so it cannot destroy what it claimed: do it by hand, then remove "
                        "the journal %s", path, left->path);
    return rc;
}

/* What the run of then was given, where this one is given nothing. */
static struct muster_run_options options_of(const struct mu_left *left, const struct muster_run_options *given)
{
    struct muster_run_options o = MUSTER_RUN_OPTIONS_INIT;
    enum mu_hostkey_policy policy = MU_HOSTKEY_STRICT;
    if (given && given->size >= sizeof o)
        o = *given;
    o.local = o.local || left->local;
    o.user = o.user ? o.user : left->user;
    o.known_hosts = o.known_hosts ? o.known_hosts : (const char *const *)left->known_hosts;
    o.key_files = o.key_files ? o.key_files : (const char *const *)left->key_files;
    if (!o.hostkey_policy_given && o.hostkey_policy == MUSTER_HOSTKEY_STRICT && left->hostkey_policy &&
        mu_hostkey_policy_parse(left->hostkey_policy, &policy) == 0) {
        o.hostkey_policy = (enum muster_hostkey_policy)policy;
        o.hostkey_policy_given = true;
    }
    o.ssh_config = o.ssh_config ? o.ssh_config : left->ssh_config;
    return o;
}

int muster_cleanup_new(struct muster *m, struct muster_leftovers *l, size_t run, const char *script,
                       const struct muster_run_options *options, struct muster_run **out, struct muster_error *err)
{
    struct mu_left *left = run < l->n_runs ? l->runs[run] : NULL;
    struct muster_script *s = calloc(1, sizeof *s);
    struct mu_server **servers = calloc(left ? left->n_claims : 1, sizeof(struct mu_server *));
    struct mu_err e = {0};
    int rc = MU_ENOMEM;
    mu_err_set(&e, MU_ENOMEM, "out of memory");
    if (!left || left->fd < 0)
        rc = mu_err_set(&e, MU_ESTATE, "there is no such run to clean up after, or it was done already");
    else if (s && servers) {
        const char *library = library_of(m, left);
        s->m = m;
        for (size_t i = 0; i < left->n_claims; i++)
            servers[i] = left->claims[i].server;
        rc = load_script(s, left, script ? script : left->script, library, &e);
        if (!rc) {
            struct muster_run_options o = options_of(left, options);
            rc = mu_api_run_new(m, s->script, &o, servers, left->n_claims, library,
                                &(struct mu_api_kind){.left = left}, out, &e);
            servers = NULL;
        }
    }
    free(servers);
    if (rc) {
        if (s)
            mu_script_free(s->script);
        free(s);
        return mu_api_give(err, &e);
    }
    (*out)->own_script = s;
    return 0;
}
