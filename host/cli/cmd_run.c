#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "files.h"
#include "interrupt.h"
#include "run_args.h"
#include "run_resumed.h"
#include "scripts.h"
#include "sinks.h"
#include "suggest.h"
#include "targets.h"
#include "watch.h"

static int complain(const struct run_args *a, const struct muster_error *err)
{
    return cli_error(a->command, "%s", err->message);
}

typedef int set_fn(struct muster_script *, const char *, const char *, struct muster_error *);

/* Each NAME=VALUE of a list, all of which have their =. */
static int set_all(struct muster_script *script, const struct run_args *a, const struct str_list *list, set_fn *set)
{
    struct muster_error err;
    int rc = 0;

    for (size_t i = 0; i < list->n && rc == 0; i++) {
        const char *equals = strchr(list->items[i], '=');
        char *name = strndup(list->items[i], (size_t)(equals - list->items[i]));
        if (!name)
            rc = cli_error(a->command, "out of memory");
        else if (set(script, name, equals + 1, &err) < 0)
            rc = complain(a, &err);
        free(name);
    }
    return rc;
}

/* The engine refuses names that no step has; what was probably meant is ours to say. */
static int check_step_name(const struct muster_script *script, const struct run_args *a, const char *name)
{
    struct cli_suggestion near;
    size_t n = muster_script_step_count(script);

    cli_suggestion_start(&near, name);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, muster_script_step_name(script, i)) == 0)
            return 0;
        cli_suggestion_offer(&near, muster_script_step_name(script, i));
    }
    return near.best ? cli_error(a->command, "%s has no step '%s'; did you mean '%s'?", a->script, name, near.best) : 0;
}

static int check_steps(const struct muster_script *script, const struct run_args *a)
{
    int rc = 0;

    for (size_t i = 0; i < a->steps.n && rc == 0; i++) {
        for (const char *at = a->steps.items[i]; at && rc == 0;) {
            size_t len = strcspn(at, ",");
            char *name = strndup(at, len);
            if (!name)
                rc = cli_error(a->command, "out of memory");
            else if (!strpbrk(name, "*?["))
                rc = check_step_name(script, a, name);
            free(name);
            at = at[len] ? at + len + 1 : NULL;
        }
    }
    return rc;
}

/* A name alone that is no file here may be meant as one of the scripts that came with muster. */
static int complain_script(const struct run_args *a, const struct muster_error *err)
{
    const char *path = a->script;
    char folder[PATH_MAX], there[PATH_MAX + NAME_MAX + 2];
    const char *usual = strchr(path, '/') || access(path, F_OK) == 0 ? NULL : cli_scripts_folder(folder, sizeof folder);
    const char *lua = strlen(path) > 4 && !strcmp(path + strlen(path) - 4, ".lua") ? "" : ".lua";

    if (!usual || strlen(path) > NAME_MAX)
        return complain(a, err);
    snprintf(there, sizeof there, "%s/%s%s", usual, path, lua);
    if (access(there, R_OK) != 0)
        return complain(a, err);
    return cli_error(a->command, "%s; do you mean %s?", err->message, there);
}

static int load_script(struct muster *m, const struct run_args *a, struct muster_script **out)
{
    struct muster_error err;

    if (muster_script_load(m, a->script, out, &err) < 0)
        return complain_script(a, &err);
    int rc = set_all(*out, a, &a->params, muster_script_set_param);
    if (rc == 0)
        rc = set_all(*out, a, &a->thresholds, muster_script_set_threshold);
    return rc ? rc : check_steps(*out, a);
}

/* The servers of the transcripts, when none is named in another way. */
static int load_recorded(struct muster *m, const struct muster_script *script, const struct run_args *a)
{
    struct muster_error err;
    size_t n = 0;

    if (!a->run.replay_dir || a->n_servers || a->inventories.n)
        return 0;
    if (muster_replay_servers(m, script, a->run.replay_dir, &n, &err) < 0)
        return complain(a, &err);
    return n ? 0 : cli_error(a->command, "--replay: %s has no transcript of %s", a->run.replay_dir, a->script);
}

/* Of --rerun: the run whose servers are looked at. */
static int open_former(struct muster *m, const struct run_args *a, struct muster_stored **out)
{
    struct muster_stored_options options = MUSTER_STORED_OPTIONS_INIT;
    struct muster_error err;

    options.db = a->run.db;
    options.run = a->of;
    options.script = a->script;
    if (!a->run.db)
        return cli_error(a->command, "--rerun: with --no-db there is no earlier run to look at");
    if (muster_stored_open(m, &options, out, &err) < 0)
        return cli_error(a->command, "--rerun: %s", err.message);
    return 0;
}

static int narrow_to_former(struct muster_stored *former, const struct run_args *a)
{
    struct muster_error err;
    size_t n = 0;

    if (muster_stored_select(former, a->rerun, &n, &err) < 0)
        return cli_error(a->command, "--rerun: %s", err.message);
    return n ? 0 : cli_error(a->command, "--rerun: in the run %s no server was %s", muster_stored_id(former), a->rerun);
}

static int load_servers(struct muster *m, const struct run_args *a, struct muster_stored *former)
{
    static const char *const localhost[] = {"localhost"};
    const char *const *words = (const char *const *)a->servers;
    size_t n = a->n_servers;
    struct muster_error err;

    if (a->inventory_timeout_ms)
        muster_inventory_set_timeout(m, a->inventory_timeout_ms);
    for (size_t i = 0; i < a->inventories.n; i++)
        if (muster_inventory_load(m, a->inventories.items[i], &err) < 0)
            return complain(a, &err);
    if (a->run.local && n == 0 && a->inventories.n == 0 && !former) {
        words = localhost;
        n = 1;
    }
    if (former && n == 0 && a->inventories.n == 0 && muster_stored_add_servers(former, &err) < 0)
        return cli_error(a->command, "--rerun: %s", err.message);
    int rc = targets_choose(m, a->command, words, n, a->limits.items, a->limits.n);
    return rc == 0 && former ? narrow_to_former(former, a) : rc;
}

/* A line a server, for programs; and for people all of them in one. */
static void list_hosts(const struct muster *m)
{
    char *names = targets_fold(m);
    size_t n = targets_count(m);
    int width = 0;

    for (size_t i = 0; i < muster_server_count(m); i++)
        if (muster_server_selected(m, i) && (int)strlen(muster_server_id(m, i)) > width)
            width = (int)strlen(muster_server_id(m, i));
    for (size_t i = 0; i < muster_server_count(m); i++) {
        if (!muster_server_selected(m, i))
            continue;
        printf("%-*s  ", width, muster_server_id(m, i));
        cli_put_escaped(stdout, muster_server_address(m, i));
        putchar('\n');
    }
    fflush(stdout);
    fprintf(stderr, "%zu server%s: %s\n", n, n == 1 ? "" : "s", names ? names : "");
    free(names);
}

static int check_reports(const struct run_args *a)
{
    char why[256];

    for (size_t i = 0; i < RUN_REPORTS; i++)
        if (a->reports[i] && cli_check_report_path(a->reports[i], why, sizeof why) < 0)
            return cli_error(a->command, "--%s: cannot write %s: %s", run_report_names[i], a->reports[i], why);
    return 0;
}

/* What the run is kept with: its options, and which of them were kept back. */
static int keep_invocation(struct run_args *a, const char ***out)
{
    const char **list = calloc(a->words.n + a->again.n + 2, sizeof *list);
    size_t n = 0;

    for (size_t i = 0; list && i < a->words.n; i++)
        list[n++] = a->words.items[i];
    if (list && a->again.n)
        list[n++] = "--"; /* what follows has to be given again */
    for (size_t i = 0; list && i < a->again.n; i++)
        list[n++] = a->again.items[i];
    a->run.invocation = *out = list;
    return list ? 0 : cli_error(a->command, "out of memory");
}

static int make_run(struct muster *m, struct muster_script *script, struct run_args *a, struct muster_stored *stored,
                    struct muster_run **out)
{
    struct muster_error err;
    const char **invocation = NULL;

    a->run.steps = a->steps.items;
    progress_prepare(&a->run, &(struct progress_options){a->progress, a->progress_interval_ms, a->log.sinks.quiet, a->log.level});
    if (keep_invocation(a, &invocation) != 0)
        return CLI_USAGE;
    int rc = stored ? muster_run_resume(stored, script, &a->run, out, &err) : muster_run_new(m, script, &a->run, out, &err);
    free(invocation);
    a->run.invocation = NULL;
    return rc < 0 ? cli_error(a->command, "%s", err.message) : 0;
}

static unsigned cores(void)
{
    cpu_set_t set;
    long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (unsigned)n : 1;
}

/* Decide here what the engine would choose by itself, so that the first line of the log tells the truth. */
static void settle_size(struct run_args *a, size_t servers)
{
    if (a->run.nats)
        return; /* how many there are at once is the agents' affair */
    if (a->run.forks == 0)
        a->run.forks = 50;
    if (a->run.forks > servers)
        a->run.forks = (unsigned)servers;
    if (a->run.workers == 0)
        a->run.workers = cores();
    if (a->run.workers > a->run.forks)
        a->run.workers = a->run.forks;
}

static void say_start(struct muster *m, const struct run_args *a, size_t servers)
{
    char line[PATH_MAX + 256], size[32] = "";

    if (a->run.nats && a->run.forks)
        snprintf(size, sizeof size, ", %u at once", a->run.forks);
    if (a->run.nats)
        snprintf(line, sizeof line, "%s: %zu server%s%s, by agents at %.200s%s", a->script, servers, servers == 1 ? "" : "s", size,
                 a->run.nats->urls, a->run.dry_run ? ", dry run: nothing is changed" : "");
    else
        snprintf(line, sizeof line, "%s: %zu server%s, %u at once, %u worker%s%s%s", a->script, servers,
                 servers == 1 ? "" : "s", a->run.forks, a->run.workers, a->run.workers == 1 ? "" : "s",
                 a->run.local ? ", on this machine" : a->run.replay_dir ? ", replayed" : "",
                 a->run.dry_run ? ", dry run: nothing is changed" : "");
    muster_log(m, MUSTER_INFO, line);
}

static int write_report(struct muster_run *run, const struct run_args *a, enum muster_report kind)
{
    const char *path = a->reports[kind];
    struct muster_error err;

    if (!path)
        return 0;
    fflush(stdout);
    return muster_run_report(run, kind, path, &err) < 0 ? complain(a, &err) : 0;
}

/* Reports first: the summary is the last thing an operator sees. */
static int finish(struct muster_run *run, const struct run_args *a)
{
    int code = muster_run_exit_code(run);
    int trouble = 0;
    bool stdout_taken = false;
    for (size_t i = 0; i < RUN_REPORTS; i++) {
        int rc = write_report(run, a, (enum muster_report)i);
        trouble = rc ? rc : trouble;
        stdout_taken = stdout_taken || (a->reports[i] && strcmp(a->reports[i], "-") == 0);
    }
    FILE *to = stdout_taken ? stderr : stdout;
    const char *summary = muster_run_summary(run, cli_colored(a->log.sinks.color, fileno(to)));

    if (summary)
        fputs(summary, to);
    else
        trouble = cli_error(a->command, "out of memory: no summary");
    fflush(to);
    if (muster_run_record_problem(run))
        trouble = cli_error(a->command, "--record: %s", muster_run_record_problem(run));
    return code ? code : trouble;
}

static void wipe_secrets(struct run_args *a)
{
    ssh_args_wipe(&a->ssh, &a->run);
    nats_args_free(&a->nats);
}

static int run_all(struct muster *m, struct muster_script *script, struct run_args *a, struct muster_stored *stored)
{
    struct muster_run *run = NULL;
    struct muster_error err;
    bool finished = stored && muster_stored_is_finished(stored);
    int code = make_run(m, script, a, stored, &run);

    if (!a->watch)
        wipe_secrets(a); /* the engine keeps its own copy as long as it needs it */
    if (code == 0) {
        if (!finished)
            say_start(m, a, targets_count(m));
        interrupt_begin(run);
        progress_begin(m, run);
        int rc = muster_run_start(run, &err);
        progress_end();
        code = rc < 0 ? complain(a, &err) : finish(run, a);
        interrupt_end();
    }
    muster_run_free(run);
    return code;
}

static int cannot_watch(const struct run_args *a) { return cli_error(a->command, "--watch: %s", strerror(errno)); }

/* What was read to load the script; all Lua files beside it, in case it cannot be loaded any more. */
static int watch_script(struct watch *w, const struct muster_script *script, const struct run_args *a)
{
    const char *path;

    if (watch_add(w, a->script, 1) < 0)
        return cannot_watch(a);
    for (size_t i = 0; script && (path = muster_script_file(script, i)) != NULL; i++)
        if (watch_add(w, path, 0) < 0)
            return cannot_watch(a);
    return 0;
}

/* Until an interrupt: 130 and above. While nothing runs, a signal simply ends the program. */
static int run_again_and_again(struct muster *m, struct muster_script **script, struct run_args *a)
{
    struct watch *w = watch_new();
    int code = w ? watch_script(w, *script, a) : cannot_watch(a);

    while (code == 0) {
        if (*script && run_all(m, *script, a, NULL) > 128)
            break;
        fputs("Waiting for a change.\n", stderr);
        if (watch_wait(w) < 0) {
            code = cannot_watch(a);
            break;
        }
        muster_script_free(*script);
        *script = NULL;
        if (load_script(m, a, script) != 0) { /* said; the next change may be the cure */
            muster_script_free(*script);
            *script = NULL;
        }
        code = watch_script(w, *script, a);
    }
    watch_free(w);
    return code ? code : 130;
}

static int prepare_and_run(struct muster *m, struct muster_script **script, struct run_args *a, struct muster_stored *stored)
{
    int code = check_reports(a);

    if (code == 0)
        code = ssh_args_read_secrets(&a->ssh, &a->run, a->command, m);
    if (code == 0)
        code = nats_args_read_secrets(&a->nats, a->command, m);
    if (code == 0) {
        settle_size(a, targets_count(m));
        code = a->watch ? run_again_and_again(m, script, a) : run_all(m, *script, a, stored);
    }
    wipe_secrets(a);
    return code;
}

/* Where runs are kept, unless the command line says. No such place is no reason not to run. */
static void settle_db(struct muster *m, struct run_args *a, char **path)
{
    struct muster_error err;
    char line[600];

    if (a->run.db || a->no_db)
        return;
    bool kept = !a->run.dry_run && !a->run.replay_dir && !a->list_hosts;
    a->run.db = *path = muster_db_path(a->run.state_dir, kept, &err);
    if (!*path) {
        snprintf(line, sizeof line, "%s. This run is not kept; --no-db says so without this line.", err.message);
        muster_log(m, MUSTER_WARNING, line);
    }
}

int cli_run_new(struct muster **out, struct run_args *a)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_error err;
    char library[PATH_MAX];

    options.level = a->log.level;
    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(out, &options, &err) < 0)
        return complain(a, &err);
    return cli_add_sinks(a->command, *out, &a->log.sinks);
}

int cli_run_resumed(struct muster *m, struct run_args *a, struct muster_stored *stored)
{
    struct muster_script *script = NULL;
    struct muster_error err;
    int code = load_script(m, a, &script);

    if (code == 0 && !a->changed_script && !muster_stored_is_finished(stored) && muster_stored_check_script(stored, script, &err) < 0)
        code = cli_error("resume", "%s: results of both would be mixed; --changed-script resumes it all the same", err.message);
    for (size_t i = 0; i < a->inventories.n && code == 0; i++)
        if (muster_inventory_load(m, a->inventories.items[i], &err) < 0)
            code = cli_error("resume", "%s", err.message);
    if (code == 0 && muster_stored_add_servers(stored, &err) < 0)
        code = cli_error("resume", "%s (-i FILE)", err.message);
    for (size_t i = 0; code == 0 && muster_stored_server(stored, i); i++)
        if (muster_select_add(m, muster_stored_server(stored, i), &err) < 0)
            code = cli_error("resume", "%s", err.message);
    if (code == 0)
        code = prepare_and_run(m, &script, a, stored);
    muster_script_free(script);
    return code;
}

int cmd_run(int argc, char **argv)
{
    struct muster *m = NULL;
    struct muster_script *script = NULL;
    struct muster_stored *former = NULL;
    char *db = NULL;
    struct run_args a;
    int code = run_args_parse(&a, RUN_ARGS_RUN, argc, argv);

    if (code != 0)
        goto out;
    if (a.help) {
        cmd_run_help(stdout);
        goto out;
    }
    code = cli_run_new(&m, &a);
    if (code == 0)
        code = load_script(m, &a, &script);
    if (code == 0 && (!a.list_hosts || a.rerun))
        settle_db(m, &a, &db);
    if (code == 0 && a.rerun)
        code = open_former(m, &a, &former);
    if (code == 0)
        code = load_recorded(m, script, &a);
    if (code == 0)
        code = load_servers(m, &a, former);
    if (code == 0 && a.list_hosts)
        list_hosts(m);
    else if (code == 0)
        code = prepare_and_run(m, &script, &a, NULL);
out:
    muster_stored_free(former);
    muster_script_free(script);
    muster_free(m);
    run_args_free(&a);
    free(db);
    return code;
}
