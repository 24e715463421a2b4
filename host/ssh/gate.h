/* gate.h: how many may do something at once, and how many a second, over all threads of a run.
 *
 * Purpose: sshd drops connections when too many log in at once (MaxStartups): those who want to go through a jump host
 *   wait in one line, first come, first served, whichever worker they belong to; and new connections keep a distance.
 * Owner: the gates belong to mu_ssh_shared; a home to the loop that waits; a ticket is embedded in whoever waits.
 * Thread: entering and leaving: the thread of the ticket's home. Gates lock inside.
 * Must not know: what it is that waits.
 */
#ifndef MU_SSH_GATE_H
#define MU_SSH_GATE_H

#include "core/list.h"
#include "loop/loop.h"

struct mu_gate;
struct mu_gates;
struct mu_gates *mu_gates_new(unsigned starts_per_s); /* 0: no rate. NULL when out of memory */
void mu_gates_free(struct mu_gates *g);               /* NULL allowed */

/* Where those of one loop are told. */
struct mu_gate_home;
int mu_gate_home_new(struct mu_gate_home **out, struct mu_gates *g, struct mu_loop *loop, struct mu_err *err);
void mu_gate_home_free(struct mu_gate_home *h); /* no ticket of it is in use any more; NULL allowed */

struct mu_gate_ticket {
    struct mu_list link; /* in the line, then among those to be told */
    struct mu_gate_home *home;
    struct mu_gate *gate; /* NULL: neither waiting nor in */
    bool in;
    void (*fn)(void *arg);
    void *arg;
};

/* Enter the gate of this name, which lets max in at once. True: in, at once. False: fn(arg) is called from the loop when it
 * is in, in no log context. Out of memory lets it in. */
bool mu_gate_enter(struct mu_gate_ticket *t, struct mu_gate_home *h, const char *name, unsigned max, void (*fn)(void *arg),
                   void *arg);
/* Come out, or wait no longer; fn is not called any more. Harmless when neither. */
void mu_gate_leave(struct mu_gate_ticket *t);

/* Take the next start: how many ms from now it is due. */
uint64_t mu_gates_start(struct mu_gates *g);

#endif
