#include "nats/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "nats/config.h"
#include "nats/internal.h"

void mu_nats_mail_free(struct mu_nats_mail *m)
{
    if (!m)
        return;
    natsMsg_Destroy(m->heard);
    if (m->job)
        mu_nats_job_give_back_free(m->job);
    free(m);
}

static void drop_mail(struct mu_msg *msg) { mu_nats_mail_free((struct mu_nats_mail *)msg); }

static void on_state(struct mu_nats *n, const struct mu_nats_mail *m)
{
    bool freed = false, *outer = n->freed;

    n->connected = m->connected;
    n->generation = m->seq;
    n->freed = &freed;
    mu_nats_posts_lost(n, m->seq);
    if (freed) {
        if (outer)
            *outer = true;
        return;
    }
    n->freed = outer;
    if (m->connected) {
        pthread_mutex_lock(&n->link->lock);
        memcpy(n->where, n->link->where, sizeof n->where);
        pthread_mutex_unlock(&n->link->lock);
    }
    if (n->fn)
        n->fn(n->arg, m->connected, m->text);
}

static void on_mail(void *arg, struct mu_msg *msg)
{
    struct mu_nats *n = arg;
    struct mu_nats_mail *m = (struct mu_nats_mail *)msg;

    if (!m)
        return;
    switch ((enum mu_nats_kind)msg->kind) {
    case MU_NATS_STATE: on_state(n, m); break;
    case MU_NATS_ANSWER: mu_nats_posts_answer(n, m); break;
    case MU_NATS_DENIED: mu_nats_posts_denied(n, m->text); break;
    case MU_NATS_HEARD: mu_nats_ears_hear(n, m); break;
    case MU_NATS_JOB: mu_nats_pulls_take(n, m); break;
    case MU_NATS_TROUBLE: mu_nats_pulls_trouble(n, m); break;
    }
    mu_nats_mail_free(m);
}

int mu_nats_open(struct mu_nats **out, const struct mu_nats_config *config, struct mu_loop *loop, mu_nats_state_fn *fn, void *arg,
                 struct mu_err *err)
{
    struct mu_nats *n = calloc(1, sizeof *n);
    natsOptions *options = NULL;
    int rc;

    *out = NULL;
    if (!n)
        return mu_err_set(err, MU_ENOMEM, "cannot connect to NATS: out of memory");
    n->loop = loop;
    n->fn = fn;
    n->arg = arg;
    n->oldest = n->next_post = 1;
    if ((rc = mu_nats_options(&options, config, err)) != 0)
        goto out;
    if ((rc = mu_mailbox_new(&n->box, loop, on_mail, n, err)) != 0)
        goto out;
    if ((rc = mu_nats_link_open(&n->link, options, config->urls, n->box, err)) != 0)
        goto out;
    options = NULL;
    n->connected = true;
    pthread_mutex_lock(&n->link->lock);
    memcpy(n->where, n->link->where, sizeof n->where);
    pthread_mutex_unlock(&n->link->lock);
    *out = n;
    n = NULL;
out:
    natsOptions_Destroy(options);
    if (n) {
        mu_mailbox_free(n->box, drop_mail);
        free(n);
    }
    return rc;
}

void mu_nats_close(struct mu_nats *n)
{
    struct mu_nats_link *l;
    uint64_t until_ms;

    if (!n)
        return;
    l = n->link;
    mu_nats_pulls_free(n);
    mu_nats_ears_free(n);
    mu_nats_posts_free(n);
    /* What the pulls have fetched is given back while there is somebody to send it. */
    until_ms = mu_clock_ms() + 500;
    pthread_mutex_lock(&l->lock);
    while (l->pulls && mu_clock_ms() < until_ms)
        mu_nats_link_wait(l, until_ms);
    l->box = NULL;
    pthread_mutex_unlock(&l->lock);
    mu_mailbox_free(n->box, drop_mail);
    mu_nats_link_close(l);
    free(n);
}

bool mu_nats_connected(const struct mu_nats *n) { return n->connected; }

size_t mu_nats_max_payload(const struct mu_nats *n)
{
    size_t size;

    pthread_mutex_lock(&n->link->lock);
    size = n->link->max_payload;
    pthread_mutex_unlock(&n->link->lock);
    return size;
}

const char *mu_nats_where(const struct mu_nats *n) { return n->where; }
