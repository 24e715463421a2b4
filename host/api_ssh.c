/* api_ssh.c: how servers would be reached. */
#include "api_internal.h"
#include "ssh/options.h"
#include "ssh/ssh.h"

typedef void tell_fn(void *arg, const char *server_id, const char *text, const struct muster_error *err);

static void tell(struct mu_ssh_shared *sh, const struct mu_server *srv, tell_fn *fn, void *arg)
{
    const struct mu_ssh_target target = {.host = srv->address, .port = srv->port, .user = srv->user, .key_file = srv->key,
                                         .args = srv->ssh_args};
    struct mu_ssh_options *o = NULL;
    struct mu_buf text = MU_BUF_INIT;
    struct muster_error out = {0};
    struct mu_err err = {0};

    if (mu_ssh_options_wait(&o, sh, &target, &err)) {
        mu_api_give(&out, &err);
        fn(arg, srv->id, NULL, &out);
        return;
    }
    mu_ssh_options_tell(o, &text);
    fn(arg, srv->id, mu_buf_cstr(&text), NULL);
    mu_buf_free(&text);
    mu_ssh_options_free(o);
}

int muster_ssh_options(struct muster *m, const struct muster_run_options *options, tell_fn *fn, void *arg,
                       struct muster_error *err)
{
    const struct muster_run_options defaults = MUSTER_RUN_OPTIONS_INIT;
    const struct muster_run_options *o = options && options->size >= sizeof defaults ? options : &defaults;
    const struct mu_ssh_config config = {.config_file = o->ssh_config ? o->ssh_config : "",
                                         .user = o->user,
                                         .key_files = o->key_files,
                                         .known_hosts = o->known_hosts,
                                         .policy_given = o->hostkey_policy_given || o->hostkey_policy != MUSTER_HOSTKEY_STRICT,
                                         .connect_timeout_given = o->connect_timeout_ms != 0};
    struct mu_logger *former = mu_logger_use(m->logger);
    struct mu_ssh_shared *sh = NULL;
    struct mu_err e = {0};
    int rc = mu_ssh_shared_new_options(&sh, &config, &e);

    for (size_t i = 0; !rc && i < mu_inventory_count(m->inventory); i++)
        if (muster_server_selected(m, i) && !mu_inventory_at(m->inventory, i)->local)
            tell(sh, mu_inventory_at(m->inventory, i), fn, arg);
    mu_ssh_shared_free(sh);
    mu_logger_use(former);
    return mu_api_give_result(err, rc, &e);
}
