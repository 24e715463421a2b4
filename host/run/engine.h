/* engine.h: what all workers of a run share and none changes: settings, the script, SSH, the bindings' entry points.
 *
 * Purpose: one read-only struct instead of globals. Owner: the run (run.c), or the loader of a script.
 * Thread: all; the sources cache locks inside. Must not know: who reads it.
 */
#ifndef MU_RUN_ENGINE_H
#define MU_RUN_ENGINE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/log.h"
#include "loop/mailbox.h"
#include "run/script.h"
#include "ssh/ssh.h"

struct mu_server;
struct mu_past;
struct mu_remote;
struct mu_sources;
struct mu_tapes;
struct mu_where;

/* The Lua side, as function pointers so that run/ does not include bindings/. All run protected and may raise. */
struct mu_bindings {
    void (*open_state)(lua_State *L);              /* once a worker */
    void (*push_environment)(lua_State *L);        /* a fresh _ENV for the task whose fiber runs */
    void (*push_server)(lua_State *L, struct mu_remote *remote); /* one of the task's */
    void (*push_fleet)(lua_State *L, struct mu_server *const *servers, size_t n);
};

/* What a folder, or a file, is called where people read of it. */
struct mu_alias {
    const char *from, *to; /* from NULL: the end of a list */
};

struct mu_engine {
    const struct mu_bindings *bindings;
    const struct mu_script *script;
    struct mu_sources *sources;
    const struct mu_rules *rules; /* NULL while loading, and in a cleanup */
    const struct mu_past *past;  /* what the servers measured before; NULL: not known, */
    const char *past_why;        /* since …; NULL: nobody asked */
    /* The same where each server has its own, by its index: NULL, past and past_why hold for all. */
    struct mu_past *const *seat_pasts;
    const char *const *seat_past_whys;
    struct mu_server *const *servers; /* of the run; NULL while loading. At an agent they change, while nobody is at work on them */
    size_t n_servers;
    const struct mu_buf *shared; /* what before_all returned; set before the first server is dealt, NULL: nothing (yet) */
    const char *library_dir; /* standard scripts; NULL: none */
    const struct mu_alias *aliases; /* of sources, in errors and tracebacks; the first that fits holds; NULL: none */
    const char *module_dir;  /* where require looks before all; NULL: nowhere else */
    struct mu_logger *logger;
    struct mu_ssh_shared *ssh; /* NULL: everything is local */
    struct mu_tapes *tapes;    /* what is recorded, or replayed; NULL: neither */
    struct mu_where *where;    /* where the tasks are (where.h); NULL while loading */
    struct mu_mailbox *home;   /* the main thread's; NULL while loading */
    bool keeps;                /* results are kept: tasks wait for that (keep.h) */
    bool local, fail_fast;
    bool pairs;                /* the run has pair steps: a server's own task is not all of it */
    const bool *only;          /* a step each: whether it is part of this run; NULL: all are */
    bool dry_run;              /* nothing is changed anywhere: no command, no connection, no request but reading ones */
    bool allow_destructive;
    bool cleanup;              /* destroying what an earlier run left behind */
    const char *run_id;        /* NULL while loading */
    const char *owner;         /* who runs it, "user@host", for marks and tags; NULL while loading */
    const char *user; /* for servers that name none; NULL: not said. The SSH part has it, too */
    const char *sudo_password; /* NULL: sudo must not ask for one */
    int connect_retries; /* of a connection that failed in a way that may pass; 0: ssh_config's, else 2; negative: none */
    uint64_t timeout_ms, connect_timeout_ms, setup_timeout_ms, teardown_timeout_ms;
    size_t task_memory;
    unsigned long alloc_fail_at; /* tests only, see account.h: the nth Lua allocation of each worker fails; 0: none */
};

#endif
