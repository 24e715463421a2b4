#include <limits.h>
#include <stdio.h>

#include "command.h"
#include "files.h"
#include "muster.h"
#include "options.h"
#include "values.h"

#define CLI_FAILED 1

enum { OPT_FILTER = 256, OPT_LIST, OPT_SHUFFLE };

static const struct cli_option test_table[] = {
    {0, "Options", NULL, NULL},
    {OPT_FILTER, "filter", "PATTERN", "only tests whose name matches this Lua pattern"},
    {OPT_LIST, "list", NULL, "print the names of the tests, and run none"},
    {OPT_SHUFFLE, "shuffle", NULL, "run them in random order"},
    {'o', "output", "FORM", "busted's output: utfTerminal, plainTerminal, TAP, junit, json (default: by terminal)"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_test_help(FILE *to)
{
    fputs("Usage: muster test [OPTION...] [FILE|DIR...]\n"
          "\n"
          "Run tests of scripts with busted (Debian: lua-busted), inside muster. None\n"
          "given: *_spec.lua here, and under spec and scripts. In a spec the module\n"
          "muster.testing runs a script as `muster run` does, against a stand-in:\n"
          "\n"
          "  local testing = require \"muster.testing\"\n"
          "  local script = testing.load \"cpu.lua\"\n"
          "  it(\"passes\", function()\n"
          "    local server = testing.server { [\"sysbench cpu*\"] = \"its output\" }\n"
          "    local result = script:run(server)\n"
          "    assert.equals(\"passed\", result.status, result.reason)\n"
          "  end)\n"
          "\n"
          "Exit code 0: all passed; 1: some did not; 2: usage, or there was no test.\n",
          to);
    cli_options_help(to, test_table);
    fputs("\n"
          "Examples:\n"
          "  muster test\n"
          "  muster test cpu_spec.lua --filter 'too slow'\n",
          to);
}

/* -1: go on. */
static int parse(struct muster_test_options *o, int argc, char **argv)
{
    struct cli_parser parser;
    int id, rc = 0;

    cli_parser_start(&parser, "test", test_table, argc, argv);
    while (rc == 0 && (id = cli_parser_next(&parser)) != CLI_END) {
        switch (id) {
        case 'h':
            cmd_test_help(stdout);
            return CLI_OK;
        case OPT_FILTER:
            rc = cli_value_text("test", "filter", parser.value, &o->filter);
            break;
        case 'o':
            rc = cli_value_text("test", "output", parser.value, &o->output);
            break;
        case OPT_LIST:
            o->list = true;
            break;
        case OPT_SHUFFLE:
            o->shuffle = true;
            break;
        default:
            rc = CLI_USAGE;
        }
    }
    o->paths = (const char *const *)argv + cli_parser_operands(&parser); /* argv ends with NULL */
    return rc ? rc : -1;
}

int cmd_test(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_test_options test = MUSTER_TEST_OPTIONS_INIT;
    struct muster *m = NULL;
    struct muster_error err;
    char library[PATH_MAX];
    bool passed = false;
    int code = parse(&test, argc, argv);

    if (code >= 0)
        return code;
    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(&m, &options, &err) < 0 || muster_test(m, &test, &passed, &err) < 0)
        code = cli_error("test", "%s", err.message);
    else
        code = passed ? CLI_OK : CLI_FAILED;
    muster_free(m);
    return code;
}
