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
#include "sinks.h"

/* Values of a repeatable option, in order, NULL at the end. */
struct str_list {
    const char **items;
    size_t n;
};

struct run_args {
    bool help;
    const char *command; /* "run" or "resume" */
    const char *script;  /* of resume: the run's id, or NULL */
    char **servers; /* the rest of argv */
    size_t n_servers;

    struct str_list inventories, params, thresholds, limits, known_hosts, keys, steps;
    bool list_hosts, watch, no_db, changed_script;
    const char *rerun, *of;
    struct str_list words;       /* what a resumed run is given again: options as --name=value, each malloc'd */
    struct str_list again;       /* and what it has to be given anew, being a secret: "--param=token" */
    struct muster_run_options run; /* all but the lists and the secrets */
    const char *password_file, *password_env, *passphrase_file, *passphrase_env;
    const char *sudo_password_file, *sudo_password_env;

    enum muster_level level;
    enum muster_log_format log_format;
    const char *log_file;
    bool quiet;
    enum cli_color color;
    const char *junit, *json, *html;
};

/* 0, or CLI_USAGE when a message was printed; free args either way. resume: of `muster resume [RUN]`. */
int run_args_parse(struct run_args *args, bool resume, int argc, char **argv);
void run_args_free(struct run_args *args);
void run_args_help(FILE *to);

#endif
