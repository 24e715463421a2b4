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

/* ---- the queue ---- */

static void item_free(struct mu_nats_item *item)
{
    if (!item)
        return;
    natsMsg_Destroy(item->msg);
    free(item);
}

void mu_nats_link_put(struct mu_nats_link *l, struct mu_nats_item *item_take)
{
    item_take->next = NULL;
    pthread_mutex_lock(&l->lock);
    if (!l->ended) {
        /* It is awake, or will look, when there was something before. */
        if (!l->first)
            pthread_cond_signal(&l->items);
        *l->last = item_take;
        l->last = &item_take->next;
        l->queued++;
        item_take = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    item_free(item_take);
}

int mu_nats_link_send(struct mu_nats_link *l, natsMsg *msg_take, uint64_t id, uint64_t deadline_ms)
{
    struct mu_nats_item *item = calloc(1, sizeof *item + 1);

    if (!item) {
        natsMsg_Destroy(msg_take);
        return MU_ENOMEM;
    }
    item->task = MU_NATS_SEND;
    item->msg = msg_take;
    item->id = id;
    item->deadline_ms = deadline_ms;
    mu_nats_link_put(l, item);
    return 0;
}

/* Whether the connection is still good for more. *keep: the item was not sent and is to be tried on the next one. */
static bool send_one(struct mu_nats_link *l, struct mu_nats_wire *w, struct mu_nats_item *item, bool *keep)
{
    struct mu_nats_mail *mail;
    natsStatus s;
    char said[200];

    *keep = false;
    if (item->task != MU_NATS_SEND)
        return mu_nats_sub_do(l, w, item);
    if (item->deadline_ms && mu_clock_ms() > item->deadline_ms)
        return true;
    s = natsConnection_PublishMsg(w->nc, item->msg);
    if (s == NATS_OK)
        return true;
    if (s == NATS_MAX_PAYLOAD || s == NATS_INVALID_SUBJECT || s == NATS_INVALID_ARG || s == NATS_NO_SERVER_SUPPORT ||
        s == NATS_NO_MEMORY) {
        if (item->id && (mail = mu_nats_mail_new(MU_NATS_ANSWER, item->id, mu_nats_said(said, sizeof said, s)))) {
            mail->rc = s == NATS_NO_MEMORY ? MU_ENOMEM : MU_EINVAL;
            mu_nats_link_mail(l, mail);
        }
        return true;
    }
    /* Cut off in the middle of a message, libnats would go on behind it: this connection is done with. The server drops
     * the part that it has. */
    *keep = true;
    if (s != NATS_CONNECTION_CLOSED)
        natsConnection_Close(w->nc);
    return false;
}

/* Send all that is queued. The lock is held, and released meanwhile. */
static void send_all(struct mu_nats_link *l)
{
    struct mu_nats_item *items = l->first, *item;
    struct mu_nats_wire *w = l->wire;
    bool good = true, keep;
    uint64_t n = 0;

    l->first = NULL;
    l->last = &l->first;
    w->refs++;
    pthread_mutex_unlock(&l->lock);
    while (good && (item = items)) {
        good = send_one(l, w, item, &keep);
        if (keep)
            break;
        items = item->next;
        item_free(item);
        n++;
    }
    mu_nats_wire_give(l, w);
    pthread_mutex_lock(&l->lock);
    l->sent += n;
    if (!good)
        l->lost = true;
    if (items) { /* before those that came meanwhile */
        struct mu_nats_item **end = &items;

        while (*end)
            end = &(*end)->next;
        *end = l->first;
        if (!l->first)
            l->last = end;
        l->first = items;
    }
    pthread_cond_broadcast(&l->changed);
}

/* ---- the sending thread ---- */

/* The wire was lost: make another, for as long as it takes. */
static void reconnect(struct mu_nats_link *l)
{
    struct mu_nats_wire *old, *w = NULL;
    uint64_t pause_ms = 50;
    char why[sizeof l->why], told[sizeof l->why];
    struct mu_err err;
    unsigned seed = (unsigned)mu_clock_ns();

    pthread_mutex_lock(&l->lock);
    old = l->wire;
    l->wire = NULL;
    l->lost = false;
    snprintf(told, sizeof told, "%s", l->why);
    pthread_mutex_unlock(&l->lock);
    mu_nats_subs_close(l, false);
    if (old)
        natsConnection_Close(old->nc);
    mu_nats_wire_give(l, old);
    mu_nats_mail_state(l, false, told);
    for (;;) {
        pthread_mutex_lock(&l->lock);
        /* Not all at the same moment, when a server is back. */
        for (uint64_t until_ms = mu_clock_ms() + pause_ms + (uint64_t)rand_r(&seed) % pause_ms;
             !l->closing && mu_clock_ms() < until_ms;)
            mu_nats_link_wait(l, until_ms);
        if (l->closing) {
            pthread_mutex_unlock(&l->lock);
            return;
        }
        pthread_mutex_unlock(&l->lock);
        if (mu_nats_wire_new(&w, l, &err) == 0)
            break;
        snprintf(why, sizeof why, "%.255s", err.msg);
        if (strcmp(why, told) != 0) {
            snprintf(told, sizeof told, "%s", why);
            pthread_mutex_lock(&l->lock);
            snprintf(l->why, sizeof l->why, "%s", why);
            pthread_mutex_unlock(&l->lock);
            mu_nats_mail_state(l, false, told);
        }
        if (pause_ms < 1600)
            pause_ms *= 2;
    }
    mu_nats_subs_open(l, w);
    mu_nats_wire_use(l, w);
    mu_nats_mail_state(l, true, "");
}

static void *send_thread(void *arg)
{
    struct mu_nats_link *l = arg;
    struct mu_nats_item *rest;
    struct mu_nats_wire *w;

    pthread_mutex_lock(&l->lock);
    for (;;) {
        if (l->closing && (l->lost || !l->wire || !l->first || mu_clock_ms() >= l->close_by_ms))
            break;
        if (l->lost || !l->wire) {
            pthread_mutex_unlock(&l->lock);
            reconnect(l);
            pthread_mutex_lock(&l->lock);
        } else if (l->first) {
            send_all(l);
        } else {
            pthread_cond_wait(&l->items, &l->lock);
        }
    }
    rest = l->first;
    l->first = NULL;
    l->last = &l->first;
    w = l->wire;
    l->wire = NULL;
    pthread_mutex_unlock(&l->lock);
    while (rest) {
        struct mu_nats_item *next = rest->next;

        item_free(rest);
        rest = next;
    }
    mu_nats_subs_close(l, true);
    if (w && !natsConnection_IsClosed(w->nc)) {
        natsConnection_FlushTimeout(w->nc, 500);
        natsConnection_Close(w->nc);
    }
    mu_nats_wire_give(l, w);
    pthread_mutex_lock(&l->lock);
    l->ended = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    mu_nats_link_unref(l);
    return NULL;
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
    rc = mu_nats_thread(&l->sender, send_thread, l);
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
