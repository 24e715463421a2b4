#include "console_args.h"

#include "command.h"
#include "options.h"
#include "values.h"

enum { OPT_LOCAL = 256 };

static const struct cli_option console_table[] = {
    {0, "The server", NULL, NULL},
    {'i', "inventory", "FILE", "look the server up in FILE; repeatable"},
    {OPT_LOCAL, "local", NULL, "this machine, without SSH"},

    {0, "SSH, as for muster run", NULL, NULL},
    CLI_SSH_OPTIONS,

    {0, "Other", NULL, NULL},
    {'v', "verbose", NULL, "log more; -vv: all"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void console_args_help(FILE *to)
{
    fputs("Usage: muster console [OPTION...] SERVER\n"
          "       muster console [OPTION...] --local\n"
          "\n"
          "Lua line by line, with one server at hand: `server` is connected, and a line is\n"
          "run as in a script's step. What it returns is shown. Lines are edited and kept\n"
          "(~/.editrc; history in ~/.local/state/muster); Tab completes; a chunk that is\n"
          "not whole goes on in the next line; Ctrl-C cancels what runs, Ctrl-D leaves.\n"
          "Lines that begin with a dot are commands: .help lists them.\n",
          to);
    cli_options_help(to, console_table);
    fputs("\n"
          "Examples:\n"
          "  muster console ops@10.0.0.5\n"
          "  > server:exec \"uptime\"\n"
          "  > .load scripts/cpu.lua\n"
          "  > .step cpu seconds=1\n",
          to);
}

static int one(struct console_args *a, int id, const char *v, int argc)
{
    int rc = ssh_args_one(&a->ssh, &a->run, "console", id, v, argc);

    if (rc != SSH_ARGS_OTHER)
        return rc;
    switch (id) {
    case 'h':
        a->help = true;
        return 0;
    case 'i':
        return cli_list_add("console", &a->inventories, v, argc);
    case OPT_LOCAL:
        a->run.local = true;
        return 0;
    case 'v':
        a->level = a->level == MUSTER_INFO ? MUSTER_DEBUG : MUSTER_TRACE;
        return 0;
    default:
        return cli_misuse("console", "option %d is not handled", id);
    }
}

int console_args_parse(struct console_args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    *a = (struct console_args){.run = MUSTER_RUN_OPTIONS_INIT, .level = MUSTER_INFO};
    cli_parser_start(&parser, "console", console_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD || one(a, id, parser.value, argc) != 0)
            return CLI_USAGE;
        if (a->help)
            return 0;
    }
    int first = cli_parser_operands(&parser);
    if (ssh_args_together(&a->ssh, &a->run, "console") != 0)
        return CLI_USAGE;
    if (argc - first > 1)
        return cli_misuse("console", "one server at a time");
    if (first == argc && !a->run.local)
        return cli_misuse("console", "no server: name one, or use --local");
    a->server = first < argc ? argv[first] : NULL;
    return 0;
}

void console_args_free(struct console_args *a)
{
    cli_list_free(&a->inventories);
    ssh_args_free(&a->ssh);
}
