#include "progress.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "progress_line.h"
#include "terminal.h"

#define REDRAW_MS 200
#define INTERVAL_MS 60000
#define NEVER_MS ((uint64_t)366 * 24 * 3600 * 1000)
#define LINES_MAX 50
#define HINT "i: who is where"

static struct {
    struct muster *m;
    bool status, lines;
    enum muster_level level;
} shown;
static atomic_bool asked;
static _Atomic(struct muster_run *) current;
static struct sigaction former_usr1;

static void on_usr1(int signo)
{
    int errnum = errno;
    struct muster_run *run = atomic_load(&current);

    (void)signo;
    atomic_store(&asked, true);
    if (run)
        muster_run_ask_progress(run);
    errno = errnum;
}

/* Line by line, so that the log's form holds for each. */
static void say_where(struct muster_run *run)
{
    const char *text = muster_run_at_work(run, LINES_MAX);
    enum muster_level level = shown.level > MUSTER_INFO ? shown.level : MUSTER_INFO;

    while (*text) {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);
        if (line)
            muster_log(shown.m, level, line);
        free(line);
        text += n + (text[n] == '\n');
    }
}

static void show_status(const struct muster_progress *p)
{
    char line[256];

    if (!terminal_is_ours()) {
        muster_log_status(shown.m, NULL);
        return;
    }
    if (terminal_was_stopped())
        muster_log_status(shown.m, NULL); /* it is not there any more: to be written anew, also if it is the same */
    progress_line_status(line, sizeof line, p, terminal_width(), terminal_reads_keys() ? HINT : NULL);
    muster_log_status(shown.m, line);
}

static void on_progress(void *arg, struct muster_run *run, const struct muster_progress *p)
{
    bool where = atomic_exchange(&asked, false), only_asked = where;
    int key;

    (void)arg;
    for (int i = 0; i < 16 && (key = terminal_key()) != 0; i++)
        where = where || key == 'i' || key == 's';
    if (where)
        say_where(run);
    if (shown.status) {
        show_status(p);
    } else if (shown.lines && !only_asked) {
        char line[256];
        progress_line_log(line, sizeof line, p);
        muster_log(shown.m, MUSTER_INFO, line);
    }
}

static bool has_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void progress_prepare(struct muster_run_options *run, const struct progress_options *options)
{
    bool some = options->when == CLI_PROGRESS_ALWAYS || (options->when == CLI_PROGRESS_AUTO && !options->quiet);

    shown.status = some && (options->when == CLI_PROGRESS_ALWAYS || has_terminal());
    shown.lines = some && !shown.status;
    shown.level = options->level;
    run->on_progress = on_progress;
    run->progress_every_ms = shown.status  ? REDRAW_MS
                             : shown.lines ? (options->interval_ms ? options->interval_ms : INTERVAL_MS)
                                           : NEVER_MS;
}

void progress_begin(struct muster *m, struct muster_run *run)
{
    struct sigaction act = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};

    shown.m = m;
    atomic_store(&asked, false);
    atomic_store(&current, run);
    sigaction(SIGUSR1, &act, &former_usr1);
    if (shown.status)
        terminal_begin(true, true);
}

void progress_end(void)
{
    if (shown.status) {
        muster_log_status(shown.m, NULL);
        terminal_end();
    }
    sigaction(SIGUSR1, &former_usr1, NULL);
    atomic_store(&current, NULL);
}
