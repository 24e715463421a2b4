/* A worker's thread: its mail, and its turns until nothing is left to do. */
#include <signal.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/ask.h"
#include "run/console.h"
#include "run/crew_local.h"
#include "run/fleet.h"
#include "run/task.h"
#include "ssh/ssh.h"

static void deal_to(struct mu_worker *w, struct mu_message *m)
{
    struct mu_err err = {0};
    struct mu_server *const *servers = w->crew->servers;
    struct mu_order order = {.kind = m->kind, .index = m->task, .server = mu_fleet_is(m->kind) ? NULL : servers[m->task],
                             .peer = m->kind == MU_TASK_PAIR ? servers[m->peer] : NULL, .peer_index = m->peer,
                             .verdict = m->verdict, .repeat = m->repeat, .plain = m->plain, .claim = m->text, .attempt = m->number};
    m->verdict = NULL;
    m->repeat = NULL;
    m->plain = (struct mu_buf)MU_BUF_INIT;
    m->text = NULL;
    if (mu_task_start(w, &order, &err) == 0)
        return;
    /* Not even a task could be made: tell its end all the same. */
    struct mu_task t = {.worker = w, .kind = m->kind, .index = m->task, .peer.index = m->peer};
    if (m->kind == MU_TASK_MARK) {
        t.mark.state = MU_MARK_FAILED;
        t.mark.note = (char[]){"out of memory"};
        mu_post_mark(&t);
    } else {
        mu_post_failure(&t, MU_ST_ERROR, NULL, "task", "out of memory", "out of memory");
    }
    mu_post_done(&t, 0);
}

/* All tasks, or the one that m is about. */
static void cancel(struct mu_worker *w, const struct mu_message *m, bool one)
{
    for (struct mu_list *l = w->tasks.next, *next; l != &w->tasks; l = next) {
        struct mu_task *t = mu_list_entry(l, struct mu_task, link);
        struct mu_err why;
        next = l->next;
        if ((one && t->index != m->task) || mu_console_leave(t))
            continue;
        mu_err_set(&why, MU_ECANCELED, "interrupted");
        mu_task_hurry(t, m->number);
        mu_task_cancel(t, MU_ST_CANCELLED, &why);
    }
}

static void worker_mail(void *arg, struct mu_msg *msg)
{
    struct mu_worker *w = arg;
    struct mu_message *m = (struct mu_message *)msg;
    if (!m)
        return;
    switch (m->head.kind) {
    case MU_MSG_DEAL:
        deal_to(w, m);
        break;
    case MU_MSG_CANCEL:
        w->hurry_until_ms = m->number;
        cancel(w, m, false);
        break;
    case MU_MSG_DROP:
        cancel(w, m, true);
        break;
    case MU_MSG_KILL:
        w->hurry_until_ms = mu_clock_ms();
        while (!mu_list_empty(&w->tasks))
            mu_task_kill(mu_list_entry(w->tasks.next, struct mu_task, link));
        break;
    case MU_MSG_STOP:
        w->stop = true;
        mu_keep_release_all(w);
        break;
    case MU_MSG_LINE:
        mu_console_line(w, m->text);
        m->text = NULL;
        break;
    case MU_MSG_BREAK:
        mu_console_break(w);
        break;
    case MU_MSG_ANSWER:
        mu_ask_answered(w, m);
        break;
    default:
        break;
    }
    mu_message_free(msg);
}

static void *worker_main(void *arg)
{
    struct mu_worker *w = arg;
    mu_logger_use(w->engine->logger);
    mu_ssh_thread_init();
    while (!w->stop || !mu_list_empty(&w->tasks))
        mu_worker_turn(w);
    struct mu_mailbox *home = w->engine->home;
    int index = w->index;
    mu_mailbox_free(w->mailbox, mu_message_free);
    w->mailbox = NULL;
    mu_worker_close(w);
    struct mu_message *m;
    while (!(m = mu_message_new(MU_MSG_EXITED)))
        usleep(10000);
    m->worker = index;
    mu_mailbox_post(home, &m->head);
    return NULL;
}

/* Signals are the embedder's: its threads get them, not ours. A broken pipe is an error code here. */
int mu_worker_start(struct mu_worker *w, struct mu_err *err)
{
    sigset_t all, former;
    int rc = mu_mailbox_new(&w->mailbox, w->loop, worker_mail, w, err);
    if (rc)
        return rc;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGCHLD);
    sigdelset(&all, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    rc = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return rc ? mu_err_set(err, MU_EIO, "cannot start a worker thread") : 0;
}
