#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "muster.h"
#include "options.h"
#include "values.h"

enum { OPT_HTML = 256, OPT_JUNIT, OPT_JSON, OPT_DB, OPT_STATE_DIR };

static const struct cli_option report_table[] = {
    {0, "Reports; - is standard output", NULL, NULL},
    {OPT_HTML, "html", "FILE", "one HTML page, complete in itself"},
    {OPT_JUNIT, "junit", "FILE", "JUnit XML"},
    {OPT_JSON, "json", "FILE", "JSON"},

    {0, "Other", NULL, NULL},
    {OPT_DB, "db", "FILE", "where runs are kept (default: results.db in --state-dir)"},
    {OPT_STATE_DIR, "state-dir", "DIR", "default: $XDG_STATE_HOME/muster, else ~/.local/state/muster"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

struct report_args {
    bool help;
    const char *run, *html, *junit, *json, *db, *state_dir;
};

void cmd_report_help(FILE *to)
{
    fputs("Usage: muster report [OPTION...] [RUN]\n"
          "\n"
          "Write reports of a run that was kept. RUN is its id, or the beginning of it;\n"
          "\"last\", also when none is given, is the last run of any script.\n"
          "Exit code 0: written; 2: there is no such run, or it could not be written.\n",
          to);
    cli_options_help(to, report_table);
    fputs("\n"
          "Examples:\n"
          "  muster report --html last.html\n"
          "  muster report 20261122T2237 --html run.html --json run.json\n",
          to);
}

static bool is_same(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

static int parse(struct report_args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    *a = (struct report_args){.help = false};
    cli_parser_start(&parser, "report", report_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        const char **const places[] = {&a->html, &a->junit, &a->json, &a->db, &a->state_dir};
        if (id == CLI_BAD)
            return CLI_USAGE;
        a->help = a->help || id == 'h';
        if (a->help)
            return 0;
        const char *name = NULL;
        for (const struct cli_option *o = report_table; o->id || o->name; o++)
            name = o->id == id ? o->name : name;
        if (cli_value_text("report", name, parser.value, places[id - OPT_HTML]) != 0)
            return CLI_USAGE;
    }
    int first = cli_parser_operands(&parser);
    if (argc - first > 1)
        return cli_misuse("report", "one run at a time");
    if (!a->html && !a->junit && !a->json)
        return cli_misuse("report", "no report is asked for: name a file with --html, --junit or --json");
    if (is_same(a->html, a->junit) || is_same(a->html, a->json) || is_same(a->junit, a->json))
        return cli_misuse("report", "two reports would both write to %s", a->html && !is_same(a->junit, a->json) ? a->html : a->junit);
    a->run = first < argc && strcmp(argv[first], "last") != 0 ? argv[first] : NULL;
    return 0;
}

static int write_all(struct muster_stored *stored, const struct report_args *a)
{
    const struct {
        enum muster_report kind;
        const char *path;
    } reports[] = {{MUSTER_REPORT_HTML, a->html}, {MUSTER_REPORT_JUNIT, a->junit}, {MUSTER_REPORT_JSON, a->json}};
    struct muster_error err;
    int code = 0;

    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++)
        if (reports[i].path && muster_stored_report(stored, reports[i].kind, reports[i].path, &err) < 0)
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
