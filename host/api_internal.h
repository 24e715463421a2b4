/* api_internal.h: the objects behind muster.h, for the files of the api.
 * Owner: as muster.h says of each. Thread: likewise. Must not know: how a layer works.
 */
#ifndef MU_API_INTERNAL_H
#define MU_API_INTERNAL_H

#include "core/log.h"
#include "inventory/inventory.h"
#include "muster.h"
#include "results/results.h"
#include "run/run.h"

struct muster {
    struct mu_logger *logger;
    enum mu_level level; /* lines below it are not made */
    struct mu_inventory *inventory;
    char *library_dir;
    bool *chosen; /* a server each; NULL: all */
    size_t n_chosen;
    bool adding;  /* chosen was made by muster_select_add */
    bool pinned;  /* a stuck worker still uses it, the script and the run: nothing is freed any more */
};

struct mu_former;
struct mu_left;

struct muster_script {
    struct muster *m;
    struct mu_script *script;
};

/* Copies of what options say. */
struct mu_api_words {
    char *strings[10]; /* user, password, passphrase, max_broken, state_dir, sudo_password, record_dir, replay_dir, ssh_config, db:
                          wiped at the end */
    char *invocation; /* JSON */
    char **known_hosts, **key_files, **steps; /* NULL-terminated, or NULL */
};

struct mu_api_nats;
struct mu_crew;

struct muster_run {
    struct muster *m;
    struct mu_run *run;
    struct mu_server **servers;
    struct muster_script *own_script; /* of a cleanup, else NULL */
    struct mu_api_words words;
    struct mu_api_nats *nats; /* of a run that agents do, else NULL */
    struct mu_crew *crew;     /* likewise */
    struct mu_console_io console_io; /* of a console */
    void (*on_server_done)(void *arg, const char *server_id, const char *status, size_t done, size_t total);
    void *on_server_done_arg;
    muster_progress_fn *on_progress;
    void *on_progress_arg;
    struct mu_buf summary, at_work;
};

/* What a run is, beside the usual; all NULL: the usual. */
struct mu_api_kind {
    struct mu_left *left;                 /* the cleanup after that one */
    const struct muster_console *console; /* a console */
    struct mu_former *former;             /* going on with that one; the run's when it succeeds */
};
/* A run of script over servers (taken). library_dir is borrowed. On an error only servers are freed. */
int mu_api_run_new(struct muster *m, const struct mu_script *script, const struct muster_run_options *options,
                   struct mu_server **servers_take, size_t n, const char *library_dir, const struct mu_api_kind *kind,
                   struct muster_run **out, struct mu_err *err);
const struct mu_former *mu_api_stored(const struct muster_stored *s); /* NULL: a run has it now */
int mu_api_fit_choice(struct muster *m); /* the inventory has grown. MU_ENOMEM */

/* api_options.c: all of options but the callbacks; what c points to is in w (zeroed). False: no memory; free w either way. */
bool mu_api_translate(struct mu_api_words *w, const struct muster_run_options *o, struct mu_run_config *c);
void mu_api_words_free(struct mu_api_words *w);
void mu_api_wipe(char **strings, size_t n); /* and free them */

/* api_agents.c: the agents that options->nats means are to do the run; an error where muster was built without. */
int mu_api_crew(struct muster_run *run, const struct muster_run_options *options, struct mu_run_config *config, struct mu_err *err);
void mu_api_crew_free(struct muster_run *run); /* before its mu_run, whose loop it uses */

/* api_progress.c: have the run tell its progress as the options say. */
void mu_api_watch(struct muster_run *run, const struct muster_run_options *options, struct mu_run_config *config);

/* Copy err into out (may be NULL) and return its code. */
int mu_api_give(struct muster_error *out, const struct mu_err *err);
int mu_api_give_nomem(struct muster_error *out);
/* 0 for rc 0, else mu_api_give(). */
int mu_api_give_result(struct muster_error *out, int rc, const struct mu_err *err);

#endif
