#include "nats/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "nats/wire.h"

const char *mu_nats_plain(char *out, size_t size, const char *text)
{
    struct mu_buf b = MU_BUF_INIT;

    mu_buf_add_escaped(&b, text ? text : "", text ? strlen(text) : 0);
    snprintf(out, size, "%s", mu_buf_cstr(&b));
    mu_buf_free(&b);
    return out;
}

const char *mu_nats_said(char *out, size_t size, natsStatus s)
{
    natsStatus last = NATS_OK;
    const char *text = nats_GetLastError(&last), *behind;

    if (text && *text == '(' && (behind = strstr(text, "): ")) != NULL) /* "(conn.c:733): " */
        text = behind + 3;
    return mu_nats_plain(out, size, text && *text && last == s ? text : natsStatus_GetText(s));
}

void mu_nats_signals_block(sigset_t *former)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, former);
}

int mu_nats_thread(pthread_t *out, void *(*fn)(void *), void *arg)
{
    sigset_t former;
    int rc;

    mu_nats_signals_block(&former);
    rc = pthread_create(out, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return rc;
}

void mu_nats_link_wait(struct mu_nats_link *l, uint64_t until_ms)
{
    struct timespec ts = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

    pthread_cond_timedwait(&l->changed, &l->lock, &ts);
}

/* ---- mails ---- */

struct mu_nats_mail *mu_nats_mail_new(enum mu_nats_kind kind, uint64_t id, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    struct mu_nats_mail *m = calloc(1, sizeof *m + len + 1);

    if (!m)
        return NULL;
    m->msg.kind = kind;
    m->id = id;
    if (len)
        memcpy(m->text, text, len);
    return m;
}

void mu_nats_link_mail(struct mu_nats_link *l, struct mu_nats_mail *mail_take)
{
    if (!mail_take)
        return;
    pthread_mutex_lock(&l->lock);
    if (l->box) {
        mu_mailbox_post(l->box, &mail_take->msg);
        mail_take = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    mu_nats_mail_free(mail_take);
}

/* ---- references ---- */

struct mu_nats_link *mu_nats_link_ref(struct mu_nats_link *l)
{
    pthread_mutex_lock(&l->lock);
    l->refs++;
    pthread_mutex_unlock(&l->lock);
    return l;
}

void mu_nats_link_unref(struct mu_nats_link *l)
{
    bool last;

    pthread_mutex_lock(&l->lock);
    last = --l->refs == 0;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    natsOptions_Destroy(l->options);
    pthread_cond_destroy(&l->changed);
    pthread_cond_destroy(&l->items);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

struct mu_nats_wire *mu_nats_wire_take(struct mu_nats_link *l, uint64_t wait_ms, struct mu_err *err)
{
    uint64_t until_ms = mu_clock_ms() + wait_ms;
    struct mu_nats_wire *w;

    pthread_mutex_lock(&l->lock);
    while ((!l->wire || l->lost) && !l->closing && mu_clock_ms() < until_ms)
        mu_nats_link_wait(l, until_ms);
    w = l->lost || l->closing ? NULL : l->wire;
    if (w)
        w->refs++;
    else
        mu_err_set(err, MU_EIO, "not connected to %s%s%s", l->where, *l->why ? ": " : "", l->why);
    pthread_mutex_unlock(&l->lock);
    return w;
}

void mu_nats_wire_give(struct mu_nats_link *l, struct mu_nats_wire *w)
{
    bool last;

    if (!w)
        return;
    pthread_mutex_lock(&l->lock);
    last = --w->refs == 0;
    pthread_mutex_unlock(&l->lock);
    if (last)
        mu_nats_wire_free(w);
}

/* ---- open and close ---- */

int mu_nats_link_open(struct mu_nats_link **out, natsOptions *options, const char *urls, struct mu_mailbox *box,
                      struct mu_err *err)
{
    struct mu_nats_link *l = calloc(1, sizeof *l);
    struct mu_nats_wire *w = NULL;
    pthread_condattr_t attr;
    natsInbox *inbox = NULL;
    int rc;

    *out = NULL;
    if (!l)
        return mu_err_set(err, MU_ENOMEM, "cannot connect to %s: out of memory", urls);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &attr);
    pthread_cond_init(&l->items, &attr);
    pthread_condattr_destroy(&attr);
    l->refs = 1;
    l->last = &l->first;
    l->box = box;
    l->options = options;
    snprintf(l->where, sizeof l->where, "%s", urls);
    if (natsInbox_Create(&inbox) != NATS_OK) {
        rc = mu_err_set(err, MU_ENOMEM, "cannot connect to %s: out of memory", urls);
        goto out;
    }
    snprintf(l->inbox, sizeof l->inbox, "%s", (const char *)inbox);
    natsInbox_Destroy(inbox);
    if ((rc = mu_nats_wire_new(&w, l, err)) != 0)
        goto out;
    mu_nats_wire_use(l, w);
    mu_nats_link_ref(l);
    rc = mu_nats_thread(&l->sender, mu_nats_send_thread, l);
    if (rc) {
        mu_nats_link_unref(l);
        l->wire = NULL;
        natsConnection_Close(w->nc);
        mu_nats_wire_give(l, w);
        rc = mu_err_sys(err, MU_ENOMEM, rc, "cannot start a thread");
        goto out;
    }
    *out = l;
    l = NULL;
out:
    if (l) {
        pthread_mutex_lock(&l->lock);
        l->box = NULL;
        l->options = NULL; /* the caller's still */
        pthread_mutex_unlock(&l->lock);
        mu_nats_link_unref(l);
    }
    return rc;
}

void mu_nats_link_close(struct mu_nats_link *l)
{
    uint64_t until_ms = mu_clock_ms() + 2000;
    bool ended;

    pthread_mutex_lock(&l->lock);
    l->closing = true;
    l->close_by_ms = mu_clock_ms() + 1000;
    pthread_cond_broadcast(&l->changed);
    pthread_cond_signal(&l->items);
    while (!l->ended && mu_clock_ms() < until_ms)
        mu_nats_link_wait(l, until_ms);
    ended = l->ended;
    /* libnats' threads let go of it in a moment. */
    while (ended && l->refs > 1 && mu_clock_ms() < until_ms)
        mu_nats_link_wait(l, until_ms);
    pthread_mutex_unlock(&l->lock);
    /* One that is stuck in a call of libnats ends by itself. */
    if (ended)
        pthread_join(l->sender, NULL);
    else
        pthread_detach(l->sender);
    mu_nats_link_unref(l);
}
