/* run.h: one script over many servers: dealing, collecting, interrupting.
 *
 * Purpose: own the workers and the main thread's side of a run; turn their messages into results.
 * Owner: the caller owns the run; it borrows script, servers, logger and strings of the configuration until it is freed.
 * Thread: the one that made it, but mu_run_interrupt().
 * Must not know: the command line, reports' files.
 */
#ifndef MU_RUN_RUN_H
#define MU_RUN_RUN_H

#include "core/log.h"
#include "inventory/inventory.h"
#include "results/results.h"
#include "run/script.h"
#include "ssh/ssh.h"

struct mu_bindings;
struct mu_crew;
struct mu_former;
struct mu_left;
struct mu_progress_now;

/* Where lines come from and answers go; called in the main thread, in the middle of mu_run_go(). */
struct mu_console_io {
    /* The next line, malloc'd, or NULL for the end. answer: of the line before, NULL when it has none; more: that was the
     * beginning of a chunk, and is to come again with what follows. */
    char *(*next)(void *arg, const char *answer, bool more);
    void *arg;
};

struct mu_run_config {
    unsigned forks, workers;  /* 0: 50; the number of cores */
    uint64_t timeout_ms;      /* 0: the script's, else 1 h */
    uint64_t connect_timeout_ms, teardown_timeout_ms, grace_ms; /* 0: 10 s, 60 s, 15 s */
    int connect_retries;      /* 0: ssh_config's, else 2; negative: none */
    size_t task_memory;       /* 0: 64 MiB */
    bool local, fail_fast, dry_run, allow_destructive;
    const char *const *steps; /* of the script, as run/pick.h reads them; NULL: all. Read by mu_run_new() alone */
    const char *max_broken;   /* the cap, as run/marks.h parses it; NULL: the script's, else 5 % */
    const char *user;         /* also in ssh.user; here for the journal */
    const char *sudo_password; /* NULL: none */
    const char *library_dir;
    const char *module_dir;   /* where require looks before all; NULL: nowhere else */
    struct mu_ssh_config ssh;
    const char *state_dir;    /* where claims are journalled; NULL: $XDG_STATE_HOME/muster, else ~/.local/state/muster */
    const char *record_dir;   /* write transcripts there (run/tape.h); NULL: none */
    const char *replay_dir;   /* answer from those there, and touch no server; NULL: no */
    const struct mu_console_io *console; /* lines for the one server, instead of the script's steps; or NULL */
    bool lends_last;          /* specs: the last server has no results of its own: it is what others are paired with, and good */
    const char *db;           /* where the run is kept; NULL: nowhere */
    bool db_required;         /* what is wrong with it is an error; else a warning, and the run is not kept */
    const char *invocation;   /* kept with it: what it takes to go on with it, JSON; or NULL */
    struct mu_former *former; /* go on with this run: its servers, in its order; taken by mu_run_new() when that succeeds */
    bool adopt_claims;        /* of the former run: its journal is gone on with, and what is open in it is still claimed */
    struct mu_crew *crew;     /* who does the servers' tasks (run/crew.h), borrowed until mu_run_go() is over; NULL: threads here */
    struct mu_left *left;     /* clean up after this run instead: its servers are those of the left's claims, in order */
    void (*on_done)(void *arg, const struct mu_task_result *task, size_t done, size_t total);
    void *on_done_arg;
    /* Every so often (0: each second), and when somebody asked; in the main thread, from inside mu_run_go(). NULL: never */
    void (*on_progress)(void *arg, const struct mu_progress_now *now);
    void *on_progress_arg;
    uint64_t progress_every_ms;
    unsigned long alloc_fail_at;   /* tests: the nth Lua allocation of each worker fails; 0: none */
    unsigned long *alloc_requests; /* tests: where worker 0 leaves how many it made; NULL: nowhere */
};

struct mu_run;
int mu_run_new(struct mu_run **out, const struct mu_run_config *config, const struct mu_script *script,
               struct mu_server *const *servers, size_t n, const struct mu_bindings *bindings, struct mu_logger *logger,
               struct mu_err *err);
/* Run to the end. Negative when it could not start: keys, known hosts, threads. */
int mu_run_go(struct mu_run *run, struct mu_err *err);
void mu_run_interrupt(struct mu_run *run, int signal_number); /* any thread; async-signal-safe */
void mu_run_ask_progress(struct mu_run *run); /* have on_progress called soon; any thread; async-signal-safe */
const char *mu_run_record_problem(const struct mu_run *run); /* why a transcript is not whole; NULL: all are */
void mu_run_break(struct mu_run *run); /* cancel the console's line that is at work; any thread; async-signal-safe */
struct mu_store;
struct mu_run_result *mu_run_results(struct mu_run *run);
struct mu_store *mu_run_store(struct mu_run *run); /* where it is kept, until it is freed; NULL: nowhere */
/* False when a worker is still stuck in a call: the run, and all that it borrows, must then stay to the end of the process. */
bool mu_run_free(struct mu_run *run);

#endif
