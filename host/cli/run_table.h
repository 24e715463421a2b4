/* run_table.h: the options of `muster run` by name: the table that getopt and the help page share.
 *
 * Purpose: keep the text of the options apart from the code that decodes them.
 * Owner: static data.
 * Thread: any.
 * Must not know: what the options do.
 */
#ifndef MU_CLI_RUN_TABLE_H
#define MU_CLI_RUN_TABLE_H

#include "options.h"

enum {
    OPT_LIMIT = 256,
    OPT_INVENTORY_TIMEOUT,
    OPT_LIST_HOSTS,
    OPT_LOCAL,
    OPT_AGENT_WAIT,
    OPT_WORKERS,
    OPT_TIMEOUT,
    OPT_TEARDOWN_TIMEOUT,
    OPT_GRACE,
    OPT_TASK_MEMORY,
    OPT_FAIL_FAST,
    OPT_DB, OPT_NO_DB, OPT_RERUN, OPT_OF, OPT_CHANGED_SCRIPT,
    OPT_STATE_DIR, OPT_RECORD, OPT_REPLAY, OPT_WATCH,
    OPT_MAX_BROKEN,
    OPT_DRY_RUN,
    OPT_ALLOW_DESTRUCTIVE,
    OPT_INSTALL_TOOLS,
    OPT_PROGRESS,
    OPT_PROGRESS_INTERVAL,
    OPT_JUNIT,
    OPT_JSON,
    OPT_OPENMETRICS,
    OPT_OTEL_JSONL,
    OPT_HTML,
};

extern const struct cli_option run_table[];

#endif
