/* kept.h: what commands that look at kept runs share: where these are, their options, and how times are written.
 *
 * Purpose: one form of `--db`, of dates and durations. Owner: the caller owns what is opened; cli_kept_close() ends it.
 * Thread: the main thread. Must not know: what a command shows.
 */
#ifndef MU_CLI_KEPT_H
#define MU_CLI_KEPT_H

#include "muster/history.h"
#include "options.h"

enum { OPT_KEPT_DB = 256, OPT_KEPT_STATE_DIR, OPT_KEPT_JSON, OPT_KEPT_CSV, OPT_KEPT_CSV_FOR, OPT_KEPT_LAST, OPT_KEPT_SCRIPT,
       OPT_KEPT_OWN };

#define KEPT_DB_OPTIONS                                                                                               \
    {OPT_KEPT_DB, "db", "DB", "the runs kept in this file, or in postgresql://HOST/NAME (default: results.db in the "  \
                              "state folder)"},                                                                       \
    {OPT_KEPT_STATE_DIR, "state-dir", "DIR", "the state folder (default: $XDG_STATE_HOME/muster, else "              \
                                             "~/.local/state/muster)"}
#define KEPT_FORM_OPTIONS                                                                                             \
    {OPT_KEPT_JSON, "json", NULL, "print one JSON document"}, {OPT_KEPT_CSV, "csv", NULL, "print CSV, a row each"}
#define KEPT_CSV_FOR_OPTION                                                                                           \
    {OPT_KEPT_CSV_FOR, "csv-for", "PROGRAM", "print CSV as that program reads it: plot (Jenkins' Plot plugin: names " \
                                             "and values of the last run) or otava (a row a run)"}
#define KEPT_LAST_OPTION {OPT_KEPT_LAST, "last", "N", "only the last N runs (default 20; 0: all)"}
#define KEPT_SCRIPT_OPTION {OPT_KEPT_SCRIPT, "script", "FILE", "only runs of this script, by its path or its name"}

enum cli_form { CLI_TABLE, CLI_JSON, CLI_CSV, CLI_CSV_PLOT, CLI_CSV_OTAVA };

struct cli_kept {
    const char *command;
    const char *db, *state_dir, *script;
    enum cli_form form;
    unsigned last;
    struct muster *m;
    struct muster_kept *kept;
};

/* command is borrowed; last: the default. */
void cli_kept_start(struct cli_kept *k, const char *command, unsigned last);
/* Take an option of the tables above: 0, or CLI_USAGE when a message was printed. */
int cli_kept_option(struct cli_kept *k, int id, const char *value);
int cli_kept_open(struct cli_kept *k); /* 0, or CLI_USAGE when a message was printed */
void cli_kept_close(struct cli_kept *k);
/* All has been printed: 0, or CLI_USAGE when standard output could not take it. */
int cli_kept_flush(const struct cli_kept *k);

/* Into text: "2026-01-31 09:05" in local time; in UTC as ISO 8601: "2026-01-31T08:05:12Z"; "4.2 s", "3m12s", "1h05m". */
void cli_time_local(char text[32], int64_t wall_ms);
void cli_time_utc(char text[32], int64_t wall_ms);
void cli_duration(char text[32], uint64_t ms);

/* ,"name":"value" and the like on standard output; without the comma when first. */
void cli_json_text_member(const char *name, const char *value, bool first);
void cli_json_number_member(const char *name, double v, bool first);
void cli_json_int_member(const char *name, long long v, bool first);
void cli_json_bool_member(const char *name, bool v, bool first);
/* A run as one object. */
void cli_json_run(const struct muster_kept_run *run);

#endif
