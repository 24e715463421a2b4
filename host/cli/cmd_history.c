#include "command.h"
#include "history_say.h"
#include "kept.h"

static const struct cli_option history_table[] = {
    {0, "Options", NULL, NULL},
    KEPT_LAST_OPTION,
    KEPT_SCRIPT_OPTION,
    KEPT_DB_OPTIONS,
    KEPT_FORM_OPTIONS,
    KEPT_CSV_FOR_OPTION,
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_history_help(FILE *to)
{
    fputs("Usage: muster history [OPTION...] SERVER [METRIC]\n"
          "\n"
          "How a server did in the runs that were kept, the oldest first: its status in\n"
          "each, and of each metric the last value, the median, how far values spread (MAD,\n"
          "the median absolute deviation), and their course. METRIC, cpu.score or score:\n"
          "that one alone, run by run.\n"
          "Exit code 0: it is shown; 2: there is nothing to show, or it cannot be.\n",
          to);
    cli_options_help(to, history_table);
    fputs("\n"
          "Examples:\n"
          "  muster history srv01\n"
          "  muster history srv01 cpu.score --last 50\n"
          "  muster history srv01 --csv-for plot >srv01.csv\n",
          to);
}

static int show(const struct cli_kept *k, const char *server, const char *metric)
{
    struct muster_past_options options = MUSTER_PAST_OPTIONS_INIT;
    struct muster_past *past = NULL;
    struct muster_error err;

    options.server = server;
    options.metric = metric;
    options.script = k->script;
    options.last = k->last;
    if (muster_past_new(k->kept, &options, &past, &err) < 0)
        return cli_error("history", "%s", err.message);
    int rc = k->form == CLI_TABLE ? history_say(past, server, metric) : history_say_as(past, server, k->form);
    muster_past_free(past);
    return rc ? cli_error("history", "out of memory") : cli_kept_flush(k);
}

int cmd_history(int argc, char **argv)
{
    struct cli_parser parser;
    struct cli_kept k;
    int id, code = CLI_OK;

    cli_kept_start(&k, "history", 20);
    cli_parser_start(&parser, "history", history_table, argc, argv);
    while (code == CLI_OK && (id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        if (id == 'h') {
            cmd_history_help(stdout);
            return CLI_OK;
        }
        code = cli_kept_option(&k, id, parser.value);
    }
    int first = cli_parser_operands(&parser);
    if (code == CLI_OK && first >= argc)
        code = cli_misuse("history", "which server? Name one");
    else if (code == CLI_OK && first + 2 < argc)
        code = cli_misuse("history", "'%s' is one word too many: a server, and a metric", argv[first + 2]);
    if (code == CLI_OK)
        code = cli_kept_open(&k);
    if (code == CLI_OK)
        code = show(&k, argv[first], first + 1 < argc ? argv[first + 1] : NULL);
    cli_kept_close(&k);
    return code;
}
