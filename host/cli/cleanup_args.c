#include "cleanup_args.h"

#include "command.h"
#include "options.h"
#include "values.h"

enum { OPT_STATE_DIR = 256, OPT_JOURNAL, OPT_LIST, OPT_SCRIPT, OPT_TEARDOWN_TIMEOUT, OPT_GRACE };

static const struct cli_option cleanup_table[] = {
    {0, "What to clean up", NULL, NULL},
    {OPT_LIST, "list", NULL, "say what was left behind, and change nothing"},
    {OPT_STATE_DIR, "state-dir", "DIR",
     "where the runs kept their journals (default: $XDG_STATE_HOME/muster, else ~/.local/state/muster)"},
    {OPT_JOURNAL, "journal", "FILE", "clean up after this run only; repeatable"},
    {OPT_SCRIPT, "script", "FILE", "use this script, where the one that ran is not there any more"},

    {0, "How", NULL, NULL},
    {'j', "forks", "N", "servers in flight at once (default 50)"},
    {OPT_TEARDOWN_TIMEOUT, "teardown-timeout", "DUR",
     "for the script's teardown on one server (default: what the script says, else 60s)"},
    {OPT_GRACE, "grace", "DUR", "for teardowns after an interrupt (default 15s)"},

    {0, "SSH, as for muster run (default: as in the run of then, but for secrets)", NULL, NULL},
    CLI_SSH_OPTIONS,

    {0, "Agents (docs/agents.md)", NULL, NULL},
    {OPT_NATS, "nats", "URL", "let the agents do it that take work from NATS there, as for a run of theirs"},
    CLI_NATS_OPTIONS,

    {0, "Log (on standard error)", NULL, NULL},
    CLI_LOG_OPTIONS,

    {0, "Other", NULL, NULL},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cleanup_args_help(FILE *to)
{
    fputs("Usage: muster cleanup [OPTION...]\n"
          "\n"
          "Destroy what earlier runs installed and did not destroy, since they were killed\n"
          "or their teardown failed. Scripts note in a journal what they are about to install; for\n"
          "each server that is still noted there, and whose run is not at work any more, the\n"
          "script's teardown is run, with the parameters and in the name of that run.\n",
          to);
    cli_options_help(to, cleanup_table);
    fputs("\n"
          "Exit code:\n"
          "  0         nothing is left behind (any more)\n"
          "  4         something is still left behind, see the summary\n"
          "  130, 143  interrupted: by SIGINT; by SIGTERM or SIGHUP\n"
          "  2         usage: nothing was done\n"
          "\n"
          "Examples:\n"
          "  muster cleanup --list\n"
          "  muster cleanup\n"
          "  muster cleanup --script scripts/burnin.lua --journal JOURNAL\n",
          to);
}

static int one(struct cleanup_args *a, int id, const char *v, int argc)
{
    int rc = ssh_args_one(&a->ssh, &a->run, "cleanup", id, v, argc);

    if (rc == SSH_ARGS_OTHER)
        rc = nats_args_one(&a->nats, "cleanup", id, v);
    if (rc == NATS_ARGS_OTHER)
        rc = log_args_one(&a->log, "cleanup", id, v);
    if (rc != LOG_ARGS_OTHER)
        return rc;
    switch (id) {
    case 'h':
        a->help = true;
        return 0;
    case OPT_LIST:
        a->list = true;
        return 0;
    case OPT_STATE_DIR:
        return cli_value_text("cleanup", "state-dir", v, &a->state_dir);
    case OPT_JOURNAL:
        rc = cli_list_add("cleanup", &a->journals, v, argc);
        return rc ? rc : cli_value_text("cleanup", "journal", v, &v);
    case OPT_SCRIPT:
        return cli_value_text("cleanup", "script", v, &a->script);
    case 'j':
        return cli_value_number("cleanup", "forks", v, 1000000, &a->run.forks);
    case OPT_TEARDOWN_TIMEOUT:
        return cli_value_duration("cleanup", "teardown-timeout", v, &a->run.teardown_timeout_ms);
    case OPT_GRACE:
        return cli_value_duration("cleanup", "grace", v, &a->run.grace_ms);
    default:
        return cli_misuse("cleanup", "option %d is not handled", id);
    }
}

int cleanup_args_parse(struct cleanup_args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    *a = (struct cleanup_args){.run = MUSTER_RUN_OPTIONS_INIT};
    nats_args_start(&a->nats);
    log_args_start(&a->log);
    cli_parser_start(&parser, "cleanup", cleanup_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD || one(a, id, parser.value, argc) != 0)
            return CLI_USAGE;
        if (a->help)
            return 0;
    }
    if (cli_parser_operands(&parser) < argc)
        return cli_misuse("cleanup", "'%s': it takes no servers, what was left behind is in the journals",
                          argv[cli_parser_operands(&parser)]);
    if (ssh_args_together(&a->ssh, &a->run, "cleanup") != 0 || nats_args_together(&a->nats, "cleanup", false) != 0)
        return CLI_USAGE;
    a->run.nats = a->nats.options.urls ? &a->nats.options : NULL;
    if (a->run.nats && a->ssh.first)
        return cli_misuse("cleanup", "--%s is the agents' own with --nats: give it to `muster agent`", a->ssh.first);
    if (a->journals.n && a->state_dir)
        return cli_misuse("cleanup", "--journal and --state-dir exclude each other");
    if (log_args_together(&a->log, "cleanup") != 0)
        return CLI_USAGE;
    return 0;
}

void cleanup_args_free(struct cleanup_args *a)
{
    cli_list_free(&a->journals);
    ssh_args_free(&a->ssh);
    nats_args_free(&a->nats);
}
