#include "agents/fence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/subjects.h"

#define TRIES 3          /* of 5 s each: a task waits for it, and cannot be interrupted meanwhile */
#define TAKE_OVER_TRIES 5

/* Nothing at all is nobody's claim: released. */
static bool is_known(const struct mu_buf *now, const char *known)
{
    return !now->len || (known && strlen(known) == now->len && !memcmp(known, now->data, now->len));
}

int mu_fence_begin(struct mu_fence *f, struct mu_nats *n, const char *subject, bool take_over, const char *known, char **data,
                   struct mu_err *err)
{
    struct mu_buf now = MU_BUF_INIT;
    uint64_t seq = MU_NATS_NONE;
    int rc;
    *data = NULL;
    /* Somebody who does not know yet that he is out may be quicker than the first tries. */
    for (int i = 0;; i++) {
        mu_buf_clear(&now);
        rc = mu_nats_last(n, MU_STREAM_RUNS, subject, &now, &seq, err);
        if (rc == MU_ENOENT) {
            seq = MU_NATS_NONE;
            rc = 0;
        }
        if (!rc && !take_over && !is_known(&now, known))
            rc = mu_err_set(err, MU_ESTATE, "another agent is at it");
        if (!rc && take_over)
            rc = mu_nats_put(n, subject, now.data ? now.data : "", now.len, seq, &seq, err);
        if (rc != MU_EEXIST || i + 1 == TAKE_OVER_TRIES)
            break;
    }
    if (!rc && now.len && memchr(now.data, '\0', now.len))
        rc = mu_err_set(err, MU_EINVAL, "what is kept as this server's claim is none: %s holds a NUL", subject);
    if (!rc && now.len && !(*data = strdup(mu_buf_cstr(&now))))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        f->seq = seq;
    mu_buf_free(&now);
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
    const char *bytes = f->data ? f->data : "";
    if (f->closed) {
        mu_err_set(&err, MU_EIO, "the queue has been out of reach for so long that another agent may have this server: nothing is claimed or "
                   "released here any more");
        mu_err_cause(&err, "the agent lost its contact");
        end(f, &err);
        return;
    }
    /* With the same id: a try that was stored without our hearing of it is answered as if it had been stored now. */
    int rc = mu_nats_post(f->nats, f->subject, f->id, bytes, strlen(bytes), f->seq, posted, f);
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

void mu_fence_change(struct mu_fence *f, struct mu_nats *n, const char *subject, const char *agent, uint64_t number, const char *data,
                     mu_fence_fn *fn, void *arg)
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
