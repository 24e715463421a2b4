/* Where letters come from: the consumer of the run's events. What was not acknowledged comes again, from the first on
 * and in order, when it is made anew; which is done when the connection was lost, since letters on their way are lost
 * with it. */
#include <stdlib.h>

#include "agents/spread_internal.h"

static int make_consumer(struct mu_spread *s, struct mu_err *err)
{
    struct mu_buf durable = MU_BUF_INIT, filter = MU_BUF_INIT;
    const struct mu_nats_consumer c = {
        .stream = MU_STREAM_EVENTS,
        .durable = mu_subject_run_durable(&durable, s->run_id),
        .filter = mu_subject_events(&filter, s->run_id),
        .ack_wait_ms = s->config.ack_wait_ms ? (int64_t)s->config.ack_wait_ms : MU_ACK_WAIT_MS,
        .max_ack_pending = MU_MAX_ACK_PENDING,
    };
    int rc = durable.failed || filter.failed ? mu_err_set(err, MU_ENOMEM, "out of memory")
                                             : mu_nats_consumer_remove(s->nats, c.stream, c.durable, err);
    if (!rc)
        rc = mu_nats_consumer_ensure(s->nats, &c, err);
    mu_buf_free(&durable);
    mu_buf_free(&filter);
    return rc;
}

static int open_pull(struct mu_spread *s, struct mu_err *err)
{
    struct mu_buf durable = MU_BUF_INIT;
    const char *durables[] = {mu_subject_run_durable(&durable, s->run_id), NULL};
    int rc = mu_nats_pull_new(&s->pull, s->nats, MU_STREAM_EVENTS, durables, mu_spread_letter, s, err);
    mu_buf_free(&durable);
    if (rc)
        return rc;
    s->pulls++;
    mu_nats_pull_want(s->pull, MU_SPREAD_LETTERS);
    return 0;
}

int mu_spread_pull(struct mu_spread *s, struct mu_err *err)
{
    int rc = make_consumer(s, err);
    return rc ? rc : open_pull(s, err);
}

struct renewal {
    struct mu_spread_chore chore;
    struct mu_err err;
    int rc;
};

static void renew_work(struct mu_spread_chore *c)
{
    struct renewal *r = (struct renewal *)c;
    r->rc = make_consumer(c->s, &r->err);
}

static void renew_done(struct mu_spread_chore *c)
{
    struct renewal *r = (struct renewal *)c;
    struct mu_spread *s = c->s;
    s->renews = false;
    if (!r->rc && !s->over)
        r->rc = open_pull(s, &r->err);
    if (r->rc)
        mu_log(MU_DEBUG, "What agents write cannot be read yet: %s", r->err.msg);
    s->to_renew = r->rc != 0; /* tried again with the next tick */
}

static void renew_free(struct mu_spread_chore *c)
{
    free(c);
}

void mu_spread_renew(struct mu_spread *s)
{
    struct renewal *r = s->renews || s->over || !s->connected ? NULL : calloc(1, sizeof *r);
    s->to_renew = true;
    if (!r)
        return;
    s->to_renew = false;
    s->renews = true;
    mu_nats_pull_free(s->pull);
    s->pull = NULL;
    mu_spread_forget_pieces(s);
    r->chore = (struct mu_spread_chore){.work = renew_work, .done = renew_done, .free = renew_free};
    mu_spread_chore(s, &r->chore);
}
