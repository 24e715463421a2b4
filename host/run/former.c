#include "run/former.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "results/store_look.h"
#include "run/second.h"

/* Blank but for its name, as it was before the run began. */
static void blank(struct mu_task_result *t)
{
    char *id = t->server_id;
    t->server_id = NULL;
    mu_task_result_clear(t);
    t->server_id = id;
    t->status = MU_ST_CANCELLED;
}

static bool is_cancelled(const struct mu_task_result *t)
{
    bool any = mu_task_result_is_unfinished(t);
    for (size_t i = 0; i < t->n_steps; i++)
        any = any || t->steps[i].status == MU_ST_CANCELLED;
    for (size_t i = 0; i < t->n_failures; i++)
        any = any || t->failures[i].status == MU_ST_CANCELLED;
    return any;
}

static void choose(struct mu_former *f, size_t i)
{
    struct mu_task_result *t = &f->results->tasks[i];
    f->anew[i] = true;
    f->final[i] = false;
    f->n_anew++;
    blank(t);
}

void mu_former_all_anew(struct mu_former *f)
{
    for (size_t i = 0; i < f->results->n_tasks; i++)
        if (!f->anew[i])
            choose(f, i);
}

static int check(const struct mu_former *f, struct mu_err *err)
{
    return f->run.state == MU_STORE_RUNNING ? mu_err_set(err, MU_ESTATE, "the run %s is still at work", f->run.run_id) : 0;
}

static int make(struct mu_former **out, const char *where, struct mu_err *err)
{
    struct mu_former *f = *out = calloc(1, sizeof *f);
    return f ? mu_store_open(&f->store, where, false, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
}

static int give(struct mu_former **out, int rc)
{
    if (!rc)
        return 0;
    mu_former_free(*out);
    *out = NULL;
    return rc;
}

int mu_former_look(struct mu_former **out, const char *where, const char *run_id, const char *script_path, struct mu_err *err)
{
    int rc = make(out, where, err);
    struct mu_former *f = *out;
    if (!rc)
        rc = run_id ? mu_store_find_named(f->store, run_id, &f->run, err)
                    : mu_store_find_last(f->store, script_path, false, &f->run, err);
    if (!rc)
        rc = mu_store_load(f->store, &f->run, &f->results, err);
    return give(out, rc);
}

/* It says which script to run: only whoever may do so anyway is to have written that. */
static int check_trust(const char *where, struct mu_err *err)
{
    struct stat st;
    if (mu_db_is_url(where))
        return mu_err_set(err, MU_EINVAL, "results %s: runs go on, and are run again, from a file: name the one it was kept in",
                          mu_db_url_shown(where));
    if (stat(where, &st))
        return 0; /* opening it says why */
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return mu_err_set(err, MU_EINVAL, "results %s: it belongs to somebody else, so what it says is not run", where);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return mu_err_set(err, MU_EINVAL, "results %s: others may write it, so what it says is not run: chmod go-w it", where);
    return 0;
}

int mu_former_open(struct mu_former **out, const char *where, const char *run_id, struct mu_err *err)
{
    *out = NULL;
    int rc = check_trust(where, err);
    if (rc)
        return rc;
    rc = make(out, where, err);
    struct mu_former *f = *out;
    if (!rc)
        rc = run_id ? mu_store_find_named(f->store, run_id, &f->run, err) : mu_store_find_last(f->store, NULL, true, &f->run, err);
    if (!rc)
        rc = check(f, err);
    if (!rc)
        rc = mu_store_load(f->store, &f->run, &f->results, err);
    if (!rc) {
        size_t n = f->run.n_servers ? f->run.n_servers : 1;
        f->anew = calloc(n, sizeof *f->anew);
        f->final = calloc(n, sizeof *f->final);
        rc = f->anew && f->final ? mu_store_load_final(f->store, &f->run, f->final, err)
                                 : mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    for (size_t i = 0; !rc && i < f->run.n_servers && !mu_former_is_finished(f); i++)
        if (is_cancelled(&f->results->tasks[i]))
            choose(f, i);
        else if (mu_second_is_open(&f->results->tasks[i]))
            f->final[i] = false;
    return give(out, rc);
}

bool mu_former_is_finished(const struct mu_former *f) { return f->run.state == MU_STORE_FINISHED; }

int mu_former_words(const struct mu_former *f, char ***out)
{
    json_t *list = f->run.options ? json_loads(f->run.options, 0, NULL) : NULL;
    size_t n = json_array_size(list);
    char **words = *out = calloc(n + 1, sizeof *words);
    for (size_t i = 0; words && i < n; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!(words[i] = strdup(word ? word : "")))
            n = 0;
    }
    bool failed = list && json_array_size(list) && !n;
    json_decref(list);
    if (failed)
        for (size_t i = 0; words && words[i]; i++)
            free(words[i]);
    if (failed)
        free(words);
    return failed || !words ? MU_ENOMEM : 0;
}

void mu_former_free(struct mu_former *f)
{
    if (!f)
        return;
    mu_store_close(f->store);
    mu_store_run_clear(&f->run);
    mu_run_result_free(f->results);
    free(f->anew);
    free(f->final);
    free(f);
}
