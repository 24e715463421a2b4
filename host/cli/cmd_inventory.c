#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "muster.h"
#include "options.h"
#include "values.h"

enum { OPT_LIST = 256, OPT_HOST, OPT_GRAPH, OPT_TIMEOUT };

static const struct cli_option inventory_table[] = {
    {0, "The inventory", NULL, NULL},
    {'i', "inventory", "WHAT",
     "a file, a folder, a program, or names with commas between them; - is standard input; repeatable"},
    {OPT_TIMEOUT, "inventory-timeout", "DUR", "for one answer of a program (default 30s)"},

    {0, "What is printed", NULL, NULL},
    {OPT_LIST, "list", NULL, "groups, and the variables of all servers, as JSON (default)"},
    {OPT_HOST, "host", "NAME", "the variables of one server, as JSON"},
    {OPT_GRAPH, "graph", NULL, "the tree of groups, from GROUP on"},

    {0, "Other", NULL, NULL},
    {'q', "quiet", NULL, "no warnings, and nothing of what programs say"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_inventory_help(FILE *to)
{
    fputs("Usage: muster inventory -i WHAT [OPTION...]\n"
          "       muster inventory -i WHAT --graph [GROUP]\n"
          "\n"
          "Show what an inventory comes to: groups, servers, and which value of a variable\n"
          "counts, in the forms of ansible-inventory. Passwords are left out.\n"
          "Exit code 0, or 2 when the inventory cannot be read or has no such name.\n",
          to);
    cli_options_help(to, inventory_table);
    fputs("\n"
          "Examples:\n"
          "  muster inventory -i hosts.ini --graph\n"
          "  muster inventory -i production/ --host srv01\n",
          to);
}

struct inventory_args {
    const char **inventories;
    size_t n;
    enum muster_inventory_form form;
    const char *name;
    uint64_t timeout_ms; /* 0: not said */
    bool help, quiet, chosen;
};

static int choose(struct inventory_args *a, enum muster_inventory_form form, const char *name)
{
    if (a->chosen)
        return cli_misuse("inventory", "one of --list, --host and --graph, not two");
    a->chosen = true;
    a->form = form;
    a->name = name;
    return CLI_OK;
}

static int one(struct inventory_args *a, int id, const char *value)
{
    switch (id) {
    case 'i':
        a->inventories[a->n++] = value;
        return CLI_OK;
    case OPT_LIST:
        return choose(a, MUSTER_INVENTORY_LIST, NULL);
    case OPT_HOST:
        return choose(a, MUSTER_INVENTORY_SERVER, value);
    case OPT_GRAPH:
        return choose(a, MUSTER_INVENTORY_GRAPH, NULL);
    case OPT_TIMEOUT:
        return cli_value_duration("inventory", "inventory-timeout", value, &a->timeout_ms);
    case 'q':
        a->quiet = true;
        return CLI_OK;
    default:
        a->help = true;
        return CLI_OK;
    }
}

static int parse(struct inventory_args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id, rc = CLI_OK;

    cli_parser_start(&parser, "inventory", inventory_table, argc, argv);
    while (rc == CLI_OK && !a->help && (id = cli_parser_next(&parser)) != CLI_END)
        rc = id == CLI_BAD ? CLI_USAGE : one(a, id, parser.value);
    if (rc != CLI_OK || a->help)
        return rc;
    int first = cli_parser_operands(&parser);
    if (first < argc && a->form == MUSTER_INVENTORY_GRAPH && first + 1 == argc)
        a->name = argv[first];
    else if (first < argc)
        return cli_misuse("inventory", "'%s': servers and groups are not named here", argv[first]);
    return a->n ? CLI_OK : cli_misuse("inventory", "no inventory given (-i)");
}

static int show(struct muster *m, const struct inventory_args *a)
{
    struct muster_error err;
    char *text = NULL;

    if (a->timeout_ms)
        muster_inventory_set_timeout(m, a->timeout_ms);
    for (size_t i = 0; i < a->n; i++)
        if (muster_inventory_load(m, a->inventories[i], &err) < 0)
            return cli_error("inventory", "%s", err.message);
    if (muster_inventory_show(m, a->form, a->name, &text, &err) < 0)
        return cli_error("inventory", "%s", err.message);
    fputs(text, stdout);
    free(text);
    return fflush(stdout) == 0 ? CLI_OK : cli_error("inventory", "cannot write to standard output");
}

int cmd_inventory(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct inventory_args a = {.inventories = calloc((size_t)argc + 1, sizeof *a.inventories)};
    struct muster *m = NULL;
    struct muster_error err;
    int code = a.inventories ? parse(&a, argc, argv) : cli_error("inventory", "out of memory");

    if (code != CLI_OK)
        goto out;
    if (a.help) {
        cmd_inventory_help(stdout);
        goto out;
    }
    options.level = a.quiet ? MUSTER_ERROR : MUSTER_INFO;
    if (muster_new(&m, &options, &err) < 0 ||
        muster_log_to_fd(m, STDERR_FILENO, MUSTER_LOG_CONSOLE, false, &err) < 0)
        code = cli_error("inventory", "%s", err.message);
    else
        code = show(m, &a);
out:
    muster_free(m);
    free(a.inventories);
    return code;
}
