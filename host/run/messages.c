#include "run/messages.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/engine.h"
#include "run/task.h"
#include "run/worker.h"

struct mu_message *mu_message_new(int kind)
{
    struct mu_message *m = calloc(1, sizeof *m);
    if (m)
        m->head.kind = kind;
    return m;
}

void mu_message_free(struct mu_msg *msg)
{
    struct mu_message *m = (struct mu_message *)msg;
    if (!m)
        return;
    mu_step_result_free(m->step);
    free(m->type);
    free(m->where);
    free(m->cause);
    free(m->text);
    mu_verdict_free(m->verdict);
    mu_repeat_free(m->repeat);
    mu_buf_free(&m->plain);
    free(m);
}

static struct mu_message *from_task(const struct mu_task *t, int kind)
{
    struct mu_message *m = t->worker->engine->home ? mu_message_new(kind) : NULL;
    if (m) {
        m->task = t->index;
        m->peer = t->peer.index;
        m->kind = t->kind;
        m->worker = t->worker->index;
        m->wall_ms = mu_clock_wall_ms();
    }
    return m;
}

static void post(const struct mu_task *t, struct mu_message *m) { mu_mailbox_post(t->worker->engine->home, &m->head); }

/* What the main thread only keeps need not wake it: that costs more than the rest of what it does for a server. */
static void post_later(const struct mu_task *t, struct mu_message *m)
{
    mu_mailbox_post_later(t->worker->engine->home, &m->head);
}

void mu_post_started(const struct mu_task *t)
{
    struct mu_message *m = from_task(t, MU_MSG_STARTED);
    if (m)
        post_later(t, m);
}

struct mu_message *mu_message_step_take(const struct mu_task *t, struct mu_step_result *step)
{
    struct mu_message *m = from_task(t, MU_MSG_STEP);
    if (m)
        m->step = step;
    else
        mu_step_result_free(step);
    return m;
}

void mu_post_step_take(const struct mu_task *t, struct mu_step_result *step)
{
    struct mu_message *m = mu_message_step_take(t, step);
    if (m)
        post_later(t, m);
}

struct mu_message *mu_message_ending(const struct mu_task *t, uint64_t took_ms)
{
    struct mu_message *m = from_task(t, MU_MSG_ENDING);
    if (m)
        m->took_ms = took_ms;
    return m;
}

void mu_post_facts(const struct mu_task *t, size_t server, const char *json)
{
    struct mu_message *m = from_task(t, MU_MSG_FACTS);
    if (!m)
        return;
    m->task = server;
    m->text = strdup(json);
    post_later(t, m);
}

int mu_post_keep(const struct mu_task *t, size_t server, const char *name, const void *bytes, size_t n)
{
    if (!t->worker->engine->keeps)
        return 0;
    struct mu_message *m = from_task(t, MU_MSG_KEEP);
    if (!m)
        return MU_ENOMEM;
    m->task = server;
    m->text = strdup(name);
    mu_buf_add(&m->plain, bytes, n);
    if (!m->text || m->plain.failed) {
        mu_message_free(&m->head);
        return MU_ENOMEM;
    }
    post_later(t, m);
    return 0;
}

void mu_post_failure(const struct mu_task *t, enum mu_status status, const char *type, const char *where,
                     const char *cause, const char *message)
{
    struct mu_message *m = from_task(t, MU_MSG_FAILURE);
    if (!m)
        return;
    m->status = status;
    m->type = type ? strdup(type) : NULL;
    m->where = strdup(where);
    m->cause = strdup(cause);
    m->text = strdup(message);
    post(t, m);
}

void mu_post_unended(const struct mu_task *t, size_t server, const char *command)
{
    struct mu_message *m = from_task(t, MU_MSG_UNENDED);
    if (!m)
        return;
    m->task = server;
    m->text = strdup(command);
    post(t, m);
}

void mu_post_retried(const struct mu_task *t, size_t server, unsigned retries, bool connected)
{
    struct mu_message *m = from_task(t, MU_MSG_RETRIED);
    if (!m)
        return;
    m->task = server;
    m->number = retries;
    m->first = connected;
    post_later(t, m);
}

static struct mu_message *must_have(const struct mu_task *t, int kind)
{
    struct mu_message *m;
    while (!(m = from_task(t, kind)))
        usleep(10000); /* the run could never end without it */
    return m;
}

void mu_post_mark(const struct mu_task *t)
{
    if (!t->worker->engine->home)
        return;
    struct mu_message *m = must_have(t, MU_MSG_MARK);
    m->mark = t->mark.state;
    m->text = t->mark.note ? strdup(t->mark.note) : NULL;
    m->tries = t->mark.tries;
    post(t, m);
}

void mu_post_shared_take(const struct mu_task *t, struct mu_buf *plain)
{
    if (!t->worker->engine->home)
        return;
    struct mu_message *m = must_have(t, MU_MSG_SHARED);
    m->plain = *plain;
    *plain = (struct mu_buf)MU_BUF_INIT;
    post(t, m);
}

void mu_post_done(const struct mu_task *t, uint64_t took_ms)
{
    if (!t->worker->engine->home)
        return;
    struct mu_message *m = must_have(t, MU_MSG_DONE);
    m->number = took_ms;
    m->down[0] = t->remote.state == MU_REMOTE_FAILED;
    m->down[1] = t->peer.state == MU_REMOTE_FAILED;
    post(t, m);
}
