/* progress.h: how far a run is: counts, an estimate of the time left, and who is where, for those who watch it.
 *
 * Purpose: tell a callback every now and then, and whenever somebody asks; nothing of it has a say in the run.
 * Owner: the run owns a mu_progress. Thread: the main one, but mu_run_ask_progress().
 * Must not know: terminals.
 */
#ifndef MU_RUN_PROGRESS_H
#define MU_RUN_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct mu_run;
struct mu_timer;
struct mu_where;

/* Servers but for running. One whose own task has ended is done, also when its peers may still have a say in it. */
struct mu_progress_now {
    size_t total, waiting, done;
    size_t running;              /* tasks: servers, pairs, marks */
    size_t failed, not_measured; /* of those done */
    uint64_t elapsed_ms;         /* since the first server was started */
    uint64_t left_ms;            /* an estimate; 0: not known */
    double per_minute;           /* done so far; 0: not known */
    bool interrupted;
};

#define MU_PROGRESS_QUEUED UINT64_MAX

struct mu_progress {
    struct mu_timer *timer;
    struct mu_where *where;
    uint64_t *begun_ms;   /* a server: when it was dealt, or elsewhere started; MU_PROGRESS_QUEUED: dealt, and waits there */
    unsigned char *noted; /* a server: what it was counted as */
    size_t queued;        /* servers that wait elsewhere */
    size_t done, failed, not_measured;
    uint64_t first_ms;    /* when the first server was begun; 0: none was */
    uint64_t took_ms;     /* all that are done, together */
    _Atomic(int) asked;
    int asked_seen;
};

int mu_progress_init(struct mu_run *run); /* MU_ENOMEM */
void mu_progress_free(struct mu_run *run);
void mu_progress_start(struct mu_run *run); /* from now on the configured callback is called */
void mu_progress_stop(struct mu_run *run);
void mu_progress_dealt(struct mu_run *run, size_t server);
/* Its task has begun, at another crew's (crew.h); threads of the run begin at once. */
void mu_progress_started(struct mu_run *run, size_t server);
/* Its own task has ended, or its status may be another than when this was called last. */
void mu_progress_note(struct mu_run *run, size_t server);
void mu_progress_see_asked(struct mu_run *run); /* call the callback when somebody asked since */
void mu_progress_now(const struct mu_run *run, struct mu_progress_now *out);
/* What is being done for this server, "setup" or "step", and of a step its name. False: nothing. Any thread. */
bool mu_progress_where(const struct mu_run *run, size_t server, const char **doing, const char **step, uint64_t *for_ms);
/* Several lines: how far it is, and what is being done for whom since when, folded, the longest first, at most so many of
 * those and then how many servers are missing. */
void mu_progress_at_work(const struct mu_run *run, size_t max_lines, struct mu_buf *out);

#endif
