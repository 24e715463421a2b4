/* interrupt.h: signals that end a run in good order.
 *
 * Purpose: SIGINT, SIGTERM and SIGHUP reach muster_run_interrupt(): the first one stops dealing and tears down, the
 *   second ends the run at once, the third ends the program.
 * Owner: the run is borrowed between begin and end.
 * Thread: begin and end in the main thread; the handler runs in any.
 * Must not know: what an interrupt does to a run.
 */
#ifndef MU_CLI_INTERRUPT_H
#define MU_CLI_INTERRUPT_H

#include "muster.h"

void interrupt_begin(struct muster_run *run);
void interrupt_end(void); /* before the run is freed */

#endif
