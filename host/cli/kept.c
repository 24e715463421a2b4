#include "kept.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "files.h"
#include "json.h"
#include "values.h"

void cli_kept_start(struct cli_kept *k, const char *command, unsigned last)
{
    *k = (struct cli_kept){.command = command, .last = last};
}

int cli_kept_option(struct cli_kept *k, int id, const char *value)
{
    static const char *const programs[] = {"plot", "otava", NULL};
    enum cli_form form = CLI_TABLE;
    int which = 0;

    switch (id) {
    case OPT_KEPT_DB:
        return cli_value_text(k->command, "db", value, &k->db);
    case OPT_KEPT_STATE_DIR:
        return cli_value_text(k->command, "state-dir", value, &k->state_dir);
    case OPT_KEPT_SCRIPT:
        return cli_value_text(k->command, "script", value, &k->script);
    case OPT_KEPT_LAST:
        if (!strcmp(value, "0")) {
            k->last = 0;
            return CLI_OK;
        }
        return cli_value_number(k->command, "last", value, INT_MAX, &k->last);
    case OPT_KEPT_JSON:
        form = CLI_JSON;
        break;
    case OPT_KEPT_CSV:
        form = CLI_CSV;
        break;
    default:
        if (cli_value_choice(k->command, "csv-for", value, programs, &which))
            return CLI_USAGE;
        form = which == 0 ? CLI_CSV_PLOT : CLI_CSV_OTAVA;
        break;
    }
    if (k->form != CLI_TABLE && k->form != form)
        return cli_misuse(k->command, "one form at a time: --json, --csv or --csv-for");
    k->form = form;
    return CLI_OK;
}

int cli_kept_open(struct cli_kept *k)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_error err;
    char *path = NULL;
    int code = CLI_OK;

    options.level = MUSTER_WARNING;
    if (muster_new(&k->m, &options, &err) < 0 ||
        muster_log_to_fd(k->m, STDERR_FILENO, MUSTER_LOG_CONSOLE, false, &err) < 0 ||
        (!k->db && !(path = muster_db_path(k->state_dir, false, &err))) ||
        muster_kept_open(k->m, k->db ? k->db : path, &k->kept, &err) < 0)
        code = cli_error(k->command, "%s", err.message);
    free(path);
    return code;
}

void cli_kept_close(struct cli_kept *k)
{
    muster_kept_free(k->kept);
    muster_free(k->m);
    k->kept = NULL;
    k->m = NULL;
}

int cli_kept_flush(const struct cli_kept *k)
{
    return fflush(stdout) || ferror(stdout) ? cli_error(k->command, "cannot write to standard output") : CLI_OK;
}

/* ---- times ---- */

void cli_time_local(char text[32], int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (!localtime_r(&seconds, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M", &tm))
        snprintf(text, 32, "?");
}

void cli_time_utc(char text[32], int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(text, 32, "?");
}

void cli_duration(char text[32], uint64_t ms)
{
    uint64_t s = ms / 1000;

    if (s < 60)
        snprintf(text, 32, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
    else if (s < 3600)
        snprintf(text, 32, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else
        snprintf(text, 32, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
}

/* ---- JSON ---- */

static void put_name(const char *name, bool first) { printf("%s\"%s\":", first ? "" : ",", name); }

void cli_json_text_member(const char *name, const char *value, bool first)
{
    put_name(name, first);
    cli_json_string(stdout, value);
}

void cli_json_number_member(const char *name, double v, bool first)
{
    put_name(name, first);
    cli_json_number(stdout, v);
}

void cli_json_int_member(const char *name, long long v, bool first)
{
    put_name(name, first);
    printf("%lld", v);
}

void cli_json_bool_member(const char *name, bool v, bool first)
{
    put_name(name, first);
    fputs(v ? "true" : "false", stdout);
}

void cli_json_run(const struct muster_kept_run *run)
{
    char text[32];

    putchar('{');
    cli_json_text_member("run", run->id, true);
    cli_json_text_member("script", run->script, false);
    cli_json_text_member("script_path", run->script_path, false);
    cli_json_text_member("description", *run->description ? run->description : NULL, false);
    cli_json_text_member("state", run->state, false);
    cli_json_text_member("owner", run->owner, false);
    cli_json_text_member("version", run->version, false);
    cli_time_utc(text, run->started_ms);
    cli_json_text_member("started", text, false);
    cli_time_utc(text, run->ended_ms);
    cli_json_text_member("ended", run->ended_ms ? text : NULL, false);
    cli_json_number_member("duration_s", (double)run->duration_ms / 1000, false);
    if (run->exit_code < 0)
        fputs(",\"exit_code\":null", stdout);
    else
        cli_json_int_member("exit_code", run->exit_code, false);
    cli_json_bool_member("replayed", run->replayed, false);
    cli_json_int_member("resumed", run->resumed, false);
    printf(",\"servers\":{\"total\":%zu,\"passed\":%zu,\"failed\":%zu,\"error\":%zu,\"timeout\":%zu,\"unreachable\":%zu,"
           "\"cancelled\":%zu,\"skipped\":%zu}}",
           run->n_servers, run->n_passed, run->n_failed, run->n_error, run->n_timeout, run->n_unreachable, run->n_cancelled,
           run->n_skipped);
}
