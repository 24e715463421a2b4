/* Jobs come from the queues of an agent's groups, and go to the guests that they are of. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>

static struct mu_guest *guest_of(struct mu_list *l) { return mu_list_entry(l, struct mu_guest, link); }

/* Not one whose run was cancelled, or is over: should it be gone on with, the brief says so to a new one. */
static struct mu_guest *find_guest(struct mu_agent *a, const char *run_id)
{
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
        struct mu_guest *g = guest_of(l);
        if (!strcmp(g->run_id, run_id) && g->state < MU_GUEST_LEAVING && !g->cancelled && !g->over)
            return g;
    }
    return NULL;
}

/* The run and the server that a task's subject names, both as this muster writes them. */
static bool read_subject(const char *subject, char run_id[MU_RUN_ID_MAX + 1], size_t *index)
{
    const char *last = strrchr(subject, '.'), *run = last;
    char *end;
    while (run && run > subject && run[-1] != '.')
        run--;
    size_t len = run ? (size_t)(last - run) : 0;
    if (!run || !mu_subject_is_run(run, len) || strspn(last + 1, "0123456789") != strlen(last + 1) || !last[1] || strlen(last + 1) > 18)
        return false;
    memcpy(run_id, run, len);
    run_id[len] = '\0';
    *index = strtoul(last + 1, &end, 10);
    return true;
}

static void take_job(void *arg, struct mu_nats_job *job)
{
    struct mu_agent *a = arg;
    struct mu_wire_task task = {0};
    char run_id[MU_RUN_ID_MAX + 1];
    struct mu_err err = {0};
    size_t len, index = 0;
    const void *bytes = mu_nats_job_bytes(job, &len);
    a->wanted -= a->wanted > 0;
    if (a->drains_seen) {
        mu_nats_job_give_back_free(job);
        return;
    }
    if (!read_subject(mu_nats_job_subject(job), run_id, &index)) {
        mu_log(MU_ERROR, "A job is no task of a run, and is thrown away: its subject is %s", mu_nats_job_subject(job));
        mu_nats_job_ack_free(job);
        mu_agent_want(a);
        return;
    }
    mu_nats_job_working(job); /* it may have been on its way for a while */
    struct mu_guest *g = find_guest(a, run_id);
    if (!g && mu_guest_new(&g, a, run_id, &err)) {
        mu_log(MU_ERROR, "Run %s: a task is given back: %s", run_id, err.msg);
        mu_nats_job_give_back_free(job);
        mu_agent_want(a);
        return;
    }
    int rc = mu_wire_read_task(&task, bytes, len, &err);
    if (!rc && (strcmp(task.run_id, run_id) != 0 || task.index != index)) {
        rc = mu_err_set(&err, MU_EINVAL, "it is a task of another run or server than its subject says");
        mu_wire_task_clear(&task);
    }
    if (rc) { /* told in its name, so that nobody waits for it */
        mu_err_prefix(&err, "the task cannot be read");
        task = (struct mu_wire_task){.index = index};
    }
    mu_guest_take(g, &task, job, mu_nats_job_delivery(job), rc ? &err : NULL);
    mu_guest_go_on(g);
    mu_agent_want(a);
}

int mu_agent_open_queues(struct mu_agent *a, struct mu_err *err)
{
    size_t n = 0;
    while (a->groups[n])
        n++;
    const char **durables = calloc(n + 2, sizeof *durables);
    struct mu_buf queue = MU_BUF_INIT, durable = MU_BUF_INIT;
    int rc = durables ? mu_subjects_ensure(a->nats, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; !rc && (i < n || (!n && !i)); i++) {
        mu_subject_queue(&queue, n ? a->groups[i] : NULL);
        rc = mu_subjects_ensure_queue(a->nats, mu_buf_cstr(&queue), (int64_t)a->config.ack_wait_ms, err);
        mu_subject_durable(&durable, mu_buf_cstr(&queue));
        if (!rc && !(durables[i] = strdup(mu_buf_cstr(&durable))))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    if (!rc)
        rc = mu_nats_pull_new(&a->pull, a->nats, MU_STREAM_TASKS, durables, take_job, a, err);
    if (!rc)
        mu_nats_pull_only_fresh(a->pull);
    for (size_t i = 0; durables && i <= n; i++)
        free((char *)durables[i]);
    free(durables);
    mu_buf_free(&queue);
    mu_buf_free(&durable);
    return rc;
}
