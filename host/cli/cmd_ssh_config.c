#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "sinks.h"
#include "ssh_args.h"
#include "targets.h"
#include "values.h"

static const struct cli_option table[] = {
    {0, "The servers", NULL, NULL},
    {'i', "inventory", "FILE", "look them up in FILE; repeatable"},

    {0, "SSH, as for muster run", NULL, NULL},
    CLI_SSH_OPTIONS,

    {0, "Other", NULL, NULL},
    {'v', "verbose", NULL, "also say what of ssh_config is passed over"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

struct args {
    bool help;
    struct str_list inventories;
    struct ssh_args ssh;
    struct muster_run_options run;
    enum muster_level level;
};

void cmd_ssh_config_help(FILE *to)
{
    fputs("Usage: muster ssh-config [OPTION...] SERVER...\n"
          "       muster ssh-config [OPTION...] -i FILE\n"
          "\n"
          "Show how servers are reached: what the inventory, these options and ssh_config\n"
          "say together, in the words of `ssh -G`. Nothing is connected, but commands of\n"
          "Match lines are run. What is not shown is as it always is.\n",
          to);
    cli_options_help(to, table);
    fputs("\n"
          "Example:\n"
          "  muster ssh-config web01\n",
          to);
}

static int one(struct args *a, int id, const char *v, int argc)
{
    int rc = ssh_args_one(&a->ssh, &a->run, "ssh-config", id, v, argc);

    if (rc != SSH_ARGS_OTHER)
        return rc;
    switch (id) {
    case 'h':
        a->help = true;
        return 0;
    case 'i':
        return cli_list_add("ssh-config", &a->inventories, v, argc);
    case 'v':
        a->level = MUSTER_DEBUG;
        return 0;
    default:
        return cli_misuse("ssh-config", "option %d is not handled", id);
    }
}

static int parse(struct args *a, int argc, char **argv, int *first)
{
    struct cli_parser parser;
    int id;

    cli_parser_start(&parser, "ssh-config", table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD || one(a, id, parser.value, argc) != 0)
            return CLI_USAGE;
        if (a->help)
            return 0;
    }
    *first = cli_parser_operands(&parser);
    if (*first == argc && !a->inventories.n)
        return cli_misuse("ssh-config", "no server: name one, or an inventory with -i");
    return ssh_args_together(&a->ssh, &a->run, "ssh-config");
}

struct telling {
    size_t n;
    int code;
};

/* text is escaped already. */
static void tell(void *arg, const char *id, const char *text, const struct muster_error *err)
{
    struct telling *t = arg;

    if (!text) {
        t->code = cli_error("ssh-config", "%s: %s", id, err->message);
        return;
    }
    printf("%shost ", t->n++ ? "\n" : "");
    cli_put_escaped(stdout, id);
    printf("\n%s", text);
}

int cmd_ssh_config(int argc, char **argv)
{
    struct args a = {.run = MUSTER_RUN_OPTIONS_INIT, .level = MUSTER_INFO};
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct telling telling = {0};
    struct muster *m = NULL;
    struct muster_error err;
    int first = 0, code = parse(&a, argc, argv, &first);

    if (code != 0)
        goto out;
    if (a.help) {
        cmd_ssh_config_help(stdout);
        goto out;
    }
    options.level = a.level;
    if (muster_new(&m, &options, &err) < 0 || muster_log_to_fd(m, STDERR_FILENO, MUSTER_LOG_CONSOLE, cli_colored(CLI_COLOR_AUTO, STDERR_FILENO), &err) < 0)
        code = cli_error("ssh-config", "%s", err.message);
    for (size_t i = 0; code == 0 && i < a.inventories.n; i++)
        if (muster_inventory_load(m, a.inventories.items[i], &err) < 0)
            code = cli_error("ssh-config", "%s", err.message);
    if (code == 0)
        code = targets_choose(m, "ssh-config", (const char *const *)argv + first, (size_t)(argc - first), NULL, 0);
    if (code == 0 && muster_ssh_options(m, &a.run, tell, &telling, &err) < 0)
        code = cli_error("ssh-config", "%s", err.message);
    code = code ? code : telling.code;
out:
    muster_free(m);
    cli_list_free(&a.inventories);
    ssh_args_free(&a.ssh);
    return code;
}
