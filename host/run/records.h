/* records.h: what the main thread does so that a run is kept (results/store.h).
 *
 * Purpose: put results into the store as they come in, a transaction a batch of messages; answer the tasks that wait for
 *   theirs (keep.h) when it is committed; begin where a run that was cut off had come to (former.h).
 * Owner: the run owns a mu_records. Thread: the main one; it blocks on the disk.
 * Must not know: what a database is; how servers are dealt.
 *
 * What goes wrong with the store is said once, and costs the record of the run, never the run.
 */
#ifndef MU_RUN_RECORDS_H
#define MU_RUN_RECORDS_H

#include "results/store.h"

struct mu_former;
struct mu_message;
struct mu_run;
struct mu_timer;

/* A transaction waits so long for more to come, unless all tasks in flight wait for it. It costs as much for one step as for
 * many; nobody notices these milliseconds in a benchmark. */
#define MU_RECORDS_WINDOW_MS 5
/* With so many tasks in flight others are at work meanwhile: longer, and the main thread sleeps until then. */
#define MU_RECORDS_MANY 64
#define MU_RECORDS_MANY_WINDOW_MS 25

struct mu_records {
    struct mu_store *store; /* NULL: nothing is kept */
    struct mu_former *former; /* NULL: a new run */
    struct mu_record_question {
        int worker;
        uint64_t ticket;
    } *asked;
    size_t n_asked, cap;
    struct mu_timer *window; /* NULL: nothing is kept */
    bool waits, due;         /* for the window to close; it has closed, and the mail of it has come */
};

/* Open the store that the configuration names, if any. An error only where that was asked for. */
int mu_records_open(struct mu_run *run, struct mu_err *err);
void mu_records_free(struct mu_run *run);
void mu_records_begin(struct mu_run *run); /* the run is to be found there from now on */
/* The servers that have their result from before: they count as done, or wait for their peers. */
void mu_records_restore(struct mu_run *run);
bool mu_records_has(const struct mu_run *run, size_t server); /* it is one of these */

void mu_records_note(struct mu_run *run, struct mu_message *m); /* it was collected */
void mu_records_nudged(struct mu_run *run); /* the mail that waited comes with this turn */
void mu_records_final(struct mu_run *run, size_t server);
/* To be called after each batch of messages: commit, and answer, when it is time. */
void mu_records_flush(struct mu_run *run);
bool mu_records_waits(const struct mu_run *run); /* something was put, or asked, and is not committed */
void mu_records_end(struct mu_run *run);

#endif
