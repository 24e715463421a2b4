#include "loop/mailbox.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "loop/internal.h"

struct mu_mailbox {
    uv_async_t uv;
    struct mu_loop *loop;
    mu_mailbox_fn *fn;
    void *arg;
    atomic_bool nudged;
    uv_mutex_t lock;            /* over the four below */
    struct mu_msg *first, *last;
    bool waking;                /* the loop was told, and has not looked yet */
    bool rests;
    struct mu_msg *batch;       /* taken out, being delivered; the loop's thread only */
    bool freed;
};

static void deliver(void *handle)
{
    struct mu_mailbox *mb = handle;

    if (atomic_exchange(&mb->nudged, false))
        mb->fn(mb->arg, NULL);
    /* Only what was there at the wake-up: a callback that posts to its own mailbox must not keep the loop from others. */
    while (!mb->freed && mb->batch) {
        struct mu_msg *msg = mb->batch;

        mb->batch = msg->next;
        msg->next = NULL;
        mb->fn(mb->arg, msg);
    }
}

static void on_wake(uv_async_t *uv)
{
    struct mu_mailbox *mb = uv->data;

    uv_mutex_lock(&mb->lock);
    mb->batch = mb->first;
    mb->first = mb->last = NULL;
    mb->waking = false;
    uv_mutex_unlock(&mb->lock);
    if (mb->batch || atomic_load(&mb->nudged)) /* two wake-ups may have been met by one */
        mu_loop_call(mb->loop, NULL, deliver, mb);
}

int mu_mailbox_new(struct mu_mailbox **out, struct mu_loop *loop, mu_mailbox_fn *fn, void *arg, struct mu_err *err)
{
    struct mu_mailbox *mb = calloc(1, sizeof(*mb));
    int status;

    *out = NULL;
    if (!mb)
        return mu_err_set(err, MU_ENOMEM, "cannot make a mailbox: out of memory");
    status = uv_mutex_init(&mb->lock);
    if (status)
        goto out;
    status = uv_async_init(&loop->uv, &mb->uv, on_wake);
    if (status) {
        uv_mutex_destroy(&mb->lock);
        goto out;
    }
    mb->uv.data = mb;
    mb->loop = loop;
    mb->fn = fn;
    mb->arg = arg;
    loop->open++;
    *out = mb;
    mb = NULL;
out:
    free(mb);
    return status ? mu_loop_err(err, status, "cannot make a mailbox") : 0;
}

enum urgency { NOW, SOON, LATER };

static void post(struct mu_mailbox *mb, struct mu_msg *msg, enum urgency urgency)
{
    msg->next = NULL;
    uv_mutex_lock(&mb->lock);
    if (mb->first)
        mb->last->next = msg;
    else
        mb->first = msg;
    mb->last = msg;
    /* Under the lock: once the message is out, its receiver may free the mailbox. */
    if ((urgency == NOW || (urgency == SOON && !mb->rests)) && !mb->waking) {
        mb->waking = true;
        uv_async_send(&mb->uv);
    }
    uv_mutex_unlock(&mb->lock);
}

void mu_mailbox_post(struct mu_mailbox *mb, struct mu_msg *msg) { post(mb, msg, NOW); }
void mu_mailbox_post_later(struct mu_mailbox *mb, struct mu_msg *msg) { post(mb, msg, LATER); }
void mu_mailbox_post_soon(struct mu_mailbox *mb, struct mu_msg *msg) { post(mb, msg, SOON); }

void mu_mailbox_rest(struct mu_mailbox *mb, bool rests)
{
    uv_mutex_lock(&mb->lock);
    mb->rests = rests;
    if (!rests && mb->first && !mb->waking) {
        mb->waking = true;
        uv_async_send(&mb->uv);
    }
    uv_mutex_unlock(&mb->lock);
}

void mu_mailbox_nudge(struct mu_mailbox *mb)
{
    atomic_store(&mb->nudged, true);
    uv_async_send(&mb->uv);
}

static void on_closed(uv_handle_t *uv)
{
    struct mu_mailbox *mb = uv->data;

    uv_mutex_destroy(&mb->lock);
    free(mb);
}

static void drop_all(struct mu_msg *msg, void (*drop)(struct mu_msg *msg))
{
    while (msg) {
        struct mu_msg *next = msg->next;

        if (drop)
            drop(msg);
        msg = next;
    }
}

void mu_mailbox_free(struct mu_mailbox *mb, void (*drop)(struct mu_msg *msg))
{
    struct mu_msg *queued;

    if (!mb)
        return;
    assert(!mb->freed);
    mb->freed = true;
    uv_mutex_lock(&mb->lock);
    queued = mb->first;
    mb->first = mb->last = NULL;
    uv_mutex_unlock(&mb->lock);
    drop_all(mb->batch, drop);
    mb->batch = NULL;
    drop_all(queued, drop);
    mb->loop->open--;
    uv_close((uv_handle_t *)&mb->uv, on_closed);
}
