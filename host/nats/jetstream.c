/* What waits for an answer of JetStream. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/clock.h"
#include "nats/internal.h"
#include "nats/wire.h"

/* One call: its connection, and how it went. */
struct call {
    struct mu_nats_link *link;
    struct mu_nats_wire *wire;
    uint64_t n_denied;
    jsErrCode code;
};

static int begin(struct call *c, struct mu_nats *n, struct mu_err *err)
{
    memset(c, 0, sizeof *c);
    c->link = n->link;
    c->wire = mu_nats_wire_take(n->link, MU_NATS_ANSWER_MS, err);
    if (!c->wire)
        return MU_EIO;
    pthread_mutex_lock(&n->link->lock);
    c->n_denied = n->link->n_denied;
    pthread_mutex_unlock(&n->link->lock);
    return 0;
}

/* The end of a call: 0, or what went wrong, behind "cannot WHAT NAME at URL". */
static int end(struct call *c, natsStatus s, const char *what, const char *name, struct mu_err *err)
{
    char said[250], denied[sizeof c->link->denied] = "", where[sizeof c->link->where], plain[150];
    int rc;

    mu_nats_wire_give(c->link, c->wire);
    if (s == NATS_OK)
        return 0;
    pthread_mutex_lock(&c->link->lock);
    memcpy(where, c->link->where, sizeof where);
    if (c->link->n_denied != c->n_denied)
        memcpy(denied, c->link->denied, sizeof denied);
    pthread_mutex_unlock(&c->link->lock);
    mu_nats_plain(plain, sizeof plain, name);
    if (c->code == JSStreamNotFoundErr || c->code == JSConsumerNotFoundErr || c->code == JSNoMessageFoundErr ||
        (s == NATS_NOT_FOUND && !c->code))
        rc = MU_ENOENT;
    else if (c->code == JSStreamWrongLastSequenceErr)
        rc = MU_EEXIST;
    else if (*denied || s == NATS_NOT_PERMITTED)
        rc = MU_EPERM;
    else
        rc = s == NATS_NO_MEMORY ? MU_ENOMEM : s == NATS_INVALID_ARG || s == NATS_MAX_PAYLOAD ? MU_EINVAL : MU_EIO;
    if (rc == MU_EPERM)
        snprintf(said, sizeof said, "these credentials may not: %.220s", denied);
    else if (s == NATS_NO_RESPONDERS)
        snprintf(said, sizeof said, "no JetStream, or no such stream");
    else if (s == NATS_TIMEOUT)
        snprintf(said, sizeof said, "no answer within %d s", MU_NATS_ANSWER_MS / 1000);
    else
        mu_nats_said(said, sizeof said, s);
    return mu_err_set(err, rc, "cannot %s %s at %s: %s", what, plain, where, said);
}

/* ---- streams and consumers ---- */

static int check_retention(const jsStreamInfo *si, const struct mu_nats_stream *s, const char *where, struct mu_err *err)
{
    jsRetentionPolicy wanted = s->retention == MU_NATS_WORK_QUEUE ? js_WorkQueuePolicy : js_LimitsPolicy;

    if (si->Config->Retention == wanted)
        return 0;
    return mu_err_set(err, MU_ESTATE, "the stream %s at %s is there, but is no %s: it is not muster's; remove it, or use another "
                                      "account", s->name, where,
                      s->retention == MU_NATS_WORK_QUEUE ? "work queue" : "stream with limits");
}

int mu_nats_stream_ensure(struct mu_nats *n, const struct mu_nats_stream *s, struct mu_err *err)
{
    jsStreamConfig cfg;
    jsStreamInfo *si = NULL;
    struct call c;
    natsStatus st;
    char where[sizeof n->link->where];
    int rc, n_subjects = 0;

    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    while (s->subjects[n_subjects])
        n_subjects++;
    st = js_GetStreamInfo(&si, c.wire->js, s->name, NULL, &c.code);
    if (st != NATS_OK && (st == NATS_NOT_FOUND || c.code == JSStreamNotFoundErr)) {
        jsStreamConfig_Init(&cfg);
        cfg.Name = s->name;
        cfg.Subjects = (const char **)s->subjects;
        cfg.SubjectsLen = n_subjects;
        cfg.Retention = s->retention == MU_NATS_WORK_QUEUE ? js_WorkQueuePolicy : js_LimitsPolicy;
        cfg.Storage = js_FileStorage;
        cfg.MaxAge = s->max_age_ms * 1000000;
        cfg.MaxBytes = s->max_bytes ? s->max_bytes : -1;
        cfg.MaxMsgsPerSubject = s->max_per_subject ? s->max_per_subject : -1;
        cfg.Discard = s->max_bytes ? js_DiscardNew : js_DiscardOld;
        c.code = 0;
        st = js_AddStream(&si, c.wire->js, &cfg, NULL, &c.code);
        if (st != NATS_OK && c.code == JSStreamNameExistErr) { /* somebody else was faster */
            c.code = 0;
            st = js_GetStreamInfo(&si, c.wire->js, s->name, NULL, &c.code);
        }
    }
    if ((rc = end(&c, st, "make the stream", s->name, err)) != 0)
        return rc;
    pthread_mutex_lock(&n->link->lock);
    memcpy(where, n->link->where, sizeof where);
    pthread_mutex_unlock(&n->link->lock);
    rc = check_retention(si, s, where, err);
    jsStreamInfo_Destroy(si);
    return rc;
}

int mu_nats_consumer_ensure(struct mu_nats *n, const struct mu_nats_consumer *w, struct mu_err *err)
{
    jsConsumerConfig cfg;
    jsConsumerInfo *ci = NULL;
    struct call c;
    natsStatus st;
    int rc;

    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    jsConsumerConfig_Init(&cfg);
    cfg.Durable = w->durable;
    cfg.FilterSubject = w->filter;
    cfg.AckPolicy = js_AckExplicit;
    cfg.DeliverPolicy = js_DeliverAll;
    cfg.AckWait = w->ack_wait_ms * 1000000;
    cfg.MaxDeliver = w->max_deliver ? w->max_deliver : -1;
    cfg.MaxAckPending = w->max_ack_pending;
    /* Each pull of an agent has one request at most that waits. */
    cfg.MaxWaiting = 100000;
    st = js_AddConsumer(&ci, c.wire->js, w->stream, &cfg, NULL, &c.code);
    jsConsumerInfo_Destroy(ci);
    if (st != NATS_OK && c.code && c.code != JSStreamNotFoundErr) {
        /* One that is there with another setting that cannot be changed (how many may wait): the others can. */
        ci = NULL;
        if (js_GetConsumerInfo(&ci, c.wire->js, w->stream, w->durable, NULL, NULL) == NATS_OK) {
            cfg.MaxWaiting = ci->Config->MaxWaiting;
            c.code = 0;
            jsConsumerInfo_Destroy(ci);
            ci = NULL;
            st = js_UpdateConsumer(&ci, c.wire->js, w->stream, &cfg, NULL, &c.code);
            jsConsumerInfo_Destroy(ci);
        }
    }
    return end(&c, st, "make the consumer", w->durable, err);
}

int mu_nats_consumer_left(struct mu_nats *n, const char *stream, const char *durable, uint64_t *left, struct mu_err *err)
{
    jsConsumerInfo *ci = NULL;
    struct call c;
    natsStatus st;
    int rc;

    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    st = js_GetConsumerInfo(&ci, c.wire->js, stream, durable, NULL, &c.code);
    if (st == NATS_OK)
        *left = ci->NumPending + (uint64_t)ci->NumAckPending;
    jsConsumerInfo_Destroy(ci);
    return end(&c, st, "ask the consumer", durable, err);
}

int mu_nats_consumer_remove(struct mu_nats *n, const char *stream, const char *durable, struct mu_err *err)
{
    struct call c;
    natsStatus st;
    int rc;

    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    st = js_DeleteConsumer(c.wire->js, stream, durable, NULL, &c.code);
    if (st != NATS_OK && c.code == JSConsumerNotFoundErr)
        st = NATS_OK;
    return end(&c, st, "remove the consumer", durable, err);
}

/* ---- messages ---- */

int mu_nats_put(struct mu_nats *n, const char *subject, const void *bytes, size_t len, uint64_t expected, uint64_t *seq,
                struct mu_err *err)
{
    jsPubOptions o;
    jsPubAck *ack = NULL;
    struct call c;
    natsStatus st;
    int rc;

    if (len > INT32_MAX)
        return mu_err_set(err, MU_EINVAL, "a message of %zu bytes is larger than any server takes", len);
    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    jsPubOptions_Init(&o);
    o.MaxWait = MU_NATS_ANSWER_MS;
    if (expected == MU_NATS_NONE)
        o.ExpectNoMessage = true;
    else if (expected != MU_NATS_ANY)
        o.ExpectLastSubjectSeq = expected;
    st = js_Publish(&ack, c.wire->js, subject, bytes, (int)len, &o, &c.code);
    if (st == NATS_OK && seq)
        *seq = ack->Sequence;
    jsPubAck_Destroy(ack);
    return end(&c, st, "put a message of", subject, err);
}

int mu_nats_last(struct mu_nats *n, const char *stream, const char *subject, struct mu_buf *out, uint64_t *seq,
                 struct mu_err *err)
{
    natsMsg *msg = NULL;
    struct call c;
    natsStatus st;
    int rc;

    mu_buf_clear(out);
    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    st = js_GetLastMsg(&msg, c.wire->js, stream, subject, NULL, &c.code);
    if (st == NATS_OK) {
        int len = natsMsg_GetDataLength(msg);

        if (len > 0)
            mu_buf_add(out, natsMsg_GetData(msg), (size_t)len);
        if (seq)
            *seq = natsMsg_GetSequence(msg);
        if (out->failed)
            st = NATS_NO_MEMORY;
    }
    natsMsg_Destroy(msg);
    return end(&c, st, "read the last message of", subject, err);
}

int mu_nats_each_subject(struct mu_nats *n, const char *stream, const char *filter, int (*fn)(void *arg, const char *subject),
                         void *arg, struct mu_err *err)
{
    jsStreamInfo *info = NULL;
    struct call c;
    jsOptions o;
    natsStatus st;
    int rc, stop = 0;

    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    st = jsOptions_Init(&o);
    if (st == NATS_OK) {
        o.Wait = MU_NATS_ANSWER_MS;
        o.Stream.Info.SubjectsFilter = filter;
        st = js_GetStreamInfo(&info, c.wire->js, stream, &o, &c.code);
    }
    rc = end(&c, st, "list the messages of", filter, err); /* fn may call in turn */
    for (int i = 0; !rc && !stop && info->State.Subjects && i < info->State.Subjects->Count; i++)
        stop = fn(arg, info->State.Subjects->List[i].Subject);
    jsStreamInfo_Destroy(info);
    return rc ? rc : stop;
}

/* Each message of an ordered list of `count`. *stop: what fn returned. */
static natsStatus read_each(natsSubscription *sub, uint64_t count, int64_t now_ns,
                            mu_nats_each_fn *fn, void *arg, int *stop)
{
    natsStatus st = NATS_OK;

    for (uint64_t i = 0; st == NATS_OK && i < count && !*stop; i++) {
        jsMsgMetaData *meta = NULL;
        natsMsg *msg = NULL;
        int len;

        if ((st = natsSubscription_NextMsg(&msg, sub, MU_NATS_ANSWER_MS)) != NATS_OK)
            break;
        st = natsMsg_GetMetaData(&meta, msg);
        len = natsMsg_GetDataLength(msg);
        if (st == NATS_OK) {
            int64_t age_ms = (now_ns - meta->Timestamp) / 1000000;

            *stop = fn(arg, natsMsg_GetSubject(msg), len > 0 ? natsMsg_GetData(msg) : "", len > 0 ? (size_t)len : 0,
                       meta->Sequence.Stream, age_ms > 0 ? age_ms : 0);
        }
        jsMsgMetaData_Destroy(meta);
        natsMsg_Destroy(msg);
    }
    return st;
}

/* The same of a work queue, which has no room for another consumer: by the list of its subjects, one question each. */
static natsStatus read_queue(struct call *c, const char *stream, const char *filter, mu_nats_each_fn *fn, void *arg, int *stop)
{
    jsStreamInfo *si = NULL;
    natsStatus st;
    jsOptions o;

    jsOptions_Init(&o);
    o.Stream.Info.SubjectsFilter = filter;
    c->code = 0;
    st = js_GetStreamInfo(&si, c->wire->js, stream, &o, &c->code);
    for (int i = 0; st == NATS_OK && si->State.Subjects && i < si->State.Subjects->Count && !*stop; i++) {
        const char *subject = si->State.Subjects->List[i].Subject;
        natsMsg *msg = NULL;
        int len;

        st = js_GetLastMsg(&msg, c->wire->js, stream, subject, NULL, &c->code);
        if (st == NATS_OK) {
            int64_t age_ms = (mu_clock_wall_ms() * 1000000 - natsMsg_GetTime(msg)) / 1000000;

            len = natsMsg_GetDataLength(msg);
            *stop = fn(arg, subject, len > 0 ? natsMsg_GetData(msg) : "", len > 0 ? (size_t)len : 0, natsMsg_GetSequence(msg),
                       age_ms > 0 ? age_ms : 0);
        } else if (c->code == JSNoMessageFoundErr || st == NATS_NOT_FOUND) { /* it was acknowledged meanwhile */
            c->code = 0;
            st = NATS_OK;
        }
        natsMsg_Destroy(msg);
    }
    jsStreamInfo_Destroy(si);
    return st;
}

int mu_nats_each_last(struct mu_nats *n, const char *stream, const char *filter, mu_nats_each_fn *fn, void *arg,
                      struct mu_err *err)
{
    natsSubscription *sub = NULL;
    jsConsumerInfo *ci = NULL;
    jsSubOptions o;
    struct call c;
    natsStatus st;
    int rc, stop = 0;

    if ((rc = begin(&c, n, err)) != 0)
        return rc;
    /* A consumer that is made for this, and goes with the subscription. It was made just now by the server's clock, which is what
     * ages are reckoned from. */
    jsSubOptions_Init(&o);
    o.Stream = stream;
    o.ManualAck = true;
    o.Config.DeliverPolicy = js_DeliverLastPerSubject;
    o.Config.AckPolicy = js_AckNone;
    o.Config.FilterSubject = filter;
    o.Config.MemoryStorage = true;
    o.Config.InactiveThreshold = (int64_t)30 * 1000000000;
    st = js_SubscribeSync(&sub, c.wire->js, filter, NULL, &o, &c.code);
    if (st == NATS_OK) {
        natsSubscription_SetPendingLimits(sub, -1, -1);
        st = natsSubscription_GetConsumerInfo(&ci, sub, NULL, &c.code);
    }
    if (st == NATS_OK)
        st = read_each(sub, ci->NumPending + ci->Delivered.Consumer, ci->Created, fn, arg, &stop);
    else if (c.code == JSConsumerWQRequiresExplicitAckErr)
        st = read_queue(&c, stream, filter, fn, arg, &stop);
    mu_nats_bury(sub);
    jsConsumerInfo_Destroy(ci);
    rc = end(&c, st, "read the messages of", filter, err);
    return rc ? rc : stop;
}

/* js_PurgeStream() does not say how many there were. */
int mu_nats_purge(struct mu_nats *n, const char *stream, const char *filter, uint64_t *removed, struct mu_err *err)
{
    json_t *ask = json_pack("{s:s}", "filter", filter), *answer = NULL;
    char *text = ask ? json_dumps(ask, JSON_COMPACT) : NULL;
    struct mu_buf subject = MU_BUF_INIT;
    natsMsg *reply = NULL;
    struct call c;
    natsStatus st = NATS_NO_MEMORY;
    int rc;

    if ((rc = begin(&c, n, err)) != 0)
        goto out;
    mu_buf_addf(&subject, "$JS.API.STREAM.PURGE.%s", stream);
    if (text && !subject.failed)
        st = natsConnection_Request(&reply, c.wire->nc, mu_buf_cstr(&subject), text, (int)strlen(text), MU_NATS_ANSWER_MS);
    if (st == NATS_OK) {
        answer = json_loadb(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply), 0, NULL);
        c.code = (jsErrCode)json_integer_value(json_object_get(json_object_get(answer, "error"), "err_code"));
        if (!json_is_true(json_object_get(answer, "success")))
            st = NATS_ERR;
        else if (removed)
            *removed = (uint64_t)json_integer_value(json_object_get(answer, "purged"));
    }
    rc = end(&c, st, "purge", filter, err);
out:
    natsMsg_Destroy(reply);
    json_decref(answer);
    json_decref(ask);
    free(text);
    mu_buf_free(&subject);
    return rc;
}

int mu_nats_flush(struct mu_nats *n, uint64_t timeout_ms, struct mu_err *err)
{
    struct mu_nats_link *l = n->link;
    uint64_t until_ms = mu_clock_ms() + timeout_ms, upto, now;
    struct call c;
    natsStatus st = NATS_TIMEOUT;
    bool sent;
    int rc;

    pthread_mutex_lock(&l->lock);
    upto = l->queued;
    while (l->sent < upto && !l->closing && mu_clock_ms() < until_ms)
        mu_nats_link_wait(l, until_ms);
    sent = l->sent >= upto;
    pthread_mutex_unlock(&l->lock);
    memset(&c, 0, sizeof c);
    c.link = l;
    now = mu_clock_ms();
    if (!(c.wire = mu_nats_wire_take(l, now < until_ms ? until_ms - now : 0, err)))
        return MU_EIO;
    now = mu_clock_ms();
    if (sent && now < until_ms)
        st = natsConnection_FlushTimeout(c.wire->nc, (int64_t)(until_ms - now));
    pthread_mutex_lock(&l->lock);
    c.n_denied = l->n_denied;
    pthread_mutex_unlock(&l->lock);
    rc = end(&c, st, "reach", "the server", err);
    if (rc && st == NATS_TIMEOUT)
        mu_err_set(err, MU_EIO, "no answer from the server within %" PRIu64 " ms", timeout_ms);
    return rc ? MU_EIO : 0;
}
