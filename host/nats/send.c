/* The thread that sends, and makes the connection anew when it is lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "nats/wire.h"

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

int mu_nats_link_send(struct mu_nats_link *l, natsMsg *msg_take, uint64_t id, uint64_t deadline_ms, uint64_t generation)
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
    item->generation = generation;
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
    /* The generation is changed by this thread alone. */
    if (item->id && (item->generation != l->generation || mu_clock_ms() > item->deadline_ms))
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
    l->generation++;
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

void *mu_nats_send_thread(void *arg)
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
