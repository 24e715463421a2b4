#include "agents/fence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/subjects.h"

#define TRIES 3          /* of 5 s each: a task waits for it, and cannot be interrupted meanwhile */
#define TAKE_OVER_TRIES 5

void mu_fence_write(struct mu_buf *out, uint64_t task, uint64_t delivery, const char *data)
{
    mu_buf_addf(out, "%" PRIu64 ".%" PRIu64 "\n%s", task, delivery, data ? data : "");
}

/* Digits, and the character behind them. False: it is something else. */
static bool read_number(const char **at, const char *end, char behind, uint64_t *number)
{
    const char *from = *at;
    for (*number = 0; *at < end && **at >= '0' && **at <= '9' && *at - from < 19; (*at)++)
        *number = 10 * *number + (uint64_t)(**at - '0');
    return *at > from && *at < end && *(*at)++ == behind;
}

int mu_fence_read(const void *bytes, size_t len, uint64_t *task, uint64_t *delivery, const char **data, size_t *data_len)
{
    const char *at = bytes, *end = at + len;
    *task = *delivery = 0;
    *data = NULL;
    *data_len = 0;
    if (!len)
        return 0;
    if (!read_number(&at, end, '.', task) || !read_number(&at, end, '\n', delivery) || memchr(at, '\0', (size_t)(end - at)))
        return MU_EINVAL;
    *data_len = (size_t)(end - at);
    *data = *data_len ? at : NULL;
    return 0;
}

/* What is there, as data (malloc'd, NULL: none), if it is not a later one's. */
static int look(const struct mu_fence *f, const struct mu_buf *now, const char *subject, bool take_over, char **data,
                struct mu_err *err)
{
    uint64_t task, delivery;
    const char *held;
    size_t len;
    if (mu_fence_read(now->data, now->len, &task, &delivery, &held, &len))
        return mu_err_set(err, MU_EINVAL, "what is kept as this server's claim is none: %s", subject);
    if (task > f->task || (task == f->task && delivery > f->delivery))
        return mu_err_set(err, MU_ECANCELED, "another agent has this server now (delivery %" PRIu64 ")", delivery);
    if (!take_over && now->len && task == f->task)
        return mu_err_set(err, MU_ESTATE, "another agent is at it");
    if (held && !(*data = strndup(held, len)))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    return 0;
}

int mu_fence_begin(struct mu_fence *f, struct mu_nats *n, const char *subject, bool take_over, char **data, struct mu_err *err)
{
    struct mu_buf now = MU_BUF_INIT, mine = MU_BUF_INIT;
    uint64_t seq = MU_NATS_NONE;
    int rc;
    *data = NULL;
    /* Somebody who does not know yet that he is out may be quicker than the first tries. */
    for (int i = 0;; i++) {
        mu_buf_clear(&now);
        mu_buf_clear(&mine);
        free(*data);
        *data = NULL;
        rc = mu_nats_last(n, MU_STREAM_RUNS, subject, &now, &seq, err);
        if (rc == MU_ENOENT) {
            seq = MU_NATS_NONE;
            rc = 0;
        }
        if (!rc)
            rc = look(f, &now, subject, take_over, data, err);
        if (!rc && take_over) {
            mu_fence_write(&mine, f->task, f->delivery, *data);
            rc = mine.failed ? mu_err_set(err, MU_ENOMEM, "out of memory")
                             : mu_nats_put(n, subject, mine.data, mine.len, seq, &seq, err);
        }
        if (rc != MU_EEXIST || i + 1 == TAKE_OVER_TRIES)
            break;
    }
    if (!rc)
        f->seq = seq;
    if (rc) {
        free(*data);
        *data = NULL;
    }
    mu_buf_free(&now);
    mu_buf_free(&mine);
    return rc;
}

static void end(struct mu_fence *f, const struct mu_err *err)
{
    mu_fence_fn *fn = f->fn;
    char *data = f->data;
    free(f->subject);
    f->subject = f->data = NULL;
    f->fn = NULL;
    fn(f->arg, data, err);
    free(data);
}

static void posted(void *arg, int rc, uint64_t seq, const struct mu_err *err);

static void post(struct mu_fence *f)
{
    struct mu_err err;
    struct mu_buf bytes = MU_BUF_INIT;
    if (f->closed) {
        mu_err_set(&err, MU_EIO,
                   "the queue has been out of reach for so long that another agent may have this server: nothing is claimed or "
                   "released here any more");
        mu_err_cause(&err, "the agent lost its contact");
        end(f, &err);
        return;
    }
    /* With the same id: a try that was stored without our hearing of it is answered as if it had been stored now. */
    mu_fence_write(&bytes, f->task, f->delivery, f->data);
    int rc = bytes.failed ? MU_ENOMEM : mu_nats_post(f->nats, f->subject, f->id, bytes.data, bytes.len, f->seq, posted, f);
    mu_buf_free(&bytes);
    if (rc) {
        mu_err_set(&err, rc, "the claim cannot be written to the queue: %s", mu_nats_where(f->nats));
        end(f, &err);
    }
}

static void posted(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    struct mu_fence *f = arg;
    struct mu_err why = {0};
    if (!rc) {
        f->seq = seq;
        end(f, NULL);
    } else if (rc == MU_EEXIST) {
        f->closed = true;
        mu_err_set(&why, MU_EEXIST, "another agent has this server now: this task's claim is not changed any more");
        mu_err_cause(&why, "another agent has the server");
        end(f, &why);
    } else if (f->closed || ++f->tries == TRIES) {
        mu_err_set(&why, rc, "the claim cannot be written to the queue: %s", err ? err->msg : "unknown error");
        end(f, &why);
    } else {
        post(f);
    }
}

void mu_fence_change(struct mu_fence *f, struct mu_nats *n, const char *subject, const char *agent, uint64_t number,
                     const char *data, mu_fence_fn *fn, void *arg)
{
    f->nats = n;
    f->subject = strdup(subject);
    f->data = data ? strdup(data) : NULL;
    f->tries = 0;
    f->fn = fn;
    f->arg = arg;
    snprintf(f->id, sizeof f->id, "%s.claim.%" PRIu64, agent, number);
    if (!f->subject || (data && !f->data)) {
        struct mu_err err;
        mu_err_set(&err, MU_ENOMEM, "out of memory");
        end(f, &err);
        return;
    }
    post(f);
}

bool mu_fence_is_busy(const struct mu_fence *f) { return f->fn != NULL; }

void mu_fence_clear(struct mu_fence *f)
{
    free(f->subject);
    free(f->data);
    f->subject = f->data = NULL;
    f->fn = NULL;
}
