/* command.h: the commands of the program, and how they speak to the person at the terminal.
 *
 * Purpose: one table of commands for main(), help and suggestions; one form for every error line.
 * Owner: everything here is static data, or borrowed for the call.
 * Thread: the main thread.
 * Must not know: anything of the engine but muster.h.
 */
#ifndef MU_CLI_COMMAND_H
#define MU_CLI_COMMAND_H

#include <stdio.h>

enum {
    CLI_OK = 0,
    CLI_USAGE = 2, /* usage, inventory or script error: nothing ran */
};

struct cli_command {
    const char *name;
    const char *summary;               /* for the list of commands */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; the exit code */
    void (*help)(FILE *to);
};

extern const struct cli_command cli_commands[];               /* ends with a NULL name */
const struct cli_command *cli_command_find(const char *name); /* NULL when there is none */
/* The command that was probably meant; NULL when none is near. */
const char *cli_command_suggest(const char *name);

int cmd_run(int argc, char **argv);
void cmd_run_help(FILE *to);
int cmd_report(int argc, char **argv);
void cmd_report_help(FILE *to);
int cmd_artefacts(int argc, char **argv);
void cmd_artefacts_help(FILE *to);
int cmd_resume(int argc, char **argv);
void cmd_resume_help(FILE *to);
int cmd_agent(int argc, char **argv);
void cmd_agent_help(FILE *to);
int cmd_agents(int argc, char **argv);
void cmd_agents_help(FILE *to);
int cmd_runs(int argc, char **argv);
void cmd_runs_help(FILE *to);
int cmd_history(int argc, char **argv);
void cmd_history_help(FILE *to);
int cmd_compare(int argc, char **argv);
void cmd_compare_help(FILE *to);
int cmd_db(int argc, char **argv);
void cmd_db_help(FILE *to);
int cmd_cleanup(int argc, char **argv);
void cmd_cleanup_help(FILE *to);
int cmd_check(int argc, char **argv);
void cmd_check_help(FILE *to);
int cmd_list(int argc, char **argv);
void cmd_list_help(FILE *to);
int cmd_inventory(int argc, char **argv);
void cmd_inventory_help(FILE *to);
int cmd_new(int argc, char **argv);
void cmd_new_help(FILE *to);
int cmd_test(int argc, char **argv);
void cmd_test_help(FILE *to);
int cmd_console(int argc, char **argv);
void cmd_console_help(FILE *to);
int cmd_ssh_config(int argc, char **argv);
void cmd_ssh_config_help(FILE *to);
int cmd_help(int argc, char **argv);
void cmd_help_help(FILE *to);
/* The program's own help: what it is, and its commands. */
void cli_program_help(FILE *to);

/* "muster run: MESSAGE" on stderr, always one line, control characters escaped. command NULL: "muster: MESSAGE".
 * Returns CLI_USAGE. */
int cli_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with "; see 'muster run --help'" at the end. */
int cli_misuse(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* text on `to`, control characters escaped. */
void cli_put_escaped(FILE *to, const char *text);

#endif
