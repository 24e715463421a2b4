#include "nats/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- callbacks, in libnats' threads ---- */

/* The last of a connection. */
static void on_closed(natsConnection *nc, void *arg)
{
    struct mu_nats_link *l = arg;
    const char *text = NULL;
    char why[sizeof l->why];
    natsStatus s = natsConnection_GetLastError(nc, &text);

    mu_nats_plain(why, sizeof why, text && *text ? text : s != NATS_OK ? natsStatus_GetText(s) : "the server closed it");
    pthread_mutex_lock(&l->lock);
    if (l->wire && l->wire->nc == nc && !l->lost) {
        l->lost = true;
        pthread_cond_signal(&l->items);
    }
    if (!l->closing)
        snprintf(l->why, sizeof l->why, "%s", why);
    pthread_mutex_unlock(&l->lock);
    mu_nats_link_unref(l);
}

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *arg)
{
    struct mu_nats_link *l = arg;
    const char *text = NULL;

    (void)sub;
    if (s != NATS_NOT_PERMITTED)
        return;
    /* Permissions Violation for Publish to "muster.task.x" */
    natsConnection_GetLastError(nc, &text);
    text = text ? text : "";
    pthread_mutex_lock(&l->lock);
    l->n_denied++;
    mu_nats_plain(l->denied, sizeof l->denied, text);
    pthread_mutex_unlock(&l->lock);
    mu_nats_link_mail(l, mu_nats_mail_new(MU_NATS_DENIED, 0, text));
}

static void on_sub_complete(void *arg)
{
    mu_nats_link_unref(arg);
}

/* ---- connections ---- */

static int refused(struct mu_nats_link *l, natsStatus s, struct mu_err *err)
{
    char said[200];

    mu_nats_said(said, sizeof said, s);
    if (s == NATS_CONNECTION_AUTH_FAILED)
        return mu_err_set(err, MU_EAUTH, "%s refuses these credentials: %s", l->where, said);
    if (s == NATS_NO_MEMORY)
        return mu_err_set(err, MU_ENOMEM, "cannot connect to %s: out of memory", l->where);
    if (s == NATS_NO_SERVER)
        return mu_err_set(err, MU_EIO, "cannot connect to %s: no nats-server answers there", l->where);
    if (s == NATS_SECURE_CONNECTION_REQUIRED)
        return mu_err_set(err, MU_EIO, "cannot connect to %s: it wants TLS: write tls:// instead of nats://", l->where);
    if (s == NATS_SECURE_CONNECTION_WANTED)
        return mu_err_set(err, MU_EIO, "cannot connect to %s: it has no TLS", l->where);
    return mu_err_set(err, MU_EIO, "cannot connect to %s: %s", l->where, said);
}

int mu_nats_wire_new(struct mu_nats_wire **out, struct mu_nats_link *l, struct mu_err *err)
{
    struct mu_nats_wire *w = calloc(1, sizeof *w);
    char subject[sizeof l->inbox + 2];
    sigset_t former;
    natsStatus s;

    *out = NULL;
    if (!w)
        return mu_err_set(err, MU_ENOMEM, "cannot connect to %s: out of memory", l->where);
    w->refs = 1;
    natsOptions_SetClosedCB(l->options, on_closed, l);
    natsOptions_SetErrorHandler(l->options, on_error, l);
    mu_nats_signals_block(&former);
    mu_nats_link_ref(l); /* on_closed's */
    s = natsConnection_Connect(&w->nc, l->options);
    if (s != NATS_OK) {
        mu_nats_link_unref(l);
        goto out;
    }
    if ((s = natsConnection_JetStream(&w->js, w->nc, NULL)) != NATS_OK)
        goto out;
    snprintf(subject, sizeof subject, "%s.*", l->inbox);
    if ((s = natsConnection_Subscribe(&w->answers, w->nc, subject, mu_nats_on_answer, l)) != NATS_OK)
        goto out;
    natsSubscription_SetPendingLimits(w->answers, -1, -1);
    mu_nats_link_ref(l);
    if (natsSubscription_SetOnCompleteCB(w->answers, on_sub_complete, l) != NATS_OK)
        mu_nats_link_unref(l);
    *out = w;
    w = NULL;
out:
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (!w)
        return 0;
    refused(l, s, err);
    if (w->nc)
        natsConnection_Close(w->nc);
    mu_nats_wire_free(w);
    return err ? err->code : MU_EIO;
}

void mu_nats_wire_free(struct mu_nats_wire *w)
{
    mu_nats_bury(w->answers);
    jsCtx_Destroy(w->js);
    natsConnection_Destroy(w->nc);
    free(w);
}

void mu_nats_wire_use(struct mu_nats_link *l, struct mu_nats_wire *w)
{
    int64_t max_payload = natsConnection_GetMaxPayload(w->nc);
    char where[sizeof l->where] = "";

    natsConnection_GetConnectedUrl(w->nc, where, sizeof where);
    pthread_mutex_lock(&l->lock);
    l->wire = w;
    l->lost = false;
    l->why[0] = '\0';
    if (max_payload > 0)
        l->max_payload = (size_t)max_payload;
    if (*where)
        mu_nats_plain(l->where, sizeof l->where, where);
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    /* It may have been closed before it was ours, and on_closed did not know it. */
    if (natsConnection_IsClosed(w->nc)) {
        pthread_mutex_lock(&l->lock);
        l->lost = true;
        pthread_cond_signal(&l->items);
        pthread_mutex_unlock(&l->lock);
    }
}

void mu_nats_mail_state(struct mu_nats_link *l, bool connected, const char *why)
{
    struct mu_nats_mail *mail = mu_nats_mail_new(MU_NATS_STATE, 0, why);

    if (mail) {
        mail->connected = connected;
        mail->seq = l->generation;
    }
    mu_nats_link_mail(l, mail);
}

/* ---- subscriptions of ears ---- */

struct mu_nats_sub {
    struct mu_nats_sub *next;
    natsSubscription *sub; /* NULL: not on this wire */
    uint64_t id;
    char subject[];
};

/* What libnats' callback has: gone with the subscription. */
struct heard_arg {
    struct mu_nats_link *link;
    uint64_t id;
};

static void on_heard(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
    struct heard_arg *a = arg;
    struct mu_nats_mail *mail = mu_nats_mail_new(MU_NATS_HEARD, a->id, NULL);

    (void)nc;
    (void)sub;
    if (mail)
        mail->heard = msg;
    else
        natsMsg_Destroy(msg);
    mu_nats_link_mail(a->link, mail);
}

static void on_heard_complete(void *arg)
{
    struct heard_arg *a = arg;

    mu_nats_link_unref(a->link);
    free(a);
}

/* Whether the connection is good for more. */
static bool sub_open(struct mu_nats_link *l, struct mu_nats_wire *w, struct mu_nats_sub *e)
{
    struct heard_arg *a = malloc(sizeof *a);
    natsStatus s;

    if (!a)
        return true;
    a->link = mu_nats_link_ref(l);
    a->id = e->id;
    s = natsConnection_Subscribe(&e->sub, w->nc, e->subject, on_heard, a);
    if (s != NATS_OK) {
        on_heard_complete(a);
        return s != NATS_CONNECTION_CLOSED;
    }
    natsSubscription_SetPendingLimits(e->sub, -1, -1);
    /* Refused only when it is over already, with a connection that was lost meanwhile: then a callback may still run, and
     * these few bytes are left to it. */
    (void)natsSubscription_SetOnCompleteCB(e->sub, on_heard_complete, a);
    return true;
}

bool mu_nats_sub_do(struct mu_nats_link *l, struct mu_nats_wire *w, const struct mu_nats_item *item)
{
    struct mu_nats_sub **at = &l->subs, *e;

    if (item->task == MU_NATS_EAR_CLOSE) {
        while (*at && (*at)->id != item->id)
            at = &(*at)->next;
        if ((e = *at) != NULL) {
            *at = e->next;
            mu_nats_bury(e->sub);
            free(e);
        }
        return true;
    }
    e = calloc(1, sizeof *e + strlen(item->subject) + 1);
    if (!e)
        return true;
    e->id = item->id;
    memcpy(e->subject, item->subject, strlen(item->subject) + 1);
    e->next = l->subs;
    l->subs = e;
    return sub_open(l, w, e);
}

void mu_nats_subs_open(struct mu_nats_link *l, struct mu_nats_wire *w)
{
    for (struct mu_nats_sub *e = l->subs; e; e = e->next)
        if (!e->sub)
            sub_open(l, w, e);
}

void mu_nats_subs_close(struct mu_nats_link *l, bool forget)
{
    for (struct mu_nats_sub *e = l->subs; e; e = e->next) {
        mu_nats_bury(e->sub);
        e->sub = NULL;
    }
    while (forget && l->subs) {
        struct mu_nats_sub *e = l->subs;

        l->subs = e->next;
        free(e);
    }
}
