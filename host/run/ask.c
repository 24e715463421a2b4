#include "run/ask.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/engine.h"
#include "run/messages.h"
#include "run/worker.h"

static void begin(struct mu_ask *ask, struct mu_worker *w, struct mu_message *m)
{
    ask->ticket = ++w->tickets;
    ask->err.code = 0;
    ask->wait.done = false;
    mu_list_push(&w->asks, &ask->link);
    m->worker = w->index;
    m->number = ask->ticket;
}

void mu_ask_post(struct mu_ask *ask, struct mu_worker *w, struct mu_message *m)
{
    begin(ask, w, m);
    mu_mailbox_post(w->engine->home, &m->head);
}

void mu_ask_post_soon(struct mu_ask *ask, struct mu_worker *w, struct mu_message *m)
{
    begin(ask, w, m);
    mu_mailbox_post_soon(w->engine->home, &m->head);
}

void mu_ask_drop(struct mu_ask *ask) { mu_list_remove(&ask->link); }

void mu_ask_answered(struct mu_worker *w, const struct mu_message *m)
{
    /* Answers come about in the order of the questions: the one meant is near the head. */
    for (struct mu_list *l = w->asks.next; l != &w->asks; l = l->next) {
        struct mu_ask *ask = mu_list_entry(l, struct mu_ask, link);
        if (ask->ticket != m->number)
            continue;
        mu_list_remove(&ask->link);
        if (m->code) {
            mu_err_set(&ask->err, m->code, "%s", m->text ? m->text : "out of memory");
            if (m->cause)
                mu_err_cause(&ask->err, "%s", m->cause);
        }
        if (ask->answered)
            ask->answered(ask);
        mu_wait_done(&ask->wait);
        if (ask->then)
            ask->then(ask);
        return;
    }
}

void mu_answer(struct mu_worker *w, uint64_t ticket, const struct mu_err *err)
{
    struct mu_message *m;
    while (!(m = mu_message_new(MU_MSG_ANSWER)))
        usleep(10000); /* a fiber waits for it */
    m->number = ticket;
    if (err && err->code) {
        m->code = err->code;
        m->text = strdup(err->msg);
        m->cause = strdup(err->cause);
    }
    mu_mailbox_post(w->mailbox, &m->head);
}
