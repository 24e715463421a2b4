/* collect.h: messages of tasks into the run's results. Owner: as run.h. Thread: the main one. Must not know: workers. */
#ifndef MU_RUN_COLLECT_H
#define MU_RUN_COLLECT_H

#include "results/results.h"
#include "run/messages.h"

/* Takes what it needs out of m; the caller frees m. Out of memory drops the detail, never the status. */
void mu_collect(struct mu_task_result *t, struct mu_message *m);

#endif
