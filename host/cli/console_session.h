/* console_session.h: what is typed in `muster console`, and what comes of it.
 *
 * Purpose: lines to chunks, the commands that begin with a dot, answers and log lines on the terminal.
 * Owner: the session borrows what it is made of; session_close() frees its own.
 * Thread: the engine's; the log comes from any.
 * Must not know: options, how servers are chosen.
 */
#ifndef MU_CLI_CONSOLE_SESSION_H
#define MU_CLI_CONSOLE_SESSION_H

#include <signal.h>

#include "editor.h"
#include "muster.h"

struct session {
    struct muster *m;
    const struct muster_run_options *run; /* for .step */
    struct editor *editor;
    char *chunk;       /* the lines of one that is not whole */
    char *script;      /* of .load */
    bool begun, unfinished;
    volatile sig_atomic_t *over; /* a signal said so */
    /* Around a run of .step, so that Ctrl-C reaches it; run NULL: it is over. */
    void (*running)(struct muster_run *run);
};

/* As muster_console.next wants it; arg is the session. */
char *session_next(void *arg, const char *answer, bool more);
/* As muster_log_to() wants it; arg is not used. */
void session_log(void *arg, enum muster_level level, int64_t wall_ms, const char *message, const struct muster_field *fields,
                 size_t n_fields);
void session_close(struct session *s);
extern const char *const session_words[]; /* for completion */

#endif
