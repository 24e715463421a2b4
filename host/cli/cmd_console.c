#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "console_args.h"
#include "console_session.h"
#include "files.h"
#include "targets.h"

void cmd_console_help(FILE *to) { console_args_help(to); }

/* ---- signals ---- */

static _Atomic(struct muster_run *) console, step; /* what is at work */
static volatile sig_atomic_t over;

/* Ctrl-C is for the line that runs, or the step; the others end the console as well. */
static void on_signal(int signo)
{
    int errnum = errno;
    struct muster_run *run = atomic_load(&step);

    if (signo != SIGINT) {
        over = 1;
        editor_end();
    }
    if (run)
        muster_run_interrupt(run, signo);
    else if (!editor_interrupt() && (run = atomic_load(&console)) != NULL)
        muster_console_cancel(run);
    errno = errnum;
}

static void watch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction act = {.sa_handler = on_signal}; /* without SA_RESTART: a prompt is to return */

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &act, NULL);
}

static void step_running(struct muster_run *run) { atomic_store(&step, run); }

/* ---- the parts ---- */

/* ~/.local/state/muster/console_history; NULL when there is no place for it. */
static const char *history_file(char *path, size_t size)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;

    if (xdg && *xdg == '/')
        n = snprintf(path, size, "%s/muster/console_history", xdg);
    else if (home && *home == '/')
        n = snprintf(path, size, "%s/.local/state/muster/console_history", home);
    else
        return NULL;
    if (n < 0 || (size_t)n >= size)
        return NULL;
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    return path;
}

static int choose_server(struct muster *m, const struct console_args *a)
{
    const char *server = a->server ? a->server : "localhost";
    struct muster_error err;

    for (size_t i = 0; i < a->inventories.n; i++)
        if (muster_inventory_load(m, a->inventories.items[i], &err) < 0)
            return cli_error("console", "%s", err.message);
    int rc = targets_choose(m, "console", &server, 1, NULL, 0);
    if (rc == 0 && targets_count(m) != 1) {
        char *names = targets_fold(m);
        rc = cli_misuse("console", "'%s' are %zu servers; it is for one of %s", server, targets_count(m), names ? names : "");
        free(names);
    }
    return rc;
}

static int run_console(struct session *s)
{
    struct muster_console io = {sizeof io, session_next, s};
    struct muster_run *run = NULL;
    struct muster_error err;

    if (editor_on_terminal(s->editor))
        puts("Lua, with `server` at hand. .help explains, Ctrl-D leaves.");
    if (muster_console_new(s->m, &io, s->run, &run, &err) < 0)
        return cli_error("console", "%s", err.message);
    atomic_store(&console, run);
    watch_signals();
    int rc = muster_run_start(run, &err);
    atomic_store(&console, NULL);
    muster_run_free(run);
    if (rc < 0)
        return cli_error("console", "%s", err.message);
    return s->unfinished ? cli_error("console", "the last chunk is not whole") : CLI_OK;
}

int cmd_console(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct console_args a;
    struct session s = {.run = &a.run, .over = &over, .running = step_running};
    struct muster_error err;
    char library[PATH_MAX], history[PATH_MAX];
    int code = console_args_parse(&a, argc, argv);

    if (code != 0)
        goto out;
    if (a.help) {
        console_args_help(stdout);
        goto out;
    }
    options.level = a.level;
    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(&s.m, &options, &err) < 0 || muster_log_to(s.m, session_log, NULL, &err) < 0)
        code = cli_error("console", "%s", err.message);
    if (code == 0)
        code = choose_server(s.m, &a);
    if (code == 0)
        code = ssh_args_read_secrets(&a.ssh, &a.run, "console", s.m);
    if (code == 0 && !(s.editor = editor_open(session_words, history_file(history, sizeof history))))
        code = cli_error("console", "out of memory");
    if (code == 0)
        code = run_console(&s);
out:
    session_close(&s);
    muster_free(s.m);
    console_args_free(&a);
    return code;
}
