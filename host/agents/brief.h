/* brief.h: what an agent is told of a run before it does tasks of it: which script, and how it is run.
 *
 * Purpose: made from a run's settings by the coordinator; an agent makes settings and script of it again. It names the bundle
 *   (bundle.h) that has the script. No secret is in it: neither a parameter whose name promises one, nor anything of SSH but the
 *   user. What before_all returned is in it as it is.
 * Owner: a mu_brief owns its strings. Thread: any. Must not know: how it travels; tasks.
 */
#ifndef MU_AGENTS_BRIEF_H
#define MU_AGENTS_BRIEF_H

#include "core/buf.h"
#include "core/log.h"
#include "run/crew.h"
#include "run/run.h"
#include "run/script.h"

enum mu_brief_state { MU_BRIEF_OPEN, MU_BRIEF_CANCELLED, MU_BRIEF_OVER };

struct mu_brief_pair {
    char *name, *value;
};

struct mu_brief {
    enum mu_brief_state state;
    char *run_id, *owner;
    char *bundle;             /* hash */
    char *user;               /* for servers that name none; NULL: the agent's */
    char *script_path;        /* as the coordinator's user gave it, for reading */
    struct mu_brief_pair *params, *thresholds; /* text, as mu_script_set_param() and _set_threshold() take it */
    size_t n_params, n_thresholds;
    char **steps;             /* those that are part of the run, by name, to a NULL; NULL: all */
    bool local, fail_fast, dry_run, allow_destructive, cleanup, pairs;
    uint64_t timeout_ms, connect_timeout_ms, setup_timeout_ms, teardown_timeout_ms; /* as they hold */
    int connect_retries;
    size_t task_memory;
    enum mu_level level;      /* lines below it are not wanted */
    struct mu_buf shared;     /* what before_all returned */
    bool has_shared;
};

/* MU_EINVAL: a parameter that was set is a secret by its name, which does not travel; the message says what to do. */
int mu_brief_make(struct mu_brief *out, const struct mu_crew_home *home, const char *bundle, enum mu_level level,
                  struct mu_err *err);
void mu_brief_write(const struct mu_brief *b, struct mu_buf *out);
int mu_brief_read(struct mu_brief *out, const void *bytes, size_t len, struct mu_err *err);
/* Load the script from where the bundle was unpacked, and set what the brief says of it. */
int mu_brief_load_script(const struct mu_brief *b, const char *script_file, const char *library_dir,
                         const struct mu_bindings *bindings, struct mu_logger *logger, struct mu_script **out, struct mu_err *err);
void mu_brief_clear(struct mu_brief *b);

#endif
