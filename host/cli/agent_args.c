#include "agent_args.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "options.h"

enum { OPT_NAME = 256, OPT_GROUPS, OPT_WORKERS, OPT_DRAIN_TIMEOUT, OPT_ACK_WAIT, OPT_CACHE_DIR, OPT_GRACE };

static const struct cli_option agent_table[] = {
    {0, "The agent", NULL, NULL},
    {'j', "forks", "N", "servers in flight at once, of all runs together (default 50)"},
    {OPT_WORKERS, "workers", "N", "threads that the servers of a run share (default: the number of cores)"},
    {OPT_GROUPS, "groups", "NAME,...",
     "only servers of these groups, which then no other agents get while this one is there; repeatable (default: servers that "
     "are in no agent's groups)"},
    {OPT_NAME, "name", "NAME", "what logs and `muster agents` call it (default: the host's name)"},
    {OPT_CACHE_DIR, "cache-dir", "DIR",
     "where scripts are kept that came with runs (default: $XDG_CACHE_HOME/muster/bundles, else ~/.cache/muster/bundles)"},

    {0, "NATS", NULL, NULL},
    {OPT_NATS, "nats", "URL",
     "where runs are given out, several URLs of one cluster with commas between them (default: the environment's "
     "MUSTER_NATS_URL)"},
    CLI_NATS_OPTIONS,

    {0, "Time limits (90s, 5m, 1h30m, 250ms; a bare number is seconds)", NULL, NULL},
    {OPT_DRAIN_TIMEOUT, "drain-timeout", "DUR",
     "after SIGTERM, for servers that are at work: then they are cancelled, and go back to the queue (default 30s)"},
    {OPT_ACK_WAIT, "ack-wait", "DUR",
     "out of reach for so long, its servers are given to another agent; all agents of a group say the same (default 60s)"},
    {OPT_GRACE, "grace", "DUR", "for teardowns of what is cancelled (default 15s)"},

    {0, "SSH, of this agent alone: nothing of it comes with a run but a login name", NULL, NULL},
    CLI_SSH_OPTIONS,

    {0, "Log (on standard error)", NULL, NULL},
    CLI_LOG_OPTIONS,

    {0, "Other", NULL, NULL},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void agent_args_help(FILE *to)
{
    fputs("Usage: muster agent --nats URL [OPTION...]\n"
          "\n"
          "Stay, and do servers of runs that are begun elsewhere with `muster run --nats`:\n"
          "near the servers, with SSH keys, ssh_config and provisioner credentials that are\n"
          "here and stay here. It takes no more than it has room for; what it was at when\n"
          "it is lost goes to another agent. It runs whatever scripts come with runs, so\n"
          "NATS' permissions decide who may have it run something: docs/agents.md.\n",
          to);
    cli_options_help(to, agent_table);
    fputs("\n"
          "SIGTERM, SIGINT and SIGHUP drain it: it takes no more servers, gives back those\n"
          "that have not begun, and leaves when the rest is over; the second at once.\n"
          "\n"
          "Exit code:\n"
          "  0  it was drained\n"
          "  2  it could not begin: usage, keys, NATS\n"
          "\n"
          "Examples:\n"
          "  muster agent --nats tls://nats.example.org --nats-creds agent.creds -j 200\n"
          "  muster agent --nats tls://nats.example.org --nats-creds dc1.creds \\\n"
          "      --groups dc1 --ssh-config /etc/muster/ssh_config --key /etc/muster/id_ops\n",
          to);
}

static int groups(struct agent_args *a, const char *v)
{
    for (const char *at = v; at;) {
        size_t len = strcspn(at, ",");
        char **grown = reallocarray(a->groups, a->n_groups + 2, sizeof *grown);
        char *name = strndup(at, len);
        if (grown)
            a->groups = grown;
        if (!grown || !name) {
            free(name);
            return cli_error("agent", "out of memory");
        }
        grown[a->n_groups++] = name;
        grown[a->n_groups] = NULL;
        if (!len || strpbrk(name, " \t\n"))
            return cli_misuse("agent", "--groups: '%s' is not names of groups with commas between them", v);
        at = at[len] ? at + len + 1 : NULL;
    }
    return 0;
}

static int one(struct agent_args *a, int id, const char *v, int argc)
{
    int rc = ssh_args_one(&a->ssh, &a->run, "agent", id, v, argc);

    if (rc == SSH_ARGS_OTHER)
        rc = nats_args_one(&a->nats, "agent", id, v);
    if (rc == NATS_ARGS_OTHER)
        rc = log_args_one(&a->log, "agent", id, v);
    if (rc != LOG_ARGS_OTHER)
        return rc;
    switch (id) {
    case 'h':
        a->help = true;
        return 0;
    case 'j':
        return cli_value_number("agent", "forks", v, 1000000, &a->agent.forks);
    case OPT_WORKERS:
        return cli_value_number("agent", "workers", v, 1024, &a->agent.workers);
    case OPT_GROUPS:
        return groups(a, v);
    case OPT_NAME:
        return cli_value_text("agent", "name", v, &a->agent.name);
    case OPT_CACHE_DIR:
        return cli_value_text("agent", "cache-dir", v, &a->agent.cache_dir);
    case OPT_DRAIN_TIMEOUT:
        return cli_value_duration("agent", "drain-timeout", v, &a->agent.drain_timeout_ms);
    case OPT_ACK_WAIT:
        return cli_value_duration("agent", "ack-wait", v, &a->agent.ack_wait_ms);
    case OPT_GRACE:
        return cli_value_duration("agent", "grace", v, &a->run.grace_ms);
    default:
        return cli_misuse("agent", "option %d is not handled", id);
    }
}

int agent_args_parse(struct agent_args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    *a = (struct agent_args){.run = MUSTER_RUN_OPTIONS_INIT, .agent = MUSTER_AGENT_OPTIONS_INIT};
    nats_args_start(&a->nats);
    log_args_start(&a->log);
    cli_parser_start(&parser, "agent", agent_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD || one(a, id, parser.value, argc) != 0)
            return CLI_USAGE;
        if (a->help)
            return 0;
    }
    if (cli_parser_operands(&parser) < argc)
        return cli_misuse("agent", "'%s': it takes no scripts and no servers, these come with runs",
                          argv[cli_parser_operands(&parser)]);
    if (ssh_args_together(&a->ssh, &a->run, "agent") != 0 || nats_args_together(&a->nats, "agent", true) != 0)
        return CLI_USAGE;
    if (a->agent.ack_wait_ms && a->agent.ack_wait_ms < 1000)
        return cli_misuse("agent", "--ack-wait: less than a second is no time to be out of reach");
    if (log_args_together(&a->log, "agent") != 0)
        return CLI_USAGE;
    a->agent.nats = &a->nats.options;
    a->agent.run = &a->run;
    a->agent.groups = (const char *const *)a->groups;
    return 0;
}

void agent_args_free(struct agent_args *a)
{
    for (size_t i = 0; i < a->n_groups; i++)
        free(a->groups[i]);
    free(a->groups);
    ssh_args_free(&a->ssh);
    nats_args_free(&a->nats);
}
