/* secret.h: a password or passphrase, from a file or the environment.
 *
 * Purpose: secrets come in by ways that other users of the machine cannot read, and do not stay in memory.
 * Owner: the caller, who wipes the struct when the engine has its copy.
 * Thread: the main thread (the environment is changed).
 * Must not know: what the secret is for.
 */
#ifndef MU_CLI_SECRET_H
#define MU_CLI_SECRET_H

#include <stdbool.h>

struct secret {
    const char *command; /* for messages */
    bool set;
    bool exposed; /* its file can be read by others */
    char text[1024];
};

/* From `file`, else from the environment variable `env` (which is removed: programs we start need not have it), else
 * not set. One newline at the end is cut. `command` and `option` name the secret in messages: "run",
 * "password".
 * 0, or CLI_USAGE when a message was printed. */
int secret_read(struct secret *s, const char *command, const char *option, const char *file, const char *env);
struct muster;
/* The same; a file that others can read is warned of in m's log, and *text is lent, or NULL when there is none. */
int secret_lend(struct secret *s, const char *command, const char *option, const char *file, const char *env, struct muster *m,
                const char **text);
void secret_wipe(struct secret *s);

#endif
