/* fleet.h: what is done once a run, for no server: the hooks before_all and after_all.
 *
 * Purpose: fleet.c is the main thread's side: it deals one task without a server, waits for it, and keeps what came of it;
 *   fleet_task.c is the task's. before_all's data goes as bytes (plain.h) into every task that asks for it, and what
 *   after_all is told of the results comes as bytes from them.
 * Owner: the run owns a mu_fleet. Thread: the main one; mu_fleet_prepare() and _finish() the worker's.
 * Must not know: what the hooks do.
 */
#ifndef MU_RUN_FLEET_H
#define MU_RUN_FLEET_H

#include <lua.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "run/messages.h"

struct mu_run;
struct mu_run_result;
struct mu_task;

struct mu_fleet {
    bool over;            /* the task at work has ended */
    char *error;          /* of the first failure of the task at work; NULL: none */
    struct mu_buf shared; /* what before_all returned */
};

/* Run before_all, where the script has one, to its end. Negative when it did not work: nothing may run then. */
int mu_run_before_all(struct mu_run *run, struct mu_err *err);
/* Run after_all, where the script has one; the results are settled. */
void mu_run_after_all(struct mu_run *run);
/* A message of such a task; false when it is none. */
bool mu_run_fleet_mail(struct mu_run *run, struct mu_message *m);
void mu_fleet_free(struct mu_fleet *f);

static inline bool mu_fleet_is(enum mu_task_kind kind) { return kind == MU_TASK_BEFORE_ALL || kind == MU_TASK_AFTER_ALL; }

/* fleet_results.c: what after_all is told. */
void mu_fleet_add_results(struct mu_buf *out, const struct mu_run_result *r);

/* fleet_task.c: */
/* Begin the hook of the task's kind; false when it could not. */
bool mu_fleet_start(struct mu_task *t);
/* Push the hook with its arguments; return their number. May raise. */
int mu_fleet_prepare(lua_State *L, struct mu_task *t);
void mu_fleet_finish(lua_State *L, struct mu_task *t, int base); /* what it returned. May raise */
void mu_fleet_note_failure(struct mu_task *t, enum mu_status status, const char *type, const char *message);

#endif
