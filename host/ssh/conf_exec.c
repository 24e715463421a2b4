#include "ssh/conf_exec.h"

#include <stdlib.h>
#include <string.h>

#include "loop/process.h"

#define LOOK_MS 10 /* how often to look whether another worker's command has ended */

struct mu_conf_exec {
    struct mu_loop *loop;
    struct mu_ctx *ctx;
    struct mu_confs *confs;
    char *command;
    mu_conf_exec_fn *fn;
    void *arg;
    struct mu_timer *timer;
    struct mu_process *process;
};

/* Nobody reads what it prints. */
static int drop(void *arg, const char *bytes, size_t n, struct mu_err *err)
{
    (void)arg;
    (void)bytes;
    (void)n;
    (void)err;
    return 0;
}

static void on_ended(void *arg, struct mu_process *p)
{
    struct mu_conf_exec *e = arg;
    const struct mu_exec_result *r = mu_process_result(p);
    struct mu_err err = r->error;

    mu_log(MU_DEBUG, "Match exec: %s: exit status %d", e->command, r->exit_status);
    mu_confs_tell(e->confs, e->command, err.code ? MU_CONF_PENDING : r->exit_status == 0);
    mu_process_free(p);
    e->process = NULL;
    e->fn(e->arg, &err);
}

static int begin(struct mu_conf_exec *e, struct mu_err *err)
{
    struct mu_exec_request req = {.command = e->command, .label = "Match exec", .on_output = drop};
    int rc;

    if (!mu_confs_claim(e->confs, e->command)) {
        mu_timer_start(e->timer, e->ctx, LOOK_MS);
        return 0;
    }
    rc = mu_process_start(&e->process, e->loop, e->ctx, &req, on_ended, e, err);
    if (rc) {
        e->process = NULL;
        mu_confs_tell(e->confs, e->command, MU_CONF_PENDING);
        mu_err_prefix(err, "Match exec of the ssh configuration");
    }
    return rc;
}

static void look(void *arg)
{
    struct mu_conf_exec *e = arg;
    struct mu_err err = {0};

    if (mu_confs_outcome(e->confs, e->command) != MU_CONF_PENDING || begin(e, &err))
        e->fn(e->arg, &err);
}

int mu_conf_exec_start(struct mu_conf_exec **out, struct mu_loop *loop, struct mu_ctx *ctx, struct mu_confs *confs,
                       const char *command, mu_conf_exec_fn *fn, void *arg, struct mu_err *err)
{
    struct mu_conf_exec *e = calloc(1, sizeof(*e));
    int rc;

    *out = NULL;
    if (!e)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *e = (struct mu_conf_exec){.loop = loop, .ctx = mu_ctx_ref(ctx), .confs = confs, .fn = fn, .arg = arg};
    e->command = strdup(command);
    e->timer = mu_timer_new(loop, look, e);
    if (e->command && e->timer)
        rc = begin(e, err);
    else
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc)
        mu_conf_exec_free(e);
    else
        *out = e;
    return rc;
}

void mu_conf_exec_free(struct mu_conf_exec *e)
{
    if (!e)
        return;
    if (e->process)
        mu_confs_tell(e->confs, e->command, MU_CONF_PENDING);
    mu_process_free(e->process);
    mu_timer_free(e->timer);
    mu_ctx_unref(e->ctx);
    free(e->command);
    free(e);
}
