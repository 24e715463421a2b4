/* muster.h: the public door of the engine. The command line is built on this header alone.
 *
 * Life: muster_new → (log sinks) → servers (an inventory file, or one by one) → muster_script_load → muster_run_new →
 *   muster_run_start → read results, write reports → muster_run_free → muster_script_free → muster_free.
 * Threads: an engine and everything made from it belong to one thread at a time, except muster_run_interrupt().
 *   A run makes its own worker threads inside muster_run_start() and ends them before it returns.
 * Ownership: what _new and _load give is freed with the matching _free (NULL allowed). Strings given are copied; strings
 *   returned are owned by the object they came from and valid until it is freed or changed.
 * Errors: functions that can fail return 0 or a negative code and fill `err` (may be NULL).
 * No ABI promise before 1.0. Options structs start with their size, so that fields can be added.
 */
#ifndef MUSTER_H
#define MUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MUSTER_API __attribute__((visibility("default")))
#else
#define MUSTER_API
#endif

MUSTER_API const char *muster_version(void); /* "0.1.0" */

struct muster_error {
    int code;          /* negative */
    char message[512]; /* one line: what, where, what to do */
};

struct muster;
struct muster_script;
struct muster_run;
struct muster_nats_options; /* muster/agents.h */

/* ---- engine ---- */

enum muster_level { MUSTER_TRACE, MUSTER_DEBUG, MUSTER_INFO, MUSTER_WARNING, MUSTER_ERROR, MUSTER_LOG_OFF };
enum muster_log_format { MUSTER_LOG_CONSOLE, MUSTER_LOG_JSON, MUSTER_LOG_LOGFMT };

struct muster_options {
    size_t size;             /* sizeof(struct muster_options) */
    enum muster_level level; /* lines below it are not made */
    const char *library_dir; /* where require finds the standard scripts (scripts/lib); NULL: as installed */
};
#define MUSTER_OPTIONS_INIT {sizeof(struct muster_options), MUSTER_INFO, NULL}

MUSTER_API int muster_new(struct muster **out, const struct muster_options *options, struct muster_error *err);
MUSTER_API void muster_free(struct muster *m);

/* Log sinks; add them before a run. With none, nothing is logged. */
MUSTER_API int muster_log_to_fd(struct muster *m, int fd, enum muster_log_format format, bool color, struct muster_error *err);
MUSTER_API int muster_log_to_file(struct muster *m, const char *path, enum muster_log_format format, struct muster_error *err);

struct muster_field {
    const char *key;
    const char *value; /* numbers as text */
};
/* One line. Called under a lock from any of the run's threads; must not call back into the engine. Everything is borrowed
 * for the call; message and values are raw bytes from scripts and servers. */
typedef void muster_log_fn(void *arg, enum muster_level level, int64_t wall_ms, const char *message,
                           const struct muster_field *fields, size_t n_fields);
MUSTER_API int muster_log_to(struct muster *m, muster_log_fn *fn, void *arg, struct muster_error *err);
/* A line of the embedder's own, through the engine's sinks. */
MUSTER_API void muster_log(struct muster *m, enum muster_level level, const char *message);
/* A line that stays below the log of muster_log_to_fd(), which must be a terminal's: taken away before each line of the log
 * and put back behind it. One line of printable text, narrower than the terminal; NULL: none any more. Any thread. */
MUSTER_API void muster_log_status(struct muster *m, const char *text);

/* ---- servers ---- */

/* Add the servers of an inventory: a plain list, JSON, or one of Ansible's (a file, folder, program, or "a,b,"); see
 * docs/inventory.md. "-" is standard input. Warnings are logged. After an error of one of Ansible's, none of those can be
 * added any more; servers that came from them are made anew with each further one. */
MUSTER_API int muster_inventory_load(struct muster *m, const char *path, struct muster_error *err);
/* How long a program that prints an inventory may take for one answer; 30 s when never called. */
MUSTER_API void muster_inventory_set_timeout(struct muster *m, uint64_t timeout_ms);
enum muster_inventory_form {
    MUSTER_INVENTORY_LIST,   /* groups, and the variables of all servers: JSON as of ansible-inventory --list */
    MUSTER_INVENTORY_SERVER, /* the variables of the server name */
    MUSTER_INVENTORY_GRAPH,  /* the tree of groups below name; NULL: all */
};
/* *text is allocated; the caller frees it. Only by the form GRAPH is it meant for people; ids in it are printable. */
MUSTER_API int muster_inventory_show(struct muster *m, enum muster_inventory_form form, const char *name, char **text,
                                     struct muster_error *err);
/* Add one server; address NULL: its id. */
MUSTER_API int muster_server_add(struct muster *m, const char *id, const char *address, struct muster_error *err);
/* Set "address", "port", "user", "key", "transport", "ssh_args", or a variable of any other name. */
MUSTER_API int muster_server_set(struct muster *m, const char *id, const char *name, const char *value, struct muster_error *err);
MUSTER_API size_t muster_server_count(const struct muster *m);
MUSTER_API const char *muster_server_id(const struct muster *m, size_t i);      /* NULL past the end */
MUSTER_API const char *muster_server_address(const struct muster *m, size_t i); /* NULL past the end */
MUSTER_API bool muster_server_known(const struct muster *m, const char *id);
MUSTER_API bool muster_group_known(const struct muster *m, const char *name);
/* The server or group whose name is nearest to a mistyped one; NULL when none is near. */
MUSTER_API const char *muster_name_closest(const struct muster *m, const char *name);
/* Choose the servers of later runs by a pattern, as docs/patterns.md explains them: "web:&rack1:!srv[03-05]". Each further
 * call narrows the choice. NULL: all again. A term that matches none is an error, and so is a pattern that leaves none. */
MUSTER_API int muster_select(struct muster *m, const char *pattern, struct muster_error *err);
/* Choose exactly this one in addition to those already chosen this way; the first call starts from none. */
MUSTER_API int muster_select_add(struct muster *m, const char *id, struct muster_error *err);
MUSTER_API bool muster_server_selected(const struct muster *m, size_t i);
/* Names folded to a node set, "srv[01-10,15]". The caller frees it with free(). NULL: out of memory. */
MUSTER_API char *muster_names_fold(const char *const *names, size_t n);

/* ---- scripts ---- */

/* Read, compile and check a script; nothing touches a server. Errors name file:line:column where there is one. */
MUSTER_API int muster_script_load(struct muster *m, const char *path, struct muster_script **out, struct muster_error *err);
MUSTER_API void muster_script_free(struct muster_script *s);
/* Set a parameter from text; it takes the type of its default. Unknown names and wrong types are errors. */
MUSTER_API int muster_script_set_param(struct muster_script *s, const char *name, const char *value, struct muster_error *err);
/* Set the threshold of a metric, "STEP.METRIC", for all servers, whatever script and inventory say: ">= 40 MiB/s", "> 1, < 5",
 * or a JSON object: {"history": {"drop": "5%"}}.
 * Unknown steps are errors, and metrics that the step has no threshold for, unless it has none at all. */
MUSTER_API int muster_script_set_threshold(struct muster_script *s, const char *name, const char *rule,
                                           struct muster_error *err);
MUSTER_API const char *muster_script_description(const struct muster_script *s); /* "" when none */
MUSTER_API size_t muster_script_step_count(const struct muster_script *s);
MUSTER_API const char *muster_script_step_name(const struct muster_script *s, size_t i);
MUSTER_API bool muster_script_step_destructive(const struct muster_script *s, size_t i);
MUSTER_API bool muster_script_step_pair(const struct muster_script *s, size_t i); /* of two servers together */

/* The files that were read to load it, the script and modules; NULL past the end. */
MUSTER_API const char *muster_script_file(const struct muster_script *s, size_t i);

enum muster_param_type { MUSTER_PARAM_STRING, MUSTER_PARAM_INTEGER, MUSTER_PARAM_NUMBER, MUSTER_PARAM_BOOLEAN };
struct muster_param {
    const char *name;
    enum muster_param_type type;
    const char *string; /* its default, or what was set: the one of its type; "" for the others */
    int64_t integer;
    double number;
    bool boolean;
};
struct muster_threshold {
    const char *metric;
    const char *unit; /* "" when none */
    bool has_min, has_max;
    bool min_open, max_open; /* the bound itself does not pass */
    double min, max;
    bool some;  /* for servers with certain variables alone; a metric may have several such rules */
    bool peers; /* compared with what its peers measure as well */
    bool history; /* compared with what the server itself measured before as well */
};
/* Each fills *out and returns 0, or a negative code when an index is past the end. Parameters are in order of name. */
MUSTER_API int muster_script_param(const struct muster_script *s, size_t i, struct muster_param *out);
MUSTER_API int muster_script_threshold(const struct muster_script *s, size_t step, size_t i, struct muster_threshold *out);

/* What is wrong with a script, and what is doubtful, beyond whether it loads. A script with nothing but hints runs. */
struct muster_check;
enum muster_severity { MUSTER_FINDING_ERROR, MUSTER_FINDING_HINT };
struct muster_finding {
    enum muster_severity severity;
    const char *file;
    unsigned line, column; /* from 1; 0: not known */
    const char *rule;      /* "load", "unknown-global", "luacheck", … */
    const char *message;
};
/* 0 whatever is found, also in a script that cannot be loaded or read. Negative: no memory. */
MUSTER_API int muster_check_new(struct muster *m, const char *path, struct muster_check **out, struct muster_error *err);
MUSTER_API void muster_check_free(struct muster_check *c);
MUSTER_API const struct muster_script *muster_check_script(const struct muster_check *c); /* NULL: cannot be loaded */
/* By file and line. Fills *out and returns 0, or a negative code when i is past the end. */
MUSTER_API int muster_check_finding(const struct muster_check *c, size_t i, struct muster_finding *out);

/* ---- tests of scripts ---- */

struct muster_test_options {
    size_t size;              /* sizeof(struct muster_test_options) */
    const char *const *paths; /* specs and folders of them, NULL-terminated; NULL or empty: *_spec.lua here, in spec and in
                                 scripts */
    const char *output;       /* a busted output: "TAP", "junit", …; NULL: its default */
    const char *filter;       /* a Lua pattern: only tests whose name matches; NULL: all */
    bool list, shuffle;       /* only print their names; in random order */
};
#define MUSTER_TEST_OPTIONS_INIT {.size = sizeof(struct muster_test_options)}

/* Run specs with busted, inside this process; it prints. 0 when tests ran, and then *passed; negative when none did. They
 * may use muster.testing, which runs scripts without a server. */
MUSTER_API int muster_test(struct muster *m, const struct muster_test_options *options, bool *passed,
                           struct muster_error *err);

/* ---- runs ---- */

enum muster_hostkey_policy { MUSTER_HOSTKEY_STRICT, MUSTER_HOSTKEY_ACCEPT_NEW, MUSTER_HOSTKEY_OFF };

/* How far a run is. Servers, but for running. One whose own task has ended is done, also while its peers may still have a say
 * in what becomes of it. */
struct muster_progress {
    size_t total, waiting, done; /* waiting: not started yet */
    size_t running;              /* tasks in flight: servers, pairs of them, marks */
    size_t failed, not_measured; /* of those done; not measured: error, timeout, unreachable */
    uint64_t elapsed_ms;         /* since the first server was started */
    uint64_t left_ms;            /* an estimate; 0: not known */
    double per_minute;           /* servers done so far; 0: none */
    bool interrupted;
};
/* In the thread of muster_run_start(); may read the run's progress and log, and must not take long: nothing is dealt or
 * collected meanwhile. */
typedef void muster_progress_fn(void *arg, struct muster_run *run, const struct muster_progress *progress);

struct muster_run_options {
    size_t size;     /* sizeof(struct muster_run_options) */
    unsigned forks;  /* servers in flight; 0: 50, with nats as many as agents take */
    unsigned workers; /* threads; 0: the number of cores, no more than forks */
    uint64_t timeout_ms;          /* a task's deadline; 0: what the script says, else 1 h */
    uint64_t connect_timeout_ms;  /* 0: what ssh_config says, else 10 s */
    int connect_retries;          /* of a connection that was refused, unreachable or closed before the login: after 0.5 s,
                                     1 s, 2 s, … with jitter; 0: what ssh_config says, else 2; negative: none */
    unsigned start_rate;          /* new SSH connections a second, over all of the run; 0: as they come */
    uint64_t teardown_timeout_ms; /* 0: 60 s */
    uint64_t grace_ms;            /* for teardown after an interrupt; 0: 15 s */
    size_t task_memory;           /* Lua memory of one task, bytes; 0: 64 MiB */
    bool local;                   /* run steps on this machine, no SSH */
    bool allow_destructive;       /* run steps that the script calls destructive; they are skipped otherwise */
    bool dry_run;                 /* change nothing: no steps, no commands, no connections; hooks say what they would do */
    const char *max_broken;       /* no more servers than this are marked as broken, or none is: "5%", "20", "5%,20";
                                     NULL: what the script says, else 5 % of the servers chosen (at least 1) */
    bool fail_fast;               /* after a step that did not pass, the rest of a server's steps are skipped */
    enum muster_hostkey_policy hostkey_policy;
    const char *const *known_hosts; /* NULL-terminated; NULL: the user's and the system's */
    const char *const *key_files;   /* NULL-terminated; NULL: ~/.ssh/id_ed25519, id_ecdsa, id_rsa */
    const char *user;               /* for servers that name none; NULL: what ssh_config says, else this process's user */
    const char *password;           /* NULL: not tried */
    const char *passphrase;         /* of encrypted keys */
    bool no_agent;
    uint64_t agent_timeout_ms; /* 0: 5 s */
    const char *const *steps;  /* NULL-terminated, names and globs, several with commas between them: these of the script's
                                  steps alone, and nobody is marked; the others are left out of the results; NULL: all */
    const char *record_dir;    /* write there, a file a server, what each command was asked and answered; NULL: nowhere */
    const char *replay_dir;    /* run without servers: the files there answer instead; NULL: no */
    const char *state_dir;     /* where claims are journalled, see muster_leftovers; NULL: $XDG_STATE_HOME/muster, else
                                  ~/.local/state/muster */
    /* Called in the thread of muster_run_start() when a server is finished. */
    void (*on_server_done)(void *arg, const char *server_id, const char *status, size_t done, size_t total);
    void *on_server_done_arg;
    const char *sudo_password; /* for commands that run as root by sudo; NULL: none, sudo must not ask for one */
    bool hostkey_policy_given; /* hostkey_policy holds even if it is strict and ssh_config says otherwise, or, in a cleanup,
                                  that of then was not */
    const char *ssh_config;    /* a file in the form of ssh_config(5) to be read instead of ~/.ssh/config and
                                  /etc/ssh/ssh_config; "none": no such file at all; NULL: these two, as ssh does */
    /* Without `passphrase`: ask a person for that of an encrypted key which is needed, and which no agent holds; at most
     * size - 1 bytes into out, terminated; it is wiped when it has been used. again: the last answer was not it. 0, or
     * another number for no answer. Called in muster_run_start(), or before it in muster_run_new(), in its thread and before
     * anything runs. NULL: such a key is not used. */
    int (*ask_passphrase)(void *arg, const char *key_file, bool again, char *out, size_t size);
    void *ask_passphrase_arg;
    muster_progress_fn *on_progress; /* every so often while it runs, and after muster_run_ask_progress(); NULL: never */
    void *on_progress_arg;
    uint64_t progress_every_ms;      /* 0: each second */
    const char *db;            /* the file where the run is kept, each step as soon as it is over (docs/results.md), see
                                  muster_db_path(); NULL: nowhere. Dry runs and consoles are not kept */
    bool db_required;          /* what is wrong with it is an error, and a replay is kept, too; otherwise a warning, and the run
                                  is not kept. Trouble in the middle of a run never ends it */
    const char *const *invocation; /* kept with it for muster_stored_word(): what you need to start it again. NULL-terminated,
                                      or NULL. No secrets */
    const struct muster_nats_options *nats; /* agents do it; SSH's options but user are theirs, and not read. NULL: this process */
    uint64_t agent_wait_ms;    /* then: servers that no agent takes for so long are errors; 0: 10 min */
};
#define MUSTER_RUN_OPTIONS_INIT {.size = sizeof(struct muster_run_options)}

/* How each server chosen would be reached: text is a line an option, "keyword value" as `ssh -G` prints it, of what the
 * inventory, options (may be NULL) and ssh_config say. Commands of ssh_config's Match lines are run; nothing is connected.
 * A server whose options are wrong has text NULL, and err->message says why. */
MUSTER_API int muster_ssh_options(struct muster *m, const struct muster_run_options *options,
                                  void (*fn)(void *arg, const char *server_id, const char *text,
                                             const struct muster_error *err),
                                  void *arg, struct muster_error *err);

/* Add the servers that dir has transcripts of this script for, unless they are there; *n: how many it has. */
MUSTER_API int muster_replay_servers(struct muster *m, const struct muster_script *script, const char *dir, size_t *n,
                                     struct muster_error *err);
MUSTER_API int muster_run_new(struct muster *m, struct muster_script *script, const struct muster_run_options *options,
                              struct muster_run **out, struct muster_error *err);
/* Run to the end; blocks. 0 when it ran, whatever was found out; negative when it could not start, also when the script's
 * before_all did not work. Once per run. */
MUSTER_API int muster_run_start(struct muster_run *run, struct muster_error *err);
/* First call: deal no more servers, cancel what runs, run teardowns within the grace period. Second: end at once. Any
 * thread, and async-signal-safe. signal_number (0: none) decides the exit code. */
MUSTER_API void muster_run_interrupt(struct muster_run *run, int signal_number);
MUSTER_API void muster_run_free(struct muster_run *run);

/* Have on_progress called soon. Any thread, and async-signal-safe. */
MUSTER_API void muster_run_ask_progress(struct muster_run *run);
struct muster_where {
    const char *server_id;
    const char *doing; /* "loading" "setup" "step" "on_failure" "teardown" "mark" "console" */
    const char *step;  /* its name; NULL outside steps */
    uint64_t for_ms;   /* so long already */
};
/* Where a server is now. Fills *out and returns 0; negative when nothing is being done for it, or past the end. Any thread,
 * while the run lives. */
MUSTER_API int muster_run_where(const struct muster_run *run, size_t server, struct muster_where *out);
/* The same of all in words: several lines, servers folded, those that take longest first; of places at most max_lines, then
 * how many servers are missing. Valid until it is called again. In the thread of muster_run_start(). */
MUSTER_API const char *muster_run_at_work(struct muster_run *run, size_t max_lines);
/* ---- runs that were kept ---- */

/* Where runs are kept by default, malloc'd: results.db in state_dir, NULL: $XDG_STATE_HOME/muster, else ~/.local/state/muster.
 * make: the folder is made when it is not there. NULL and err: there is no such place. */
MUSTER_API char *muster_db_path(const char *state_dir, bool make, struct muster_error *err);

/* Whether the name of a parameter or variable promises a secret ("bmc_password"): its value is not kept then. */
MUSTER_API bool muster_name_is_secret(const char *name, size_t len);

/* One run as it was kept. */
struct muster_stored;
struct muster_stored_options {
    size_t size;        /* sizeof(struct muster_stored_options) */
    const char *db;     /* as in muster_run_options */
    const char *run;    /* its id, or the beginning of it; NULL: the last one */
    const char *script; /* run is NULL: the last one of this script; NULL: of any */
    bool resume;        /* it is to be gone on with, of any script: the last one that was cut off or interrupted, or the one that
                         * `run` names; one that was finished is not measured again, muster_run_start() then does nothing */
};
#define MUSTER_STORED_OPTIONS_INIT {.size = sizeof(struct muster_stored_options)}
MUSTER_API int muster_stored_open(struct muster *m, const struct muster_stored_options *options, struct muster_stored **out,
                                  struct muster_error *err);
MUSTER_API void muster_stored_free(struct muster_stored *s);
MUSTER_API const char *muster_stored_id(const struct muster_stored *s);
MUSTER_API bool muster_stored_is_finished(const struct muster_stored *s);                 /* it came to its end */
MUSTER_API const char *muster_stored_script(const struct muster_stored *s);               /* absolute path */
MUSTER_API const char *muster_stored_word(const struct muster_stored *s, size_t i);       /* of invocation; NULL past the end */
MUSTER_API const char *muster_stored_server(const struct muster_stored *s, size_t i);     /* id; NULL past the end */
MUSTER_API const char *muster_stored_status(const struct muster_stored *s, size_t i);     /* "failed"; NULL past the end */
/* What its servers kept by server:keep(), in their order. bytes is NULL unless they are wanted. fn returns 0 to go on; other
 * numbers end it, and are returned. */
struct muster_artefact {
    const char *server, *name; /* name: letters, digits, ".", "_", "-", and no "." first */
    int64_t kept_ms;           /* wall clock */
    const void *bytes;
    size_t n;
};
MUSTER_API int muster_stored_artefacts(struct muster_stored *s, bool bytes,
                                       int (*fn)(void *arg, const struct muster_artefact *artefact), void *arg,
                                       struct muster_error *err);
/* Add the servers of the run that the engine does not have, as the inventory said them then. Secrets are not kept: when one
 * had a variable that is one, by its name, that is an error. */
MUSTER_API int muster_stored_add_servers(struct muster_stored *s, struct muster_error *err);
/* Of the servers chosen, only those that had one of these statuses, "failed,error", in that run; *n: how many. */
MUSTER_API int muster_stored_select(struct muster_stored *s, const char *statuses, size_t *n, struct muster_error *err);
/* 0: the script is as it was then, byte for byte; negative: it is not, err says how to tell. */
MUSTER_API int muster_stored_check_script(const struct muster_stored *s, const struct muster_script *script,
                                          struct muster_error *err);
/* Go on with the run: servers that have no result yet are measured, and its results are those of all. The engine has to have
 * its servers; options are as in muster_run_new(), but for db, which is not read. What it claimed is to be cleaned up before,
 * but with nats: then agents destroy it, each before it measures the server anew.
 * When it succeeds s has given its run away: it can only be freed. Start it as any other. */
MUSTER_API int muster_run_resume(struct muster_stored *s, struct muster_script *script, const struct muster_run_options *options,
                                 struct muster_run **out, struct muster_error *err);

/* ---- a console ---- */

struct muster_console {
    size_t size; /* sizeof(struct muster_console) */
    /* The next line of Lua, malloc'd; NULL ends the console. answer: what the line before came to, several lines, raw bytes
     * from servers in it; NULL: nothing. more: it was the beginning of a chunk only, and is to be given again with what
     * follows. Called in the thread of muster_run_start(), with no line at work; other runs may be made in it. */
    char *(*next)(void *arg, const char *answer, bool more);
    void *arg;
};
/* A run that runs Lua line by line against the one server chosen; its variable `server` is that server. What is printed and
 * logged goes to the log. options may be NULL; start it as any other. */
MUSTER_API int muster_console_new(struct muster *m, const struct muster_console *console,
                                  const struct muster_run_options *options, struct muster_run **out,
                                  struct muster_error *err);
/* Cancel the line at work, if there is one. Any thread, and async-signal-safe. */
MUSTER_API void muster_console_cancel(struct muster_run *run);

/* ---- what earlier runs left behind ---- */

/* A script claims a server before it installs something on it, and releases it when that is gone. Claims that a run did
 * not release, since it was killed or its teardown failed, stay in its journal. Journals are locked while the object
 * lives; it must outlive the cleanups made from it. */
struct muster_leftovers;

struct muster_leftovers_options {
    size_t size;                 /* sizeof(struct muster_leftovers_options) */
    const char *state_dir;       /* as in muster_run_options */
    const char *const *journals; /* NULL-terminated: these files and no others. NULL: all of state_dir */
    bool tidy;                   /* remove journals that have no open claim, and files that a crash left half-made */
};
#define MUSTER_LEFTOVERS_OPTIONS_INIT {.size = sizeof(struct muster_leftovers_options)}

/* A journal that was named and cannot be used, since its run still lives for example, is an error; of those found in
 * state_dir the living are counted, and the others that cannot be used are told by muster_leftovers_problem(). */
MUSTER_API int muster_leftovers_open(struct muster *m, const struct muster_leftovers_options *options,
                                     struct muster_leftovers **out, struct muster_error *err);
MUSTER_API void muster_leftovers_free(struct muster_leftovers *l);
MUSTER_API size_t muster_leftovers_living(const struct muster_leftovers *l);
MUSTER_API const char *muster_leftovers_problem(const struct muster_leftovers *l, size_t i); /* NULL past the end */
MUSTER_API size_t muster_leftovers_count(const struct muster_leftovers *l); /* of runs that left something, oldest first */

struct muster_leftover_run {
    const char *id, *owner, *time; /* of its beginning, ISO 8601 UTC */
    const char *script, *journal;  /* absolute paths */
    size_t n_servers;              /* that it left, in the order of claiming */
};
struct muster_leftover_server {
    const char *id, *address;
    const char *time; /* of the claim */
    const char *data; /* what the script noted, JSON */
};
/* Each fills *out and returns 0, or a negative code when an index is past the end. */
MUSTER_API int muster_leftovers_run(const struct muster_leftovers *l, size_t run, struct muster_leftover_run *out);
MUSTER_API int muster_leftovers_server(const struct muster_leftovers *l, size_t run, size_t server,
                                       struct muster_leftover_server *out);

/* A run that does nothing but the script's teardown, for each server that run number `run` left: with the parameters,
 * login, keys and host key policy of then, and in its name. script NULL: the one of then. options may be NULL; where they
 * name user, keys or known hosts, these hold instead. Start it as any other; its results tell by left_behind what is still
 * there, and its journal is removed with the last claim. At most one a run. */
MUSTER_API int muster_cleanup_new(struct muster *m, struct muster_leftovers *l, size_t run, const char *script,
                                  const struct muster_run_options *options, struct muster_run **out,
                                  struct muster_error *err);

/* ---- results, after muster_run_start() ---- */

/* Why a transcript (record_dir) is not whole; NULL when all are. */
MUSTER_API const char *muster_run_record_problem(const struct muster_run *run);
MUSTER_API const char *muster_run_id(const struct muster_run *run);
MUSTER_API int muster_run_exit_code(const struct muster_run *run); /* 0, 1, 3, 4, 130 or 143: see README */
/* What went wrong in the script's after_all; "" when nothing did, or there is none. */
MUSTER_API const char *muster_run_after_all_error(const struct muster_run *run);
MUSTER_API size_t muster_run_server_count(const struct muster_run *run);

struct muster_server_result {
    const char *id;
    const char *status; /* "passed" "failed" "error" "timeout" "unreachable" "cancelled" "skipped" */
    const char *reason; /* of the worst failure; "" when there is none */
    uint64_t duration_ms;
    size_t n_steps;
    const char *mark;        /* as broken: "none"; "made"; "kept" (left as it was, see mark_note); "failed" (could not be
                                made); "withheld" (over the cap, or interrupted) */
    const char *mark_reason; /* what the mark says; "" when there was to be none */
    const char *mark_note;   /* why it was kept, failed or withheld; "" otherwise */
    bool left_behind;        /* an installation that the run made may still be there */
};
struct muster_step_result {
    const char *name;
    const char *status;
    const char *reason;
    uint64_t duration_ms;
    size_t n_metrics;
    unsigned measured;   /* how often: more than once when a failed measurement was to be confirmed */
    const char *earlier; /* what the measurements before the last came to; "" when there were none */
    bool withheld;       /* skipped since it is destructive and that was not allowed */
};
struct muster_metric_result {
    const char *name;
    double value;
    const char *unit; /* "" when none */
    bool judged;
    bool passed; /* meaningful when judged */
    size_t n_samples; /* of which the value is the median; 1 when the step returned a single number */
    const char *peers;      /* what the comparison with its peers came to: "passed", "missed", "not judged"; "" when none */
    const char *peers_note; /* why it was not judged; "" otherwise */
    const char *history;    /* what the comparison with its own past came to, likewise */
    const char *history_note;
};
/* Each fills *out and returns 0, or a negative code when an index is past the end. */
MUSTER_API int muster_run_server(const struct muster_run *run, size_t server, struct muster_server_result *out);
MUSTER_API int muster_run_step(const struct muster_run *run, size_t server, size_t step, struct muster_step_result *out);
MUSTER_API int muster_run_metric(const struct muster_run *run, size_t server, size_t step, size_t metric,
                                 struct muster_metric_result *out);

/* One of a metric's samples, in the order they were measured. */
MUSTER_API int muster_run_sample(const struct muster_run *run, size_t server, size_t step, size_t metric, size_t sample,
                                 double *out);

/* The summary that ends a run, several lines, newline at the end. */
MUSTER_API const char *muster_run_summary(struct muster_run *run, bool color);

enum muster_report {
    MUSTER_REPORT_JSON,
    MUSTER_REPORT_JUNIT,
    MUSTER_REPORT_OPENMETRICS, /* text for Prometheus, also for node_exporter's textfile collector */
    MUSTER_REPORT_OTLP,        /* metrics of OpenTelemetry, as JSON lines */
    MUSTER_REPORT_HTML         /* one page, complete in itself, with the former runs of the script where the run is kept */
};
/* Write a report; the file appears whole or not at all (renamed into place). "-" is standard output. */
MUSTER_API int muster_run_report(struct muster_run *run, enum muster_report kind, const char *path, struct muster_error *err);
MUSTER_API int muster_stored_report(struct muster_stored *s, enum muster_report kind, const char *path,
                                    struct muster_error *err); /* the same of a run that was kept */

#ifdef __cplusplus
}
#endif

#endif
