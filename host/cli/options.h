/* options.h: one table of options a command, for getopt_long, for its help page and for suggestions.
 *
 * Purpose: an option is written down once; every misuse of one gets one clear line.
 * Owner: tables are static data; the parser is on the caller's stack and borrows argv.
 * Thread: the main thread (getopt_long is not reentrant).
 * Must not know: what the options do.
 */
#ifndef MU_CLI_OPTIONS_H
#define MU_CLI_OPTIONS_H

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

struct cli_option {
    int id;           /* under 256: also the short form's letter; 0: `name` heads a group of the help page */
    const char *name; /* without dashes */
    const char *arg;  /* what the help page calls its value; NULL: it takes none */
    const char *help; /* NULL: not on the help page and never suggested */
};

#define CLI_OPTIONS_MAX 128
enum { CLI_END = -1, CLI_BAD = -2 };

struct cli_parser {
    const char *command; /* as in cli_misuse() */
    const struct cli_option *options;
    size_t n_options;
    int argc;
    char **argv;
    const char *value; /* of the option just returned; NULL when it has none */
    struct option longs[CLI_OPTIONS_MAX];
    char shorts[2 + 3 * CLI_OPTIONS_MAX];
};

/* options ends with a NULL name. Only one parser is in use at a time. */
void cli_parser_start(struct cli_parser *p, const char *command, const struct cli_option *options, int argc,
                      char **argv);
/* The id of the next option; CLI_END when only operands are left, from cli_parser_operands() on; CLI_BAD when a
 * message was printed. */
int cli_parser_next(struct cli_parser *p);
int cli_parser_operands(const struct cli_parser *p); /* index in argv */

/* The options of a help page, grouped, within 80 columns. */
void cli_options_help(FILE *to, const struct cli_option *options);

#endif
