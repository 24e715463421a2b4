#include <stdlib.h>

#include "command.h"
#include "kept.h"
#include "table.h"

#define HEADINGS "RUN|STARTED|SCRIPT|>DURATION|>SERVERS|>PASSED|>FAILED|>UNMEASURED|>OTHER|STATE|>EXIT"

static const struct cli_option runs_table[] = {
    {0, "Options", NULL, NULL},
    KEPT_LAST_OPTION,
    KEPT_SCRIPT_OPTION,
    KEPT_DB_OPTIONS,
    KEPT_FORM_OPTIONS,
    KEPT_CSV_FOR_OPTION,
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_runs_help(FILE *to)
{
    fputs("Usage: muster runs [OPTION...]\n"
          "\n"
          "The runs that were kept, the newest first: when, which script, how many servers\n"
          "passed, failed, could not be measured (error, timeout, unreachable), or were\n"
          "cancelled or skipped (other), and how the run ended.\n"
          "Exit code 0: they are shown, also when there are none; 2: they cannot be.\n",
          to);
    cli_options_help(to, runs_table);
    fputs("\n"
          "Examples:\n"
          "  muster runs --last 5\n"
          "  muster runs --script cpu.lua --json\n"
          "  muster runs --db postgresql://db.example.org/muster\n",
          to);
}

static size_t unmeasured(const struct muster_kept_run *r) { return r->n_error + r->n_timeout + r->n_unreachable; }

static int put_table(const struct muster_runs *runs)
{
    struct muster_kept_run r;
    struct cli_table t;
    char text[32];

    cli_table_start(&t, HEADINGS);
    for (size_t i = 0; muster_runs_get(runs, i, &r) == 0; i++) {
        cli_table_text(&t, r.id);
        cli_time_local(text, r.started_ms);
        cli_table_text(&t, text);
        cli_table_text(&t, r.script);
        cli_duration(text, r.duration_ms);
        cli_table_text(&t, r.exit_code < 0 ? "-" : text);
        cli_table_textf(&t, "%zu", r.n_servers);
        cli_table_textf(&t, "%zu", r.n_passed);
        cli_table_textf(&t, "%zu", r.n_failed);
        cli_table_textf(&t, "%zu", unmeasured(&r));
        cli_table_textf(&t, "%zu", r.n_cancelled + r.n_skipped);
        cli_table_textf(&t, "%s%s", r.state, r.replayed ? ", replay" : "");
        if (r.exit_code < 0)
            cli_table_text(&t, "-");
        else
            cli_table_textf(&t, "%d", r.exit_code);
    }
    int rc = t.n ? cli_table_print(&t, HEADINGS, stdout) : 0;
    if (!t.n)
        puts("No runs.");
    cli_table_free(&t);
    return rc;
}

static void put_json(const struct muster_runs *runs)
{
    struct muster_kept_run r;

    fputs("{\"runs\":[", stdout);
    for (size_t i = 0; muster_runs_get(runs, i, &r) == 0; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        cli_json_run(&r);
    }
    fputs("]}\n", stdout);
}

static void put_counts(const struct muster_kept_run *r, bool first)
{
    cli_csv_number(stdout, (double)r->duration_ms / 1000, first);
    cli_csv_int(stdout, (long long)r->n_servers, false);
    cli_csv_int(stdout, (long long)r->n_passed, false);
    cli_csv_int(stdout, (long long)r->n_failed, false);
    cli_csv_int(stdout, (long long)r->n_error, false);
    cli_csv_int(stdout, (long long)r->n_timeout, false);
    cli_csv_int(stdout, (long long)r->n_unreachable, false);
    cli_csv_int(stdout, (long long)r->n_cancelled, false);
    cli_csv_int(stdout, (long long)r->n_skipped, false);
}

#define COUNTS "duration_s,servers,passed,failed,error,timeout,unreachable,cancelled,skipped"

static void put_csv(const struct muster_runs *runs)
{
    struct muster_kept_run r;
    char text[32];

    puts("run,started,script,script_path,owner,state,exit_code," COUNTS);
    for (size_t i = 0; muster_runs_get(runs, i, &r) == 0; i++) {
        cli_csv_text(stdout, r.id, true);
        cli_time_utc(text, r.started_ms);
        cli_csv_text(stdout, text, false);
        cli_csv_text(stdout, r.script, false);
        cli_csv_text(stdout, r.script_path, false);
        cli_csv_text(stdout, r.owner, false);
        cli_csv_text(stdout, r.state, false);
        if (r.exit_code < 0)
            cli_csv_text(stdout, "", false);
        else
            cli_csv_int(stdout, r.exit_code, false);
        put_counts(&r, false);
        putchar('\n');
    }
}

/* The last run's names and values, for Jenkins' Plot plugin; or a row a run, oldest first, for Otava. */
static void put_csv_for(const struct muster_runs *runs, enum cli_form form)
{
    struct muster_kept_run r;
    size_t n = 0;
    char text[32];

    while (muster_runs_get(runs, n, &r) == 0)
        n++;
    if (form == CLI_CSV_PLOT) {
        puts(COUNTS);
        if (muster_runs_get(runs, 0, &r) == 0) {
            put_counts(&r, true);
            putchar('\n');
        }
        return;
    }
    puts("time,run," COUNTS);
    while (n-- > 0) {
        muster_runs_get(runs, n, &r);
        cli_time_utc(text, r.started_ms);
        cli_csv_text(stdout, text, true);
        cli_csv_text(stdout, r.id, false);
        put_counts(&r, false);
        putchar('\n');
    }
}

static int show(struct cli_kept *k)
{
    struct muster_runs_options options = MUSTER_RUNS_OPTIONS_INIT;
    struct muster_runs *runs = NULL;
    struct muster_error err;
    int code = CLI_OK;

    options.script = k->script;
    options.last = k->last;
    if (muster_runs_new(k->kept, &options, &runs, &err) < 0)
        return cli_error("runs", "%s", err.message);
    if (k->form == CLI_JSON)
        put_json(runs);
    else if (k->form == CLI_CSV)
        put_csv(runs);
    else if (k->form != CLI_TABLE)
        put_csv_for(runs, k->form);
    else if (put_table(runs))
        code = cli_error("runs", "out of memory");
    muster_runs_free(runs);
    return code ? code : cli_kept_flush(k);
}

int cmd_runs(int argc, char **argv)
{
    struct cli_parser parser;
    struct cli_kept k;
    int id, code = CLI_OK;

    cli_kept_start(&k, "runs", 20);
    cli_parser_start(&parser, "runs", runs_table, argc, argv);
    while (code == CLI_OK && (id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        if (id == 'h') {
            cmd_runs_help(stdout);
            return CLI_OK;
        }
        code = cli_kept_option(&k, id, parser.value);
    }
    if (code == CLI_OK && cli_parser_operands(&parser) < argc)
        code = cli_misuse("runs", "'%s' is one word too many", argv[cli_parser_operands(&parser)]);
    if (code == CLI_OK)
        code = cli_kept_open(&k);
    if (code == CLI_OK)
        code = show(&k);
    cli_kept_close(&k);
    return code;
}
