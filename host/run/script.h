/* script.h: a script as the host knows it: its source, parameters, steps and thresholds in C.
 *
 * Purpose: load and check once, before anything runs; every worker then instantiates the same source per task.
 * Owner: the caller of mu_script_load(). Immutable during a run.
 * Thread: load and set in one thread; read from any.
 * Must not know: servers, SSH.
 */
#ifndef MU_RUN_SCRIPT_H
#define MU_RUN_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "results/results.h"
#include "run/marks.h"
#include "run/rules.h"

struct mu_bindings;
struct mu_findings;
struct mu_logger;

enum mu_param_type { MU_PARAM_STR, MU_PARAM_INT, MU_PARAM_NUM, MU_PARAM_BOOL };

struct mu_param {
    char *name;
    enum mu_param_type type;
    char *str;
    long long i; /* also BOOL */
    double num;
    bool set;    /* from outside the script */
};

struct mu_step {
    char *name;
    uint64_t timeout_ms;
    struct mu_rule *rules;      /* sorted by metric, then as written */
    size_t n_rules;
    struct mu_threshold *set;   /* from the command line: in place of whatever else there is */
    size_t n_set;
    struct mu_param *own; /* of a used step: these hold for it, unless the script's of the same name was set */
    size_t n_own;
    char **needs;
    size_t n_needs;
    bool has_when;
    bool destructive;       /* runs only where that was allowed */
    bool pair;              /* of two servers together (pairs.h) */
    unsigned confirm;       /* how often a failed measurement is made again */
    unsigned confirm_peers; /* and one that is behind its peers */
};

/* A bound of a threshold that a parameter gives: min = "params.min_iops". */
enum mu_bound_kind { MU_BOUND_MIN, MU_BOUND_MAX, MU_BOUND_REFERENCE };
struct mu_bound {
    size_t step;
    char *metric, *param;
    size_t place; /* as mu_rule's */
    enum mu_bound_kind kind;
};

struct mu_script {
    char *path;        /* as given */
    char **files;      /* that were read to load it, itself among them */
    size_t n_files;
    char *dir;         /* its folder, where require looks first */
    char **patterns;   /* of files there and below that it sends or reads while it runs */
    size_t n_patterns;
    char *description; /* "" when none */
    uint64_t timeout_ms, setup_timeout_ms, teardown_timeout_ms; /* 0: not said */
    struct mu_param *params;
    size_t n_params;
    struct mu_step *steps;
    size_t n_steps;
    struct mu_bound *bounds;
    size_t n_bounds;
    bool has_setup, has_teardown, has_on_failure, has_mark, has_before_all, has_after_all;
    unsigned mark_on;    /* a bit a status that marks; 0: no mark hook */
    char *max_broken;    /* the cap as it was said, good for mu_cap_parse(); NULL: it was not */
    unsigned confirm, confirm_peers; /* for the steps that do not say */
};

#define MU_STEP_TIMEOUT_MS (30ULL * 60 * 1000)
#define MU_TASK_TIMEOUT_MS (60ULL * 60 * 1000)

/* Read, compile, run the top level (with a time limit), and check the description. */
int mu_script_load(struct mu_script **out, const char *path, const char *library_dir, const struct mu_bindings *bindings,
                   struct mu_logger *logger, struct mu_err *err);
/* The same, and what else is wrong or doubtful in it goes to found; NULL: that is not looked for. */
int mu_script_check(struct mu_script **out, const char *path, const char *library_dir, const struct mu_bindings *bindings,
                    struct mu_logger *logger, struct mu_findings *found, struct mu_err *err);
void mu_script_free(struct mu_script *s);
char *mu_script_folder_of(const char *path); /* what its dir is, malloc'd; NULL: no memory */
int mu_script_set_param(struct mu_script *s, const char *name, const char *value, struct mu_err *err);
/* script_files.c: the files that its patterns stand for: paths from its folder, sorted, each once; malloc'd,
 * each and all. MU_EINVAL: a pattern that no file fits, a link out of the folder. */
int mu_script_list_files(const struct mu_script *s, char ***out, size_t *n, struct mu_err *err);
/* What is wrong with a pattern, static; NULL: nothing. */
const char *mu_script_pattern_problem(const char *pattern);
/* script_threshold.c: what judges "cpu.score" from now on, whatever script and inventory say: ">= 40". */
int mu_script_set_threshold(struct mu_script *s, const char *name, const char *rule, struct mu_err *err);
/* rules.c: of the script's own rules the one that holds for a server; NULL: none. */
struct mu_rule *mu_step_rule(const struct mu_step *st, const struct mu_server *srv, const char *metric);

#endif
