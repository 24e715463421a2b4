/* log_args.h: the options of every command that runs something about its log: run, resume, cleanup, agent.
 *
 * Purpose: such an option is written down once, decoded once, and each command has it. To add one: its id in the enum, its row in
 *   CLI_LOG_OPTIONS, its case in log_args_one() (log_args.c).
 * Owner: strings are borrowed from argv. Thread: the main thread.
 * Must not know: which command asks, but for its name in messages.
 */
#ifndef MU_CLI_LOG_ARGS_H
#define MU_CLI_LOG_ARGS_H

#include "sinks.h"

enum {
    OPT_LOG_FORMAT = 3072, /* so that no command's own ids meet these */
    OPT_LOG_FILE,
    OPT_LOG_LEVEL,
    OPT_COLOR,
};

/* Rows of a command's table, under a heading of its own. */
#define CLI_LOG_OPTIONS \
    {OPT_LOG_FORMAT, "log-format", "FORMAT", "console, json or logfmt (default console)"}, \
    {OPT_LOG_FILE, "log-file", "FILE", "append the log to FILE as well"}, \
    {OPT_LOG_LEVEL, "log-level", "LEVEL", "trace, debug, info, warning or error (default info)"}, \
    {'v', "verbose", NULL, "the level debug; -vv: trace"}, \
    {'q', "quiet", NULL, "the level warning; with --log-file that file gets the whole log and standard error none"}, \
    {OPT_COLOR, "color", "WHEN", "auto, always or never (default auto: on a terminal, unless NO_COLOR is set)"}

struct log_args {
    struct cli_log sinks;
    enum muster_level level; /* set by log_args_together() */
    unsigned verbose;
    int said;                /* --log-level, which goes before -v and -q; -1: not said */
};

enum { LOG_ARGS_OTHER = -1 };

void log_args_start(struct log_args *a);
/* One option of the parser: 0, or CLI_USAGE when a message was printed; LOG_ARGS_OTHER: it is none of these. */
int log_args_one(struct log_args *a, const char *command, int id, const char *value);
/* What no single option can know, when all are read. 0, or CLI_USAGE when a message was printed. */
int log_args_together(struct log_args *a, const char *command);

#endif
