#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "muster.h"
#include "options.h"
#include "run_args.h"
#include "values.h"

/* Reports are options numbered by their kind. */
enum { OPT_REPORT = 256, OPT_DB = OPT_REPORT + RUN_REPORTS, OPT_STATE_DIR };

static const struct cli_option report_table[] = {
    {0, "Reports; - is standard output", NULL, NULL},
    {OPT_REPORT + MUSTER_REPORT_HTML, "html", "FILE", "one HTML page, complete in itself, with the script's former runs"},
    {OPT_REPORT + MUSTER_REPORT_JUNIT, "junit", "FILE", "JUnit XML"},
    {OPT_REPORT + MUSTER_REPORT_JSON, "json", "FILE", "JSON"},
    {OPT_REPORT + MUSTER_REPORT_OPENMETRICS, "openmetrics", "FILE", "metrics for Prometheus"},
    {OPT_REPORT + MUSTER_REPORT_OTLP, "otel-jsonl", "FILE", "metrics of OpenTelemetry (OTLP, JSON lines)"},

    {0, "Other", NULL, NULL},
    {OPT_DB, "db", "FILE", "where runs are kept (default: results.db in --state-dir)"},
    {OPT_STATE_DIR, "state-dir", "DIR", "default: $XDG_STATE_HOME/muster, else ~/.local/state/muster"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

struct report_args {
    bool help;
    const char *run, *db, *state_dir;
    const char *reports[RUN_REPORTS];
};

void cmd_report_help(FILE *to)
{
    fputs("Usage: muster report [OPTION...] [RUN]\n"
          "\n"
          "Write reports of a run that was kept. RUN is its id, or the beginning of it;\n"
          "\"last\", also when none is given, is the last run of any script, \"last~1\" the one before.\n"
          "Exit code 0: written; 2: there is no such run, or it could not be written.\n",
          to);
    cli_options_help(to, report_table);
    fputs("\n"
          "Examples:\n"
          "  muster report --html last.html\n"
          "  muster report 20261122T2237 --html run.html --json run.json\n",
          to);
}

static int one(struct report_args *a, int id, const char *value)
{
    if (id == OPT_DB)
        return cli_value_text("report", "db", value, &a->db);
    if (id == OPT_STATE_DIR)
        return cli_value_text("report", "state-dir", value, &a->state_dir);
    return cli_value_text("report", run_report_names[id - OPT_REPORT], value, &a->reports[id - OPT_REPORT]);
}

static int check(const struct report_args *a)
{
    size_t n = 0;

    for (size_t i = 0; i < RUN_REPORTS; i++) {
        n += a->reports[i] != NULL;
        for (size_t k = 0; k < i && a->reports[i]; k++)
            if (a->reports[k] && strcmp(a->reports[i], a->reports[k]) == 0)
                return cli_misuse("report", "--%s and --%s would both write to %s", run_report_names[i], run_report_names[k],
                                  a->reports[i]);
    }
    return n ? 0 : cli_misuse("report", "no report is asked for: --html FILE");
}

static int parse(struct report_args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    *a = (struct report_args){.help = false};
    cli_parser_start(&parser, "report", report_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        a->help = id == 'h';
        if (a->help)
            return 0;
        if (one(a, id, parser.value) != 0)
            return CLI_USAGE;
    }
    int first = cli_parser_operands(&parser);
    if (argc - first > 1)
        return cli_misuse("report", "one run at a time");
    a->run = first < argc && strcmp(argv[first], "last") != 0 ? argv[first] : NULL;
    return check(a);
}

static int write_all(struct muster_stored *stored, const struct report_args *a)
{
    struct muster_error err;
    int code = 0;

    for (size_t i = 0; i < RUN_REPORTS; i++)
        if (a->reports[i] && muster_stored_report(stored, (enum muster_report)i, a->reports[i], &err) < 0)
            code = cli_error("report", "%s", err.message);
    return code;
}

static int report(const struct report_args *a, const char *db)
{
    const struct muster_options silent = {.size = sizeof silent, .level = MUSTER_LOG_OFF};
    struct muster_stored_options options = MUSTER_STORED_OPTIONS_INIT;
    struct muster_stored *stored = NULL;
    struct muster *m = NULL;
    struct muster_error err;
    int code = 0;

    options.db = db;
    options.run = a->run;
    if (muster_new(&m, &silent, &err) < 0 || muster_stored_open(m, &options, &stored, &err) < 0)
        code = cli_error("report", "%s", err.message);
    else
        code = write_all(stored, a);
    muster_stored_free(stored);
    muster_free(m);
    return code;
}

int cmd_report(int argc, char **argv)
{
    struct report_args a;
    struct muster_error err;
    char *path = NULL;
    int code = parse(&a, argc, argv);

    if (code == 0 && a.help)
        cmd_report_help(stdout);
    else if (code == 0 && !a.db && !(path = muster_db_path(a.state_dir, false, &err)))
        code = cli_error("report", "%s", err.message);
    else if (code == 0)
        code = report(&a, a.db ? a.db : path);
    free(path);
    return code;
}
