#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "terminal.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { N_SIGNALS = sizeof signals / sizeof *signals };

static _Atomic(struct muster_run *) current;
static _Atomic(struct muster_agent *) current_agent;
static atomic_int seen;
static struct sigaction former[N_SIGNALS];

static void on_signal(int signo)
{
    int errnum = errno;
    struct muster_run *run = atomic_load(&current);
    struct muster_agent *agent = atomic_load(&current_agent);

    if (agent)
        muster_agent_drain(agent);
    if (run)
        muster_run_interrupt(run, signo == SIGHUP ? SIGTERM : signo);
    if (atomic_fetch_add(&seen, 1) >= 2) { /* whoever insists a third time gets the kernel's way */
        terminal_leave();
        for (int i = 0; i < N_SIGNALS; i++)
            signal(signals[i], SIG_DFL);
        raise(signo); /* once this handler is over */
    }
    errno = errnum;
}

static void begin(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    for (int i = 0; i < N_SIGNALS; i++)
        sigaddset(&act.sa_mask, signals[i]);
    atomic_store(&seen, 0);
    for (int i = 0; i < N_SIGNALS; i++) {
        sigaction(signals[i], NULL, &former[i]);
        if (former[i].sa_handler != SIG_IGN) /* nohup, and jobs of a shell without job control, keep their peace */
            sigaction(signals[i], &act, NULL);
    }
}

void interrupt_begin(struct muster_run *run)
{
    atomic_store(&current, run);
    begin();
}

void interrupt_begin_agent(struct muster_agent *agent)
{
    atomic_store(&current_agent, agent);
    begin();
}

void interrupt_end(void)
{
    for (int i = 0; i < N_SIGNALS; i++)
        sigaction(signals[i], &former[i], NULL);
    atomic_store(&current, NULL);
    atomic_store(&current_agent, NULL);
}
