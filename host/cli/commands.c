#include "command.h"

#include <string.h>

#include "suggest.h"

const struct cli_command cli_commands[] = {
    {"run", "run a script against servers", cmd_run, cmd_run_help},
    {"resume", "go on with a run that was cut off", cmd_resume, cmd_resume_help},
    {"agent", "do servers of runs that are begun elsewhere", cmd_agent, cmd_agent_help},
    {"agents", "list the agents that runs can be given to", cmd_agents, cmd_agents_help},
    {"runs", "list the runs that were kept", cmd_runs, cmd_runs_help},
    {"history", "show how a server did in earlier runs", cmd_history, cmd_history_help},
    {"compare", "show what two runs differ in", cmd_compare, cmd_compare_help},
    {"report", "write the report of a run that was kept", cmd_report, cmd_report_help},
    {"db", "copy runs into a shared PostgreSQL", cmd_db, cmd_db_help},
    {"artefacts", "list or write out what steps of a run kept", cmd_artefacts, cmd_artefacts_help},
    {"cleanup", "destroy what earlier runs left behind", cmd_cleanup, cmd_cleanup_help},
    {"check", "load scripts and say whether they are in order", cmd_check, cmd_check_help},
    {"list", "show scripts, with their parameters and thresholds", cmd_list, cmd_list_help},
    {"inventory", "show servers, groups and variables of an inventory", cmd_inventory, cmd_inventory_help},
    {"new", "write a script to start from, and its tests", cmd_new, cmd_new_help},
    {"test", "run tests of scripts, without a server", cmd_test, cmd_test_help},
    {"console", "Lua line by line, with one server at hand", cmd_console, cmd_console_help},
    {"ssh-config", "show how servers are reached", cmd_ssh_config, cmd_ssh_config_help},
    {"help", "explain a command", cmd_help, cmd_help_help},
    {NULL, NULL, NULL, NULL},
};

const struct cli_command *cli_command_find(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

const char *cli_command_suggest(const char *name)
{
    struct cli_suggestion near;

    cli_suggestion_start(&near, name);
    for (const struct cli_command *c = cli_commands; c->name; c++)
        cli_suggestion_offer(&near, c->name);
    return near.best;
}
