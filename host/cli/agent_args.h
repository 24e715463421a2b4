/* agent_args.h: the options of `muster agent`.
 *
 * Purpose: from argv to one struct, every mistake told.
 * Owner: strings are borrowed from argv; agent_args_free() frees the lists and wipes the secrets. Thread: the main thread.
 * Must not know: what the options do.
 */
#ifndef MU_CLI_AGENT_ARGS_H
#define MU_CLI_AGENT_ARGS_H

#include <stdio.h>

#include "log_args.h"
#include "nats_args.h"
#include "ssh_args.h"
#include "values.h"

struct agent_args {
    bool help;
    char **groups; /* NULL-terminated, or NULL */
    size_t n_groups;
    struct ssh_args ssh;
    struct nats_args nats;
    struct muster_run_options run; /* what of it is an agent's own */
    struct muster_agent_options agent;
    struct log_args log;
};

/* 0, or CLI_USAGE when a message was printed; free args either way. */
int agent_args_parse(struct agent_args *a, int argc, char **argv);
void agent_args_free(struct agent_args *a);
void agent_args_help(FILE *to);

#endif
