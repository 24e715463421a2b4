/* remote_internal.h: what the two files of remote.h share: call.c, one command from its beginning to its end, and remote.c,
 * the connection that commands wait for.
 *
 * Owner: as remote.h. Thread: as remote.h. Must not know: as remote.h.
 */
#ifndef MU_RUN_REMOTE_INTERNAL_H
#define MU_RUN_REMOTE_INTERNAL_H

#include "run/remote.h"

/* call.c: */
void mu_call_begin(struct mu_call *c, enum mu_call_kind kind, struct mu_remote *r, struct mu_ctx *ctx);
void mu_call_done(struct mu_call *c, const struct mu_err *err); /* err NULL or code 0: well */
/* The transport is there: run the command, unless it has to wait in line; of a connect: be content. */
void mu_call_go(struct mu_call *c);
bool mu_call_in_line(const struct mu_call *c); /* it waits for the connection, or for a channel of it */
/* In a dry run nothing is begun; what would be is said. Returns whether it was that. */
bool mu_call_only_told(struct mu_call *c, const char *what);
void mu_remote_fail_line(struct mu_remote *r, const struct mu_err *err);
void mu_remote_next(struct mu_remote *r); /* a command over the connection has ended: what waits goes on */

void mu_call_ended(struct mu_call *c, const struct mu_exec_result *result); /* its command is over */

/* replay.c: */
/* In a replay: answer the command from the transcript. False: it is none. */
bool mu_call_replay(struct mu_call *c);
bool mu_remote_replay(const struct mu_remote *r, struct mu_err *result); /* the same of a connection */
/* Where a transcript is written: note the command that has ended, a line that it printed, a connection that was tried. */
void mu_call_record(struct mu_call *c, const struct mu_exec_result *result);
/* Of a file that came. */
void mu_call_record_bytes(struct mu_call *c, const char *bytes, size_t n);
void mu_call_record_line(struct mu_call *c, enum mu_exec_stream stream, const char *line, size_t len);
void mu_remote_record(const struct mu_remote *r, const struct mu_err *result);

/* remote.c: */
/* Go on with c when there is a connection: now, or when it was made. */
void mu_remote_want(struct mu_call *c, uint64_t wait_ms);
const char *mu_remote_address(const struct mu_remote *r);

#endif
