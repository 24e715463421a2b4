/* console_args.h: the command line of `muster console`, decoded.
 *
 * Purpose: argv → plain values, each checked for its form. Owner: strings are borrowed from argv; the lists are owned,
 *   freed by console_args_free(). Thread: the main thread. Must not know: runs.
 */
#ifndef MU_CLI_CONSOLE_ARGS_H
#define MU_CLI_CONSOLE_ARGS_H

#include <stdio.h>

#include "muster.h"
#include "ssh_args.h"
#include "values.h"

struct console_args {
    bool help;
    const char *server; /* NULL with --local */
    struct str_list inventories;
    struct ssh_args ssh;
    struct muster_run_options run;
    enum muster_level level;
};

/* 0, or CLI_USAGE when a message was printed; free args either way. */
int console_args_parse(struct console_args *a, int argc, char **argv);
void console_args_free(struct console_args *a);
void console_args_help(FILE *to);

#endif
