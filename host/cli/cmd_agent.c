#include <limits.h>

#include "agent_args.h"
#include "command.h"
#include "files.h"
#include "interrupt.h"

void cmd_agent_help(FILE *to) { agent_args_help(to); }

static int serve(struct muster *m, struct agent_args *a)
{
    struct muster_agent *agent = NULL;
    struct muster_error err;
    int code = ssh_args_read_secrets(&a->ssh, &a->run, "agent", m);

    if (code == 0)
        code = nats_args_read_secrets(&a->nats, "agent", m);
    if (code == 0 && muster_agent_new(m, &a->agent, &agent, &err) < 0)
        code = cli_error("agent", "%s", err.message);
    ssh_args_wipe(&a->ssh, &a->run); /* the engine has its own copies */
    nats_args_free(&a->nats);
    if (code == 0) {
        interrupt_begin_agent(agent);
        if (muster_agent_run(agent, &err) < 0)
            code = cli_error("agent", "%s", err.message);
        interrupt_end();
    }
    muster_agent_free(agent);
    return code;
}

int cmd_agent(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster *m = NULL;
    struct muster_error err;
    char library[PATH_MAX];
    struct agent_args a;
    int code = agent_args_parse(&a, argc, argv);

    if (code != 0)
        goto out;
    if (a.help) {
        agent_args_help(stdout);
        goto out;
    }
    options.level = a.log.level;
    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(&m, &options, &err) < 0)
        code = cli_error("agent", "%s", err.message);
    if (code == 0)
        code = cli_add_sinks("agent", m, &a.log.sinks);
    if (code == 0)
        code = serve(m, &a);
out:
    muster_free(m);
    agent_args_free(&a);
    return code;
}
