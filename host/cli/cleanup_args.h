/* cleanup_args.h: the options of `muster cleanup`.
 *
 * Purpose: from argv to one struct, every mistake told.
 * Owner: strings are borrowed from argv; cleanup_args_free() frees the lists and wipes the secrets. Thread: the main thread.
 * Must not know: what the options do.
 */
#ifndef MU_CLI_CLEANUP_ARGS_H
#define MU_CLI_CLEANUP_ARGS_H

#include <stdio.h>

#include "log_args.h"
#include "nats_args.h"
#include "ssh_args.h"
#include "values.h"

struct cleanup_args {
    bool help, list;
    const char *state_dir, *script;
    struct str_list journals;
    struct ssh_args ssh;
    struct nats_args nats;
    struct muster_run_options run;
    struct log_args log;
};

/* 0, or CLI_USAGE when a message was printed; free args either way. */
int cleanup_args_parse(struct cleanup_args *a, int argc, char **argv);
void cleanup_args_free(struct cleanup_args *a);
void cleanup_args_help(FILE *to);

#endif
