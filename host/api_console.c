/* api_console.c: Lua line by line against one server, through muster.h. */
#include "api_internal.h"

#include <stdlib.h>

#include "bindings/bindings.h"

static int load_console(struct muster *m, struct muster_script **out, struct mu_err *err)
{
    struct mu_buf path = MU_BUF_INIT;
    struct muster_script *s = calloc(1, sizeof *s);
    int rc = MU_ENOMEM;
    mu_buf_addf(&path, "%s/muster/console.lua", m->library_dir ? m->library_dir : "");
    if (!m->library_dir)
        rc = mu_err_set(err, MU_ENOENT, "the standard scripts, which hold the console, are not there");
    else if (!s || path.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else
        rc = mu_script_load(&s->script, path.data, m->library_dir, &mu_bindings, m->logger, err);
    mu_buf_free(&path);
    if (rc) {
        free(s);
        return rc;
    }
    s->m = m;
    *out = s;
    return 0;
}

int muster_console_new(struct muster *m, const struct muster_console *console, const struct muster_run_options *options,
                       struct muster_run **out, struct muster_error *err)
{
    struct mu_err e = {0};
    struct muster_script *script = NULL;
    struct mu_server **servers = calloc(1, sizeof(struct mu_server *));
    size_t n = 0;
    int rc = servers ? 0 : mu_err_set(&e, MU_ENOMEM, "out of memory");
    for (size_t i = 0; !rc && i < mu_inventory_count(m->inventory); i++)
        if (muster_server_selected(m, i) && n++ == 0)
            servers[0] = mu_inventory_at(m->inventory, i);
    if (!rc && n != 1)
        rc = mu_err_set(&e, MU_EINVAL, "a console is for one server, and %zu are chosen", n);
    if (!rc)
        rc = load_console(m, &script, &e);
    if (!rc)
        rc = mu_api_run_new(m, script->script, options, servers, 1, m->library_dir,
                            &(struct mu_api_kind){.console = console}, out, &e);
    else
        free(servers);
    if (rc)
        muster_script_free(script);
    else
        (*out)->own_script = script;
    return mu_api_give_result(err, rc, &e);
}

void muster_console_cancel(struct muster_run *run) { mu_run_break(run->run); }
