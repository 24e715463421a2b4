/* Pulls: a thread each, that asks the consumers in turn for as many messages as are wanted. A request is for one shot: the server
 * answers it with whatever is there, up to what is wanted, or with the first that comes within ROUND_MS by the number of consumers;
 * so nothing is held back to fill a batch, never more is on its way than is wanted, and the thread hears of its end soon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "nats/internal.h"
#include "nats/wire.h"

enum { ROUND_MS = 400, LEAST_TURN_MS = 50, BUSY_TURN_MS = 5, PAUSE_MS = 300, MAX_BATCH = 256, MAX_DURABLES = 256, FRESH_MS = 1000 };

/* What the thread and the loop share. */
struct pull_work {
    struct mu_nats_link *link; /* its lock and condition are over `wanted` and `ending`, too */
    uint64_t id;
    unsigned wanted;
    bool ending, only_fresh;
    unsigned refs; /* of the loop's part and of the thread */
    char *stream;
    size_t n_durables;
    struct durable {
        char *name;
        natsSubscription *sub; /* on this wire */
        uint64_t asked_ms;     /* when it was last */
    } durables[];
};

struct mu_nats_pull {
    struct mu_nats_pull *next;
    struct mu_nats *n;
    mu_nats_pull_fn *fn;
    void *arg;
    struct pull_work *work;
    char *trouble; /* the last that was told */
};

static void work_unref(struct pull_work *w)
{
    struct mu_nats_link *l = w->link;
    bool last;

    pthread_mutex_lock(&l->lock);
    last = --w->refs == 0;
    pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    for (size_t i = 0; i < w->n_durables; i++)
        free(w->durables[i].name);
    free(w->stream);
    free(w);
    mu_nats_link_unref(l);
}

/* ---- the thread ---- */

static void unbind(struct pull_work *w)
{
    for (size_t i = 0; i < w->n_durables; i++) {
        mu_nats_bury(w->durables[i].sub);
        w->durables[i].sub = NULL;
    }
}

static natsStatus bind(struct pull_work *w, struct mu_nats_wire *wire, struct durable *d)
{
    jsSubOptions o;
    natsStatus s = jsSubOptions_Init(&o);

    if (s != NATS_OK)
        return s;
    o.Stream = w->stream;
    o.Consumer = d->name;
    s = js_PullSubscribe(&d->sub, wire->js, "", NULL, NULL, &o, NULL);
    if (s == NATS_OK)
        natsSubscription_SetPendingLimits(d->sub, -1, -1);
    return s;
}

static void hand_over(struct pull_work *w, natsMsg *msg)
{
    struct mu_nats_job *job = NULL;
    struct mu_nats_mail *mail;
    bool ending;

    if (mu_nats_job_new(&job, w->link, msg) != 0)
        return;
    pthread_mutex_lock(&w->link->lock);
    ending = w->ending;
    if (!ending && w->wanted > 0)
        w->wanted--;
    pthread_mutex_unlock(&w->link->lock);
    mail = ending ? NULL : mu_nats_mail_new(MU_NATS_JOB, w->id, NULL);
    if (!mail) {
        mu_nats_job_give_back_free(job);
        return;
    }
    mail->job = job;
    mu_nats_link_mail(w->link, mail);
}

/* Neither acknowledged nor given back: somebody else may have them by now. */
static int forget(natsMsgList *list)
{
    for (int i = 0; i < list->Count; i++) {
        natsMsg_Destroy(list->Msgs[i]);
        list->Msgs[i] = NULL;
    }
    return 0;
}

/* Ask one consumer. *n: how many came. */
static natsStatus fetch(struct pull_work *w, struct mu_nats_wire *wire, struct durable *d, unsigned wanted, int64_t wait_ms,
                        int *n)
{
    natsMsgList list = {0};
    jsFetchRequest request;
    uint64_t asked_ms, queued = 0;
    natsStatus s;

    *n = 0;
    if (d->sub && w->only_fresh && mu_clock_ms() - d->asked_ms > FRESH_MS &&
        natsSubscription_QueuedMsgs(d->sub, &queued) == NATS_OK && queued > 0) {
        natsSubscription_Destroy(d->sub); /* with what came too late for the last request */
        d->sub = NULL;
    }
    if (!d->sub && (s = bind(w, wire, d)) != NATS_OK)
        return s;
    asked_ms = d->asked_ms = mu_clock_ms();
    jsFetchRequest_Init(&request);
    request.Batch = (int)(wanted < MAX_BATCH ? wanted : MAX_BATCH);
    request.Expires = wait_ms * 1000000;
    request.NoWait = true;
    s = natsSubscription_FetchRequest(&list, d->sub, &request);
    if (w->only_fresh && mu_clock_ms() - asked_ms > (uint64_t)wait_ms + FRESH_MS)
        list.Count = s == NATS_OK ? forget(&list) : list.Count;
    for (int i = 0; s == NATS_OK && i < list.Count; i++) {
        hand_over(w, list.Msgs[i]);
        list.Msgs[i] = NULL;
        ++*n;
    }
    natsMsgList_Destroy(&list);
    return s == NATS_NOT_FOUND || s == NATS_TIMEOUT ? NATS_OK : s;
}

/* What came too late for its request, by a few milliseconds: given back, too. */
static void give_back_rest(struct pull_work *w, struct mu_nats_wire *wire)
{
    for (size_t i = 0; i < w->n_durables; i++) {
        uint64_t queued = 0;
        int n;

        if (w->durables[i].sub && natsSubscription_QueuedMsgs(w->durables[i].sub, &queued) == NATS_OK && queued > 0)
            fetch(w, wire, &w->durables[i], (unsigned)queued, 20, &n);
    }
}

static void tell_trouble(struct pull_work *w, const char *durable, natsStatus s)
{
    char text[400], said[200];

    if (s == NATS_CONNECTION_CLOSED || s == NATS_INVALID_SUBSCRIPTION) /* the connection is what is told of */
        return;
    if (s == NATS_OK)
        text[0] = '\0';
    else
        snprintf(text, sizeof text, "the queue %s of the stream %s gives no work: %s", durable, w->stream,
                 s == NATS_NO_RESPONDERS ? "it is not there" : mu_nats_said(said, sizeof said, s));
    mu_nats_link_mail(w->link, mu_nats_mail_new(MU_NATS_TROUBLE, w->id, text));
}

/* How many are wanted; waits until some are. */
static unsigned wanted_now(struct pull_work *w, bool *ending)
{
    struct mu_nats_link *l = w->link;
    unsigned wanted;

    pthread_mutex_lock(&l->lock);
    while (!w->wanted && !w->ending)
        pthread_cond_wait(&l->changed, &l->lock);
    wanted = w->wanted;
    *ending = w->ending;
    pthread_mutex_unlock(&l->lock);
    return wanted;
}

static void pause_for(struct pull_work *w, uint64_t ms)
{
    uint64_t until_ms = mu_clock_ms() + ms;

    pthread_mutex_lock(&w->link->lock);
    while (!w->ending && mu_clock_ms() < until_ms)
        mu_nats_link_wait(w->link, until_ms);
    pthread_mutex_unlock(&w->link->lock);
}

static void *pull_thread(void *arg)
{
    struct pull_work *w = arg;
    struct mu_nats_link *l = w->link;
    struct mu_nats_wire *wire = NULL;
    natsStatus told = NATS_OK;
    bool ending = false, again;
    size_t at = 0, empty = 0; /* in a row */
    int64_t turn_ms = ROUND_MS / (int64_t)w->n_durables;

    if (turn_ms < LEAST_TURN_MS)
        turn_ms = LEAST_TURN_MS;

    for (;;) {
        struct durable *d = &w->durables[at++ % w->n_durables];
        unsigned wanted = wanted_now(w, &ending);
        natsStatus s;
        int n;

        if (ending)
            break;
        pthread_mutex_lock(&l->lock);
        again = !wire || l->wire != wire || l->lost;
        pthread_mutex_unlock(&l->lock);
        if (again) {
            unbind(w);
            mu_nats_wire_give(l, wire);
            wire = mu_nats_wire_take(l, PAUSE_MS, NULL);
            if (!wire)
                continue;
        }
        /* While one gives work the others do not hold it up. */
        s = fetch(w, wire, d, wanted, empty + 1 < w->n_durables ? BUSY_TURN_MS : turn_ms, &n);
        empty = n ? 0 : empty + 1;
        if (s != told && (s != NATS_OK || n > 0)) {
            tell_trouble(w, d->name, s);
            told = s;
        }
        if (s != NATS_OK) {
            mu_nats_bury(d->sub);
            d->sub = NULL;
            pause_for(w, PAUSE_MS);
        }
    }
    if (wire)
        give_back_rest(w, wire);
    unbind(w);
    mu_nats_wire_give(l, wire);
    pthread_mutex_lock(&l->lock);
    l->pulls--;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    work_unref(w);
    return NULL;
}

/* ---- the loop ---- */

int mu_nats_pull_new(struct mu_nats_pull **out, struct mu_nats *n, const char *stream, const char *const *durables,
                     mu_nats_pull_fn *fn, void *arg, struct mu_err *err)
{
    struct mu_nats_pull *p = NULL;
    struct pull_work *w = NULL;
    size_t count = 0;
    pthread_t thread;
    int rc;

    *out = NULL;
    while (durables[count])
        count++;
    if (!count || count > MAX_DURABLES)
        return mu_err_set(err, MU_EINVAL, "work is taken from 1 to %d queues, not %zu", MAX_DURABLES, count);
    p = calloc(1, sizeof *p);
    w = calloc(1, sizeof *w + count * sizeof w->durables[0]);
    if (!p || !w || !(w->stream = strdup(stream)))
        goto nomem;
    for (; w->n_durables < count; w->n_durables++)
        if (!(w->durables[w->n_durables].name = strdup(durables[w->n_durables])))
            goto nomem;
    p->n = n;
    p->fn = fn;
    p->arg = arg;
    p->work = w;
    w->id = ++n->last_id;
    w->refs = 2;
    w->link = mu_nats_link_ref(n->link);
    pthread_mutex_lock(&n->link->lock);
    n->link->pulls++;
    pthread_mutex_unlock(&n->link->lock);
    rc = mu_nats_thread(&thread, pull_thread, w);
    if (rc) {
        pthread_mutex_lock(&n->link->lock);
        n->link->pulls--;
        w->refs--;
        pthread_mutex_unlock(&n->link->lock);
        work_unref(w);
        free(p);
        return mu_err_sys(err, MU_ENOMEM, rc, "cannot start a thread");
    }
    pthread_detach(thread); /* it is counted by the link */
    p->next = n->pulls;
    n->pulls = p;
    *out = p;
    return 0;
nomem:
    if (w) {
        for (size_t i = 0; i < w->n_durables; i++)
            free(w->durables[i].name);
        free(w->stream);
    }
    free(w);
    free(p);
    return mu_err_set(err, MU_ENOMEM, "cannot take work from NATS: out of memory");
}

void mu_nats_pull_only_fresh(struct mu_nats_pull *p) { p->work->only_fresh = true; }

void mu_nats_pull_want(struct mu_nats_pull *p, unsigned more)
{
    struct mu_nats_link *l = p->work->link;

    pthread_mutex_lock(&l->lock);
    p->work->wanted = more > UINT32_MAX - p->work->wanted ? UINT32_MAX : p->work->wanted + more;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void mu_nats_pull_free(struct mu_nats_pull *p)
{
    struct mu_nats_pull **at;
    struct mu_nats_link *l;

    if (!p)
        return;
    l = p->work->link;
    for (at = &p->n->pulls; *at != p;)
        at = &(*at)->next;
    *at = p->next;
    pthread_mutex_lock(&l->lock);
    p->work->ending = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    work_unref(p->work);
    free(p->trouble);
    free(p);
}

static struct mu_nats_pull *find(struct mu_nats *n, uint64_t id)
{
    struct mu_nats_pull *p = n->pulls;

    while (p && p->work->id != id)
        p = p->next;
    return p;
}

void mu_nats_pulls_take(struct mu_nats *n, struct mu_nats_mail *m)
{
    struct mu_nats_pull *p = find(n, m->id);
    struct mu_nats_job *job = m->job;

    m->job = NULL;
    if (p)
        p->fn(p->arg, job);
    else
        mu_nats_job_give_back_free(job);
}

void mu_nats_pulls_trouble(struct mu_nats *n, const struct mu_nats_mail *m)
{
    struct mu_nats_pull *p = find(n, m->id);

    if (!p || (p->trouble && strcmp(p->trouble, m->text) == 0))
        return;
    free(p->trouble);
    p->trouble = strdup(m->text);
    if (*m->text)
        mu_log(MU_WARNING, "%s: %s", n->where, m->text);
}

void mu_nats_pulls_free(struct mu_nats *n)
{
    while (n->pulls)
        mu_nats_pull_free(n->pulls);
}
