#include "command.h"
#include "compare_say.h"
#include "kept.h"
#include "values.h"

enum { OPT_LEAST = OPT_KEPT_OWN };

static const struct cli_option compare_table[] = {
    {0, "Options", NULL, NULL},
    {OPT_LEAST, "least", "AMOUNT", "a metric that changed by no more than this is the same: a percentage, or a number in its unit "
                                   "(default 5%)"},
    KEPT_DB_OPTIONS,
    KEPT_FORM_OPTIONS,
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_compare_help(FILE *to)
{
    fputs("Usage: muster compare [OPTION...] RUN1 [RUN2]\n"
          "\n"
          "What is different in RUN2: servers that fail now, or do no longer, and metrics\n"
          "that changed by more than the noise: that of the samples of both runs, where\n"
          "there are three or more, else that of the server's earlier runs\n"
          "(docs/results.md). A run is its id, the beginning of one, last, or last~2: two\n"
          "before the last. RUN2 not given: last.\n"
          "Exit code 0: it is shown, whatever changed; 2: it cannot be.\n",
          to);
    cli_options_help(to, compare_table);
    fputs("\n"
          "Examples:\n"
          "  muster compare last~1 last\n"
          "  muster compare 20260131-0905 last --least 2% --csv\n",
          to);
}

static int show(const struct cli_kept *k, const char *first, const char *second, const char *least)
{
    struct muster_compare_options options = MUSTER_COMPARE_OPTIONS_INIT;
    struct muster_compare *c = NULL;
    struct muster_error err;
    int rc = 0;

    options.first = first;
    options.second = second;
    options.least = least;
    if (muster_compare_new(k->kept, &options, &c, &err) < 0)
        return cli_error("compare", "%s", err.message);
    if (k->form == CLI_JSON)
        compare_say_json(c);
    else if (k->form == CLI_CSV)
        compare_say_csv(c);
    else
        rc = compare_say(c, least);
    muster_compare_free(c);
    return rc ? cli_error("compare", "out of memory") : cli_kept_flush(k);
}

int cmd_compare(int argc, char **argv)
{
    struct cli_parser parser;
    struct cli_kept k;
    const char *least = "5%";
    int id, code = CLI_OK;

    cli_kept_start(&k, "compare", 0);
    cli_parser_start(&parser, "compare", compare_table, argc, argv);
    while (code == CLI_OK && (id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        if (id == 'h') {
            cmd_compare_help(stdout);
            return CLI_OK;
        }
        code = id == OPT_LEAST ? cli_value_text("compare", "least", parser.value, &least)
                               : cli_kept_option(&k, id, parser.value);
    }
    int first = cli_parser_operands(&parser);
    if (code == CLI_OK && first >= argc)
        code = cli_misuse("compare", "which runs? Name two, such as last~1 and last");
    else if (code == CLI_OK && first + 2 < argc)
        code = cli_misuse("compare", "'%s' is one word too many: two runs", argv[first + 2]);
    if (code == CLI_OK)
        code = cli_kept_open(&k);
    if (code == CLI_OK)
        code = show(&k, argv[first], first + 1 < argc ? argv[first + 1] : "last", least);
    cli_kept_close(&k);
    return code;
}
