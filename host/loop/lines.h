/* lines.h: a byte stream cut into lines as it comes, for the line callback of a command.
 *
 * Purpose: the one splitter behind mu_exec_request.on_line, used for local and remote commands alike. A line ends at
 *   "\n"; what comes before it is handed over as it is (a "\r" stays, NUL bytes are allowed). A line that came in one
 *   piece is handed over without being copied.
 * Owner: embedded in the running command, one per stream; mu_lines_free() ends it and may be called from inside the
 *   line callback.
 * Thread: one at a time; the callback is called from inside mu_lines_feed() and mu_lines_finish() only.
 * Must not know: where the bytes come from.
 */
#ifndef MU_LOOP_LINES_H
#define MU_LOOP_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/exec.h"

/* As mu_exec_request.on_line: line is borrowed for the call, has no newline and need not be NUL-terminated. */
typedef void mu_lines_fn(void *arg, enum mu_exec_stream stream, const char *line, size_t len);

struct mu_lines {
    mu_lines_fn *fn;
    void *arg;
    enum mu_exec_stream stream;
    size_t limit;       /* longest line allowed, newline not counted */
    struct mu_buf rest; /* the start of a line whose newline has not come yet */
    bool *gone;         /* set while the callback may run: tells it that we were freed in there */
};

void mu_lines_init(struct mu_lines *l, enum mu_exec_stream stream, size_t limit, mu_lines_fn *fn, void *arg);

/* Hand over every line that n more bytes complete. Returns
 *   0          all is well;
 *   MU_ELIMIT  a line is longer than the limit: the lines before it were handed over, the rest of these bytes and the
 *              started line are dropped; feed no more;
 *   MU_ENOMEM  likewise, out of memory;
 *   MU_ECLOSED the callback called mu_lines_free(): l, and the object that holds it, may be gone; touch neither. */
int mu_lines_feed(struct mu_lines *l, const char *bytes, size_t n);

/* End of the stream: hand over an unterminated last line, if there is one. 0 or MU_ECLOSED. Harmless when repeated. */
int mu_lines_finish(struct mu_lines *l);

/* The bytes of the started line are dropped. Harmless when repeated, or on zeroed memory. */
void mu_lines_free(struct mu_lines *l);

#endif
