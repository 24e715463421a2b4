/* interrupt.h: signals that end a run in good order.
 *
 * Purpose: SIGINT, SIGTERM and SIGHUP reach muster_run_interrupt(): the first one stops dealing and tears down, the
 *   second ends the run at once, the third ends the program.
 *   An agent is drained by the first, and leaves at once by the second.
 * Owner: the run, or agent, is borrowed between begin and end.
 * Thread: begin and end in the main thread; the handler runs in any.
 * Must not know: what an interrupt does to a run.
 */
#ifndef MU_CLI_INTERRUPT_H
#define MU_CLI_INTERRUPT_H

#include "muster/agents.h"

void interrupt_begin(struct muster_run *run);
void interrupt_begin_agent(struct muster_agent *agent); /* the same: the first drains it */
void interrupt_end(void); /* before the run, or agent, is freed */

#endif
