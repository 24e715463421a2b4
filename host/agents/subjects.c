#include "agents/subjects.h"

#include <string.h>

/* ---- tokens ---- */

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

bool mu_subject_is_run(const char *id, size_t len)
{
    bool good = len && len <= MU_RUN_ID_MAX;
    for (size_t i = 0; good && i < len; i++)
        good = id[i] && strchr(plain, id[i]);
    return good;
}

void mu_subject_add_token(struct mu_buf *out, const char *name)
{
    for (const char *p = name; *p; p++) {
        if (strchr(plain, *p))
            mu_buf_addc(out, *p);
        else
            mu_buf_addf(out, "=%02x", (unsigned char)*p);
    }
}

const char *mu_subject_version(void)
{
    static const char version[] = MUSTER_VERSION;
    static _Thread_local char token[sizeof version];
    for (size_t i = 0; i < sizeof version; i++)
        token[i] = version[i] == '.' ? '-' : version[i];
    return token;
}

const char *mu_subject_queue(struct mu_buf *out, const char *group)
{
    mu_buf_clear(out);
    mu_buf_adds(out, group ? "g-" : "any");
    if (group)
        mu_subject_add_token(out, group);
    return mu_buf_cstr(out);
}

/* ---- subjects ---- */

static const char *format(struct mu_buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static const char *format(struct mu_buf *out, const char *fmt, ...)
{
    va_list ap;
    mu_buf_clear(out);
    va_start(ap, fmt);
    mu_buf_vaddf(out, fmt, ap);
    va_end(ap);
    return mu_buf_cstr(out);
}

const char *mu_subject_task(struct mu_buf *out, const char *queue, const char *run, size_t server)
{
    return format(out, "muster.task.%s.%s.%s.%zu", mu_subject_version(), queue, run, server);
}

const char *mu_subject_tasks_of_run(struct mu_buf *out, const char *run) { return format(out, "muster.task.*.*.%s.>", run); }

const char *mu_subject_tasks_of_queue(struct mu_buf *out, const char *queue)
{
    return format(out, "muster.task.%s.%s.>", mu_subject_version(), queue);
}

const char *mu_subject_event(struct mu_buf *out, const char *run, const char *agent)
{
    return format(out, "muster.event.%s.%s", run, agent);
}

const char *mu_subject_events(struct mu_buf *out, const char *run) { return format(out, "muster.event.%s.>", run); }

const char *mu_subject_brief(struct mu_buf *out, const char *run) { return format(out, "muster.run.%s", run); }

const char *mu_subject_bundle(struct mu_buf *out, const char *name, size_t piece)
{
    return format(out, "muster.bundle.%s.%zu", name, piece);
}

const char *mu_subject_claim(struct mu_buf *out, const char *run, size_t server)
{
    return format(out, "muster.claim.%s.%zu", run, server);
}

const char *mu_subject_claims(struct mu_buf *out, const char *run) { return format(out, "muster.claim.%s.>", run); }

const char *mu_subject_agent(struct mu_buf *out, const char *agent) { return format(out, "muster.agent.%s", agent); }

const char *mu_subject_word(struct mu_buf *out, const char *run, const char *agent)
{
    return format(out, "muster.word.%s%s%s", run, agent ? "." : "", agent ? agent : "");
}

/* ---- consumers and streams ---- */

const char *mu_subject_durable(struct mu_buf *out, const char *queue)
{
    return format(out, "%s-%s", mu_subject_version(), queue);
}

const char *mu_subject_run_durable(struct mu_buf *out, const char *run) { return format(out, "run-%s", run); }

int mu_subjects_ensure(struct mu_nats *n, struct mu_err *err)
{
    static const char *const tasks[] = {"muster.task.>", NULL}, *const events[] = {"muster.event.>", NULL},
                      *const runs[] = {"muster.run.>", "muster.bundle.>", "muster.claim.>", "muster.agent.>", NULL};
    const struct mu_nats_stream streams[] = {
        {.name = MU_STREAM_TASKS, .subjects = tasks, .retention = MU_NATS_WORK_QUEUE},
        {.name = MU_STREAM_EVENTS, .subjects = events, .retention = MU_NATS_WORK_QUEUE, .max_bytes = MU_EVENTS_MAX_BYTES,
         .max_age_ms = MU_RUNS_MAX_AGE_MS}, /* what an agent that was cut off says when the run is over is nobody's */
        {.name = MU_STREAM_RUNS, .subjects = runs, .retention = MU_NATS_LIMITS, .max_per_subject = 1,
         .max_age_ms = MU_RUNS_MAX_AGE_MS},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof streams / sizeof *streams && !rc; i++)
        rc = mu_nats_stream_ensure(n, &streams[i], err);
    return rc;
}

int mu_subjects_ensure_queue(struct mu_nats *n, const char *queue, int64_t ack_wait_ms, struct mu_err *err)
{
    struct mu_buf durable = MU_BUF_INIT, filter = MU_BUF_INIT;
    const struct mu_nats_consumer c = {
        .stream = MU_STREAM_TASKS,
        .durable = mu_subject_durable(&durable, queue),
        .filter = mu_subject_tasks_of_queue(&filter, queue),
        .ack_wait_ms = ack_wait_ms ? ack_wait_ms : MU_ACK_WAIT_MS,
        .max_deliver = MU_MAX_DELIVER,
        .max_ack_pending = MU_MAX_ACK_PENDING,
    };
    int rc = durable.failed || filter.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : mu_nats_consumer_ensure(n, &c, err);
    mu_buf_free(&durable);
    mu_buf_free(&filter);
    return rc;
}
