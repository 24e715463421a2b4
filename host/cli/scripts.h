/* scripts.h: the scripts that a command line means: files, and folders of them.
 *
 * Purpose: the same for every command that takes several.
 * Owner: the caller owns the list. Thread: the main thread. Must not know: what is in a script.
 */
#ifndef MU_CLI_SCRIPTS_H
#define MU_CLI_SCRIPTS_H

#include <stddef.h>

struct cli_scripts {
    char **paths;
    size_t n;
};

/* Add the file, or the *.lua of the folder itself, by name, but for specs (*_spec.lua). 0, or CLI_USAGE when a message
 * was printed. */
int cli_scripts_add(struct cli_scripts *s, const char *command, const char *path);
void cli_scripts_free(struct cli_scripts *s);

/* The folder scripts here, else the installed one: where a person looks first. NULL: there is neither. */
const char *cli_scripts_folder(char *buf, size_t size);

#endif
