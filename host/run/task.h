/* task.h: one server's run of one script: load → setup → steps → on_failure → teardown; or what else is done for a server.
 *
 * Purpose: the state machine around the fibers of a task; what is wrong with a server is decided here.
 *   Two kinds are about no server (fleet.h).
 * Files: task.c begins and ends it, flow.c says which phase comes next, steps.c goes through the steps, phase.c runs one
 *   phase, mark_task.c the mark hook.
 * Owner: the worker. A task frees itself when it has reported its end.
 * Thread: the worker's.
 * Must not know: how a binding looks; other tasks.
 */
#ifndef MU_RUN_TASK_H
#define MU_RUN_TASK_H

#include "core/log.h"
#include "inventory/inventory.h"
#include "results/results.h"
#include "results/verdict.h"
#include "run/claim.h"
#include "run/fiber.h"
#include "run/keep.h"
#include "run/remote.h"
#include "run/second.h"

enum mu_task_kind {
    MU_TASK_RUN,     /* load → setup → steps → on_failure → teardown */
    MU_TASK_AGAIN,   /* the same with some of the steps, for a server behind its peers (second.h) */
    MU_TASK_PAIR,    /* load → setup of both → the pair steps → on_failure and teardown of both (pairs.h) */
    MU_TASK_MARK,    /* load → mark, tried again when it raises; nothing of it becomes a result but the mark */
    MU_TASK_CLEANUP, /* load → teardown */
    MU_TASK_CONSOLE, /* load → lines as they are typed (console.h); nothing of it becomes a result */
    MU_TASK_DRY,     /* load → setup → teardown → mark, with nothing changed; the steps are skipped */
    MU_TASK_BEFORE_ALL, /* load → before_all, for no server */
    MU_TASK_AFTER_ALL   /* load → after_all, likewise */
};

enum mu_phase {
    MU_PHASE_LOAD,
    MU_PHASE_SETUP,
    MU_PHASE_WHEN,
    MU_PHASE_STEP,
    MU_PHASE_ON_FAILURE,
    MU_PHASE_TEARDOWN,
    MU_PHASE_MARK,
    MU_PHASE_CONSOLE,
    MU_PHASE_BEFORE_ALL,
    MU_PHASE_AFTER_ALL,
    MU_PHASE_KEPT, /* a step is over, and its result is being kept: no fiber runs meanwhile */
    MU_PHASE_END
};

/* Slots of a task's table in the registry. */
enum { MU_SLOT_ENV = 1, MU_SLOT_SCRIPT, MU_SLOT_SERVER, MU_SLOT_PARAMS, MU_SLOT_LOADED, MU_SLOT_RANDOM, MU_SLOT_VARS,
       MU_SLOT_JSON, MU_SLOT_FACTS, MU_SLOT_USING, MU_SLOT_SHARED, MU_SLOT_PEER, MU_SLOT_PEER_VARS, MU_SLOT_PEER_FACTS };

/* What a task is to do. */
struct mu_order {
    enum mu_task_kind kind;
    size_t index;                   /* in the run's results */
    const struct mu_server *server; /* NULL: before_all, after_all */
    const struct mu_server *peer;   /* of MU_TASK_PAIR */
    size_t peer_index;
    struct mu_verdict *verdict;     /* of MU_TASK_MARK and MU_TASK_DRY: what the mark hook is told */
    struct mu_repeat *repeat;       /* of MU_TASK_AGAIN; of MU_TASK_PAIR, NULL there: all pair steps */
    struct mu_buf plain;            /* of MU_TASK_AFTER_ALL: the results, as it is told them */
    char *claim;                    /* what the server's claim holds, malloc'd; NULL: none is open */
    uint64_t attempt;               /* how often this was begun, with this time; 0 stands for 1 */
};

struct mu_task {
    struct mu_worker *worker;
    struct mu_list link; /* in the worker's tasks */
    enum mu_task_kind kind;
    size_t index;        /* in the run's results */
    const struct mu_server *server; /* NULL while a script is being loaded, and when it is about none */
    struct mu_account *account;
    struct mu_ctx *ctx;  /* server_id */
    struct mu_scope scope;
    int table_ref;
    enum mu_phase phase;
    size_t step;         /* the one at work */
    struct mu_remote remote;
    struct mu_remote peer; /* of MU_TASK_PAIR: the way to the other one */
    bool of_peer;          /* of MU_TASK_PAIR: the hook at work is the other one's */
    bool peer_began;       /* its setup, so that its teardown is due */
    struct mu_list permits; /* of semaphores: held, or waited for (permit.h) */
    struct mu_claim claim;
    uint64_t attempt;       /* from 1 */
    bool tidies;            /* the teardown at work is for what an earlier attempt left behind: setup is still to come */
    uint64_t tidied_ms;     /* since when */
    struct mu_keep keep;
    uint64_t hurry_until_ms; /* it is to be over by then; 0: it need not hurry */
    uint64_t started_ms, deadline_ms, took_ms; /* took_ms: from its beginning to its end */
    size_t kept_bytes;   /* by server:keep() */
    bool killed;         /* it ends at once, and waits for nothing */
    bool cancelled;      /* as a whole: what is left is skipped, but for teardown */
    bool stop_steps;     /* unreachable, connection lost, setup failed, or fail-fast: the rest is skipped */
    bool when_said_no;
    enum mu_status worst;
    struct mu_step_result *result; /* of the step at work */
    enum mu_status *step_status;   /* of the steps that are over */
    uint64_t step_started_ms, step_took_ms;
    struct mu_failure *failures;   /* all so far, for on_failure */
    size_t n_failures;
    struct mu_err phase_error;     /* of a phase outside steps, code 0: went well */
    size_t failures_before;        /* the step at work: as it was when it began, for when it is measured again */
    enum mu_status worst_before;
    struct mu_console *console;    /* of MU_TASK_CONSOLE, once it is loaded */
    struct mu_verdict *verdict;
    struct mu_repeat *repeat;      /* NULL: all steps */
    struct mu_buf plain;           /* what before_all returned, or after_all is told */
    struct {
        enum mu_mark_state state;
        char *note;
        unsigned tries;
        struct mu_wait pause;      /* before it is tried again */
        struct mu_timer *timer;
    } mark;
};

/* Begin; the task lives in the worker until it has posted its end. It takes verdict, repeat, plain and claim, also on an error. MU_ENOMEM. */
int mu_task_start(struct mu_worker *w, const struct mu_order *order, struct mu_err *err);
/* For phase.c: the phase at work has ended, go on with the next; the task may be gone after it. */
void mu_task_advance(struct mu_task *t);
/* For flow.c: nothing is left to do. The task is gone after it. */
void mu_task_end(struct mu_task *t);
/* Cancel what it does now and skip what is left; teardown still runs, and a mark that is being made is made. */
void mu_task_cancel(struct mu_task *t, enum mu_status status, const struct mu_err *why);
/* The same within a time: nothing of the task goes on past until_ms. */
void mu_task_hurry(struct mu_task *t, uint64_t until_ms);
/* End at once: nothing of the script runs any more. */
void mu_task_kill(struct mu_task *t);

struct mu_account *mu_task_account(const struct mu_task *t);
void mu_task_memory_exceeded(struct mu_task *t); /* its memory limit was hit: cancelled with error */
void mu_task_unended(struct mu_task *t, size_t server, const char *command); /* could not be confirmed ended there */
/* Text for the report of the step at work, up to 64 KiB a step; the newline is added. Nothing without a step. */
void mu_task_print(struct mu_task *t, const char *text, size_t len);
struct mu_task *mu_task_current(lua_State *L); /* of the running fiber; NULL outside */
void mu_task_push_slot(lua_State *L, const struct mu_task *t, int slot); /* may raise */
/* Of MU_SLOT_VARS and MU_SLOT_FACTS: the one for this server of the task's. */
int mu_task_slot(const struct mu_remote *r, int slot);
void mu_task_set_slot(lua_State *L, const struct mu_task *t, int slot);  /* pops the value; may raise */

/* outcome.c: Lua results and errors as C results. */
/* Metrics of the step at work from index `base` on; adds metrics and failures to t->result. May raise. */
void mu_outcome_metrics(lua_State *L, struct mu_task *t, int base);
/* The error value on top: add a failure to the step at work, or to the task when it is in no step. May raise. */
void mu_outcome_error(lua_State *L, struct mu_task *t, struct mu_fiber *f);

void mu_task_forget_failures(struct mu_task *t, size_t n); /* all but the first n */

/* steps.c: */
/* Whether anything is this task's to measure: false for a server's own task when the run is of pair steps alone. */
bool mu_steps_has_own(const struct mu_task *t);
/* Start the next step that is not skipped; false when there is none. */
bool mu_steps_next(struct mu_task *t);
/* The step's when has ended well: skip it, or measure. False when neither could begin. */
bool mu_steps_after_when(struct mu_task *t);
/* The step at work was measured: measure again where it must be confirmed. False when it is over. */
bool mu_steps_again(struct mu_task *t);
/* The step at work is over. True: its result is being kept, and the task goes on by itself, in MU_PHASE_KEPT. */
bool mu_steps_close(struct mu_task *t);
void mu_steps_close_at_once(struct mu_task *t);
void mu_steps_skip_rest(struct mu_task *t); /* those that were not started */

/* mark_task.c: */
/* Push the mark hook with its arguments; return their number. The second try and later ones wait first. May raise. */
int mu_mark_prepare(lua_State *L, struct mu_task *t);
void mu_mark_finish(lua_State *L, struct mu_task *t, int base); /* what the hook returned. May raise */
bool mu_mark_start(struct mu_task *t); /* try it; false when it is settled */
void mu_mark_note_failure(struct mu_task *t, const char *type, const char *cause, const char *message);
void mu_mark_report(struct mu_task *t); /* to the log and the main thread */

/* One place where failures go: logged, kept for on_failure, into the step's result or the run's. */
void mu_task_add_failure(struct mu_task *t, enum mu_status status, const char *type, const char *metric,
                         const char *cause, const char *message);

#endif
