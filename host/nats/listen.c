/* What nobody keeps: said to whoever listens now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nats/internal.h"

struct mu_nats_ear {
    struct mu_nats_ear *next;
    struct mu_nats *n;
    uint64_t id;
    mu_nats_hear_fn *fn;
    void *arg;
};

int mu_nats_say(struct mu_nats *n, const char *subject, const char *reply, const void *bytes, size_t len)
{
    natsMsg *msg = NULL;
    natsStatus s;

    if (!n->connected)
        return MU_EIO;
    if (len > INT32_MAX)
        return MU_EINVAL;
    s = natsMsg_Create(&msg, subject, reply, bytes, (int)len);
    if (s != NATS_OK)
        return s == NATS_NO_MEMORY ? MU_ENOMEM : MU_EINVAL;
    return mu_nats_link_send(n->link, msg, 0, 0, 0);
}

static int put_item(struct mu_nats *n, enum mu_nats_task task, uint64_t id, const char *subject)
{
    struct mu_nats_item *item = calloc(1, sizeof *item + strlen(subject) + 1);

    if (!item)
        return MU_ENOMEM;
    item->task = task;
    item->id = id;
    memcpy(item->subject, subject, strlen(subject) + 1);
    mu_nats_link_put(n->link, item);
    return 0;
}

int mu_nats_listen(struct mu_nats_ear **out, struct mu_nats *n, const char *subject, mu_nats_hear_fn *fn, void *arg,
                   struct mu_err *err)
{
    struct mu_nats_ear *e;

    *out = NULL;
    if (!*subject || strpbrk(subject, " \t\r\n"))
        return mu_err_set(err, MU_EINVAL, "not a subject of NATS: '%s'", subject);
    e = calloc(1, sizeof *e);
    if (!e)
        return mu_err_set(err, MU_ENOMEM, "cannot listen to %s: out of memory", subject);
    e->n = n;
    e->id = ++n->last_id;
    e->fn = fn;
    e->arg = arg;
    if (put_item(n, MU_NATS_EAR_OPEN, e->id, subject) != 0) {
        free(e);
        return mu_err_set(err, MU_ENOMEM, "cannot listen to %s: out of memory", subject);
    }
    e->next = n->ears;
    n->ears = e;
    *out = e;
    return 0;
}

void mu_nats_listen_end(struct mu_nats_ear *e)
{
    struct mu_nats_ear **at;

    if (!e)
        return;
    for (at = &e->n->ears; *at != e;)
        at = &(*at)->next;
    *at = e->next;
    put_item(e->n, MU_NATS_EAR_CLOSE, e->id, "");
    free(e);
}

void mu_nats_ears_hear(struct mu_nats *n, const struct mu_nats_mail *m)
{
    struct mu_nats_ear *e = n->ears;
    struct mu_nats_heard heard;
    int len;

    while (e && e->id != m->id)
        e = e->next;
    if (!e)
        return;
    len = natsMsg_GetDataLength(m->heard);
    heard.subject = natsMsg_GetSubject(m->heard);
    heard.reply = natsMsg_GetReply(m->heard);
    heard.bytes = natsMsg_GetData(m->heard);
    heard.len = len > 0 ? (size_t)len : 0;
    if (!heard.bytes)
        heard.bytes = "";
    if (heard.reply && !*heard.reply)
        heard.reply = NULL;
    e->fn(e->arg, &heard);
}

void mu_nats_ears_free(struct mu_nats *n)
{
    while (n->ears)
        mu_nats_listen_end(n->ears);
}

void mu_nats_inbox(struct mu_nats *n, char out[64])
{
    natsInbox *inbox = NULL;

    if (natsInbox_Create(&inbox) == NATS_OK)
        snprintf(out, 64, "%s", (const char *)inbox);
    else /* nobody else has these either: post ids are never 0 */
        snprintf(out, 64, "_INBOX.%p.%llu", (void *)n, (unsigned long long)++n->last_id);
    natsInbox_Destroy(inbox);
}
