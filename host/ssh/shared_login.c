/* shared_login.c: the files and agents that a login takes, found once a run, whoever names them. */
#include <stdlib.h>
#include <string.h>

#include "ssh/keys.h"
#include "ssh/options.h"

/* "none", "SSH_AUTH_SOCK", "$VARIABLE" or a path, as IdentityAgent has it. NULL: no agent; "": none named. */
static const char *agent_path(const struct mu_ssh_shared *sh, const char *named)
{
    const char *path = !named || !strcmp(named, "SSH_AUTH_SOCK") ? sh->agent_socket : named;

    if (!sh->agent_socket || !strcmp(path, "none"))
        return NULL;
    if (*path == '$') {
        path = getenv(path + 1);
        return path ? path : "";
    }
    return path;
}

static struct mu_other_agent *find_agent(struct mu_ssh_shared *sh, const char *path)
{
    struct mu_other_agent *a = sh->agents;

    while (a && strcmp(a->path, path) != 0)
        a = a->next;
    return a;
}

static bool is_run_agent(const struct mu_ssh_shared *sh, const char *path)
{
    return !path || !*path || !strcmp(path, sh->agent_socket);
}

struct mu_agent *mu_shared_agent(struct mu_ssh_shared *sh, const char *identity_agent)
{
    const char *path = agent_path(sh, identity_agent);
    struct mu_other_agent *a;

    if (is_run_agent(sh, path))
        return path && *path ? sh->agent : NULL;
    pthread_mutex_lock(&sh->lock);
    a = find_agent(sh, path);
    pthread_mutex_unlock(&sh->lock);
    return a ? a->agent : NULL;
}

static int load_agent(struct mu_ssh_shared *sh, const char *identity_agent, struct mu_err *err)
{
    const char *path = agent_path(sh, identity_agent);
    struct mu_other_agent *a;
    char *real = NULL;
    int rc = 0;

    if (is_run_agent(sh, path))
        return 0;
    pthread_mutex_lock(&sh->lock);
    a = find_agent(sh, path);
    pthread_mutex_unlock(&sh->lock);
    if (a)
        return 0;
    a = calloc(1, sizeof(*a) + strlen(path) + 1);
    real = mu_ssh_expand_home(path);
    rc = a && real ? mu_agent_new(&a->agent, real, sh->agent_timeout_ms) : MU_ENOMEM; /* without the lock: it may take long */
    free(real);
    if (rc) {
        free(a);
        return mu_err_set(err, rc, "cannot start the SSH agent's proxy: out of memory, descriptors or threads");
    }
    memcpy(a->path, path, strlen(path) + 1);
    pthread_mutex_lock(&sh->lock);
    if (!find_agent(sh, path)) {
        a->next = sh->agents;
        sh->agents = a;
        a = NULL;
    }
    pthread_mutex_unlock(&sh->lock);
    if (a) { /* another thread was faster */
        mu_agent_free(a->agent);
        free(a);
    }
    return 0;
}

int mu_shared_load_login(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_err *err)
{
    const struct mu_identity *id;
    const struct mu_agent *agent;
    int rc = load_agent(sh, o->identity_agent, err);

    agent = mu_shared_agent(sh, o->identity_agent);
    for (size_t i = 0; !rc && o->identity_files && o->identity_files[i]; i++)
        rc = mu_keys_load(sh->keys, o->identity_files[i], agent, &id, err);
    for (size_t i = 0; !rc && o->certificate_files && o->certificate_files[i]; i++)
        rc = mu_keys_load_certificate(sh->keys, o->certificate_files[i], err);
    return rc;
}

bool mu_shared_login_loaded(struct mu_ssh_shared *sh, const struct mu_ssh_options *o)
{
    const char *path = agent_path(sh, o->identity_agent);
    bool loaded = true;

    if (!is_run_agent(sh, path)) {
        pthread_mutex_lock(&sh->lock);
        loaded = find_agent(sh, path) != NULL;
        pthread_mutex_unlock(&sh->lock);
    }
    for (size_t i = 0; loaded && o->identity_files && o->identity_files[i]; i++)
        loaded = mu_keys_find(sh->keys, o->identity_files[i]) != NULL;
    for (size_t i = 0; loaded && o->certificate_files && o->certificate_files[i]; i++)
        loaded = mu_keys_find_certificate(sh->keys, o->certificate_files[i]) != NULL;
    return loaded;
}

int mu_ssh_shared_prepare(struct mu_ssh_shared *sh, const struct mu_ssh_target *target, struct mu_err *err)
{
    struct mu_ssh_options *o = NULL;
    int rc = mu_ssh_options_lookup(&o, sh, target, err);

    if (rc == MU_EINVAL && !target->args) { /* ssh_config's, for this server: its connect says so */
        mu_err_clear(err);
        return 0;
    }
    if (!rc && target->key_file)
        rc = mu_keys_add(sh->keys, target->key_file, mu_shared_agent(sh, o->identity_agent), err);
    if (!rc)
        rc = mu_hostkey_load(sh, o, err);
    if (!rc)
        rc = mu_shared_load_login(sh, o, err);
    if (!rc && !o->identity_files)
        rc = mu_keys_need_shared(sh->keys, mu_shared_agent(sh, o->identity_agent), err);
    mu_ssh_options_free(o);
    return rc;
}
