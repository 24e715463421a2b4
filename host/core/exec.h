/* exec.h: what a command is asked and what it gives, the same for a local process and a remote one.
 *
 * Purpose: the one vocabulary between loop/process.c, ssh/channel.c and those who run commands through either.
 * Owner: a request is borrowed for the start call (the runner copies what it keeps); a result is owned by the running
 *   command and lives until it is freed.
 * Thread: the loop's.
 * Must not know: how the command is run.
 */
#ifndef MU_CORE_EXEC_H
#define MU_CORE_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define MU_EXEC_LIMIT_DEFAULT ((size_t)16 << 20)

enum mu_exec_stream { MU_EXEC_STDOUT, MU_EXEC_STDERR };

struct mu_exec_request {
    const char *command;    /* for the shell: /bin/sh -c locally, the user's login shell remotely */
    const char *input;      /* standard input, may hold any bytes; then end of file. NULL: empty */
    size_t input_len;
    const char *const *env; /* "NAME=value", NULL-terminated, added to the environment; NULL: none */
    size_t limit;           /* bytes kept per stream; 0 = MU_EXEC_LIMIT_DEFAULT. More ends the command with MU_ELIMIT */
    /* When set, complete lines (without their newline) are handed over as they come and are not kept in the result; an
     * unterminated last line is handed over at the end. Called on the loop's thread, never after the done callback.
     * A line longer than limit ends the command with MU_ELIMIT. */
    void (*on_line)(void *arg, enum mu_exec_stream stream, const char *line, size_t len);
    void *on_line_arg;
    /* Streams of any length, on the loop's thread, never after the done callback; they may not free the command.
     * more_input: more of standard input, after `input`, when there is room: up to n bytes into buf. Gives how many, 0 at
     * its end; negative when it failed: err says how, and the command is ended with that.
     * on_output: standard output as it comes, which is then not in the result, nor under the limit. Negative: likewise. */
    long (*more_input)(void *arg, char *buf, size_t n, struct mu_err *err);
    int (*on_output)(void *arg, const char *bytes, size_t n, struct mu_err *err);
    void *stream_arg;
    const char *label;      /* what messages call it; NULL: the command itself */
    /* Over SSH: how a shell is had that may end the command, when it is not the login's own: what is run, and what comes
     * before the shell's script on its standard input. NULL: "exec sh", nothing. */
    const char *end_command, *end_input;
    bool read_only;         /* it changes nothing: a dry run runs it too, where it is this machine's */
};

struct mu_exec_result {
    struct mu_buf out, err;
    int exit_status;     /* 0–255, or -1 when there is none (signal, or the command could not be run to its end) */
    char signal[16];     /* "TERM", "KILL"; "" when none */
    struct mu_err error; /* code 0 when the command ran to its end, whatever its exit status */
    bool unended;        /* it was to be ended and could not be confirmed ended on the machine */
    bool refused;        /* over SSH: the server gave no channel for it, so that nothing was started */
    long pid;            /* of the command's process group there, or of its shell where it has none of its own; 0: never known */
};

#endif
