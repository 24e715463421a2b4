/* load_past.h: what the servers of a run measured before, for the rules that look at it.
 *
 * Purpose: read once, before a worker starts; nobody changes it then. Owner: the run owns it. Thread: the main one.
 * Must not know: how it is judged.
 */
#ifndef MU_RUN_LOAD_PAST_H
#define MU_RUN_LOAD_PAST_H

struct mu_run;
/* Into the engine's past, or its past_why. Trouble is a warning: what was to be judged by it is not. */
void mu_run_load_past(struct mu_run *run);

#endif
