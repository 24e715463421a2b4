#include <stdio.h>

#include "command.h"
#include "muster.h"
#include "options.h"

static const struct cli_option help_table[] = {
    {0, "Options", NULL, NULL},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_help_help(FILE *to)
{
    fputs("Usage: muster help [COMMAND]\n"
          "\n"
          "Print the help of a command, or the list of commands.\n",
          to);
    cli_options_help(to, help_table);
}

void cli_program_help(FILE *to)
{
    fputs("Usage: muster COMMAND [ARGUMENT...]\n"
          "\n"
          "Run a benchmark script against every server of a fleet at once, over SSH, and\n"
          "say which servers failed and why.\n"
          "\n"
          "Commands:\n",
          to);
    for (const struct cli_command *c = cli_commands; c->name; c++)
        fprintf(to, "  %-10s  %s\n", c->name, c->summary);
    fputs("\n"
          "Options:\n"
          "  -h, --help     print this help\n"
          "  -V, --version  print the version\n"
          "\n"
          "Examples:\n"
          "  muster run scripts/cpu.lua web01.example.com\n"
          "  muster run scripts/cpu.lua -i fleet.json -j 200\n"
          "  muster run scripts/cpu.lua --local\n"
          "  muster check scripts/*.lua\n"
          "\n"
          "'muster help COMMAND' explains a command and its options.\n",
          to);
}

int cmd_help(int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    cli_parser_start(&parser, "help", help_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        cmd_help_help(stdout);
        return CLI_OK;
    }
    int first = cli_parser_operands(&parser);
    if (first >= argc) {
        cli_program_help(stdout);
        return CLI_OK;
    }
    if (first + 1 < argc)
        return cli_misuse("help", "one command at a time, please");
    const struct cli_command *c = cli_command_find(argv[first]);
    const char *near = c ? NULL : cli_command_suggest(argv[first]);
    if (near)
        return cli_misuse(NULL, "unknown command '%s' (did you mean %s?)", argv[first], near);
    if (!c)
        return cli_misuse(NULL, "unknown command '%s'", argv[first]);
    c->help(stdout);
    return CLI_OK;
}
