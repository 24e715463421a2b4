/* options_wait.c: options for whoever may block: what they depend on is run at once, in a loop of its own. */
#include <stdlib.h>

#include "ssh/conf_exec.h"
#include "ssh/options.h"
#include "ssh/shared_parts.h"
#include "ssh/ssh.h"

struct waiting {
    bool done;
    struct mu_err err;
};

static void on_known(void *arg, const struct mu_err *err)
{
    struct waiting *w = arg;

    w->done = true;
    w->err = *err;
}

static int run(struct mu_ssh_shared *sh, const char *command, struct mu_err *err)
{
    struct waiting w = {0};
    struct mu_loop *loop = NULL;
    struct mu_conf_exec *exec = NULL;
    int rc = mu_loop_new(&loop, err);

    if (rc)
        return rc;
    rc = mu_conf_exec_start(&exec, loop, NULL, sh->confs, command, on_known, &w, err);
    while (!rc && !w.done)
        mu_loop_turn(loop, true);
    if (!rc && w.err.code) {
        rc = w.err.code;
        if (err)
            *err = w.err;
    }
    mu_conf_exec_free(exec);
    mu_loop_free(loop);
    return rc;
}

int mu_ssh_options_wait(struct mu_ssh_options **out, struct mu_ssh_shared *sh, const struct mu_ssh_target *target,
                        struct mu_err *err)
{
    for (;;) {
        char *pending = NULL;
        int rc = mu_ssh_options_try(out, &pending, sh, target, err);

        if (rc || !pending)
            return rc;
        mu_ssh_options_free(*out);
        *out = NULL;
        rc = run(sh, pending, err);
        free(pending);
        if (rc)
            return rc;
    }
}
