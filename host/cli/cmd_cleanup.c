#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup_args.h"
#include "cleanup_say.h"
#include "command.h"
#include "files.h"
#include "interrupt.h"

#define CLI_LEFT 4

/* What became of all servers of all runs. */
struct outcomes {
    struct cleanup_outcome *all;
    size_t n;
    bool any_left;
    int interrupted; /* the exit code of that; 0: not */
};

void cmd_cleanup_help(FILE *to) { cleanup_args_help(to); }

static void add(struct outcomes *o, const char *id, size_t run, bool left, const char *reason)
{
    o->all[o->n++] = (struct cleanup_outcome){.id = id, .run = run, .left = left, .reason = reason ? strdup(reason) : NULL};
    o->any_left = o->any_left || left;
}

/* None of a run's servers could be tried. */
static void add_untried(struct outcomes *o, const struct muster_leftovers *l, size_t run, const char *why)
{
    struct muster_leftover_server s;

    for (size_t i = 0; muster_leftovers_server(l, run, i, &s) == 0; i++)
        add(o, s.id, run, true, why);
}

static void add_results(struct outcomes *o, const struct muster_leftovers *l, size_t run, const struct muster_run *r)
{
    struct muster_leftover_server s;
    struct muster_server_result result;
    char reason[600];

    for (size_t i = 0; muster_leftovers_server(l, run, i, &s) == 0 && muster_run_server(r, i, &result) == 0; i++) {
        snprintf(reason, sizeof reason, "%s%s%.500s", result.status, *result.reason ? ": " : "", result.reason);
        if (!*result.reason)
            snprintf(reason, sizeof reason, "%s", o->interrupted ? "interrupted"
                                                                 : "its teardown ended without releasing the claim");
        add(o, s.id, run, result.left_behind, result.left_behind ? reason : NULL);
    }
}

static void clean_one(struct muster *m, struct muster_leftovers *l, size_t i, const struct cleanup_args *a,
                      struct outcomes *o)
{
    struct muster_leftover_run left;
    struct muster_run *run = NULL;
    struct muster_error err;
    int rc;

    cleanup_say_run(l, i);
    if (muster_leftovers_run(l, i, &left) < 0)
        return;
    if (muster_cleanup_new(m, l, i, a->script, &a->run, &run, &err) < 0) {
        cli_error("cleanup", "run %s: %s", left.id, err.message);
        add_untried(o, l, i, err.message);
        return;
    }
    fputs("Running the script's teardown for ", stdout);
    cleanup_say_count(left.n_servers, "server");
    fputs(".\n", stdout);
    fflush(stdout);
    interrupt_begin(run);
    rc = muster_run_start(run, &err);
    interrupt_end();
    if (rc < 0) {
        cli_error("cleanup", "run %s: %s", left.id, err.message);
        add_untried(o, l, i, err.message);
    } else {
        int code = muster_run_exit_code(run);
        o->interrupted = code > 100 ? code : o->interrupted;
        add_results(o, l, i, run);
    }
    muster_run_free(run);
}

static int clean_all(struct muster *m, struct muster_leftovers *l, const struct cleanup_args *a)
{
    struct outcomes o = {0};
    struct muster_leftover_run r;
    size_t total = 0;

    for (size_t i = 0; muster_leftovers_run(l, i, &r) == 0; i++)
        total += r.n_servers;
    o.all = calloc(total, sizeof *o.all);
    if (!o.all)
        return cli_error("cleanup", "out of memory");
    for (size_t i = 0; i < muster_leftovers_count(l); i++) {
        if (o.interrupted)
            add_untried(&o, l, i, "interrupted before its turn");
        else
            clean_one(m, l, i, a, &o);
    }
    cleanup_say_outcomes(l, o.all, o.n);
    for (size_t i = 0; i < o.n; i++)
        free(o.all[i].reason);
    free(o.all);
    return o.interrupted ? o.interrupted : o.any_left ? CLI_LEFT : CLI_OK;
}

static int list_all(const struct muster_leftovers *l)
{
    for (size_t i = 0; i < muster_leftovers_count(l); i++)
        cleanup_say_run(l, i);
    cleanup_say_list_end(l);
    return CLI_LEFT;
}

static int clean(struct muster *m, const struct cleanup_args *a)
{
    struct muster_leftovers_options options = MUSTER_LEFTOVERS_OPTIONS_INIT;
    struct muster_leftovers *l = NULL;
    struct muster_error err;
    const char *problem;
    int code = CLI_OK, trouble = CLI_OK;

    options.state_dir = a->state_dir;
    options.journals = a->journals.items;
    options.tidy = !a->list;
    if (muster_leftovers_open(m, &options, &l, &err) < 0)
        return cli_error("cleanup", "%s", err.message);
    for (size_t i = 0; (problem = muster_leftovers_problem(l, i)) != NULL; i++) {
        cli_error("cleanup", "%s", problem);
        trouble = CLI_LEFT; /* who knows what it holds */
    }
    if (muster_leftovers_living(l)) {
        cleanup_say_count(muster_leftovers_living(l), "run");
        fputs(muster_leftovers_living(l) == 1 ? " is still at work and is left alone.\n"
                                              : " are still at work and are left alone.\n", stdout);
    }
    if (!muster_leftovers_count(l))
        puts(trouble || muster_leftovers_living(l) ? "Nothing else was left behind." : "Nothing was left behind.");
    else
        code = a->list ? list_all(l) : clean_all(m, l, a);
    muster_leftovers_free(l);
    fflush(stdout);
    return code ? code : trouble;
}

int cmd_cleanup(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster *m = NULL;
    struct muster_error err;
    char library[PATH_MAX];
    struct cleanup_args a;
    int code = cleanup_args_parse(&a, argc, argv);

    if (code != 0)
        goto out;
    if (a.help) {
        cleanup_args_help(stdout);
        goto out;
    }
    options.level = a.log.level;
    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(&m, &options, &err) < 0)
        code = cli_error("cleanup", "%s", err.message);
    if (code == 0)
        code = cli_add_sinks("cleanup", m, &a.log.sinks);
    if (code == 0)
        code = ssh_args_read_secrets(&a.ssh, &a.run, "cleanup", m);
    if (code == 0)
        code = nats_args_read_secrets(&a.nats, "cleanup", m);
    if (code == 0)
        code = clean(m, &a);
out:
    muster_free(m);
    cleanup_args_free(&a);
    return code;
}
