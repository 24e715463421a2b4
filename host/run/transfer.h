/* transfer.h: a file to a task's server, or from it, in memory that does not grow with it.
 *
 * Purpose: one command that streams (libssh's SFTP cannot be driven without blocking), a checksum taken of the same bytes
 *   on both sides, and a rename as the last act: where a file is to be, there is the whole of it or what was there before.
 *   To the server the checksum comes as a trailer, so that what is cut off anywhere is not taken for whole; from the server
 *   it comes on standard error.
 * Owner: memory of its starter (a userdata), closed by mu_transfer_close(), also when its wait is abandoned.
 * Thread: the worker's. Local files are read and written in the loop, 64 KiB at a time.
 * Must not know: the Lua stack.
 *
 * Who is killed outright, here or there, leaves a file .muster.XXXXXXXX beside the destination.
 */
#ifndef MU_RUN_TRANSFER_H
#define MU_RUN_TRANSFER_H

#include "run/remote.h"
#include "ssh/sha256.h"

struct mu_transfer_request {
    const char *remote;    /* the path on the server */
    const char *local;     /* the path here; NULL: text, or memory */
    const char *text;      /* what is sent when local is NULL; stays the caller's, until the wait is done */
    size_t len;
    size_t max;            /* into memory: no more than this */
    int mode;              /* permissions; -1: those of the source, else of what is replaced, else as the umask says */
    bool as_root;
    uint64_t timeout_ms;
};

struct mu_transfer {
    struct mu_call call; /* await call.wait; first */
    bool open, receives;
    char *local, *temp, *label;
    int fd;
    int mode;
    const char *text;
    size_t len, sent, max;
    struct mu_sha256 *sha256;
    char hex[MU_SHA256_HEX + 2]; /* of what went over, when all of it has; then with a newline, as the trailer */
    size_t trailer_sent;
    uint64_t bytes;
    struct mu_buf memory; /* what came, when it is kept */
};

/* Begin; label names it in messages. Negative when it could not: x needs no closing then. */
int mu_transfer_send(struct mu_transfer *x, struct mu_remote *remote, struct mu_ctx *ctx, const char *label,
                     const struct mu_transfer_request *req, struct mu_err *err);
int mu_transfer_receive(struct mu_transfer *x, struct mu_remote *remote, struct mu_ctx *ctx, const char *label,
                        const struct mu_transfer_request *req, struct mu_err *err);
/* The wait is done: what became of it. 0: x->bytes, x->hex, x->memory say what went over. */
int mu_transfer_finish(struct mu_transfer *x, struct mu_err *err);
void mu_transfer_close(struct mu_transfer *x); /* idempotent; nothing half done stays */

#endif
