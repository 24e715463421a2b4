/* run_args.h: the command line of `muster run`, decoded.
 *
 * Purpose: argv → plain values, each checked for its form; nothing is opened and nothing is done.
 * Owner: strings are borrowed from argv; the lists are owned, freed by run_args_free().
 * Thread: the main thread.
 * Must not know: inventories, scripts, runs.
 */
#ifndef MU_CLI_RUN_ARGS_H
#define MU_CLI_RUN_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "muster.h"
#include "log_args.h"
#include "nats_args.h"
#include "progress.h"
#include "ssh_args.h"
#include "values.h"

enum { RUN_REPORTS = MUSTER_REPORT_HTML + 1 };

struct run_args {
    bool help;
    const char *command; /* "run" or "resume" */
    const char *script;  /* of resume: the run's id, or NULL */
    char **servers; /* the rest of argv */
    size_t n_servers;

    struct str_list inventories, params, thresholds, limits, steps;
    uint64_t inventory_timeout_ms; /* 0: not said */
    struct ssh_args ssh;
    struct nats_args nats;
    bool list_hosts, watch, no_db, changed_script;
    const char *rerun, *of;
    struct str_list words;       /* what a resumed run is given again: options as --name=value, each malloc'd */
    struct str_list again;       /* and what it has to be given anew, being a secret: "--param=token" */
    struct muster_run_options run; /* all but the lists and the secrets */

    struct log_args log;
    enum cli_progress progress;
    uint64_t progress_interval_ms; /* 0: not said */
    const char *reports[RUN_REPORTS]; /* by enum muster_report; NULL: not wanted */
};
extern const char *const run_report_names[RUN_REPORTS]; /* the options that ask for them */

enum run_args_of {
    RUN_ARGS_RUN,
    RUN_ARGS_RESUME, /* muster resume [RUN] */
    RUN_ARGS_RESUMED /* the run that is resumed, of then and now: as RUN_ARGS_RUN, but for whose mistakes are told */
};
/* 0, or CLI_USAGE when a message was printed; free args either way. */
int run_args_parse(struct run_args *args, enum run_args_of of, int argc, char **argv);
void run_args_free(struct run_args *args);
void run_args_help(FILE *to);

#endif
