/* shared_login.c: the files and agents that a login takes, found once a run, whoever names them. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/conf.h"
#include "ssh/keys.h"
#include "ssh/options.h"
#include "ssh/ways.h"

#define JUMPS_MAX 16 /* a jump host behind a jump host … */

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

struct mu_ssh_agent *mu_shared_agent(struct mu_ssh_shared *sh, const char *identity_agent)
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
    rc = a && real ? mu_ssh_agent_new(&a->agent, real, sh->agent_timeout_ms) : MU_ENOMEM; /* without the lock: it may take long */
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
        mu_ssh_agent_free(a->agent);
        free(a);
    }
    return 0;
}

int mu_shared_load_login(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_err *err)
{
    const struct mu_identity *id;
    const struct mu_ssh_agent *agent;
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

/* ---- before the run ---- */

static int load_all(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_err *err)
{
    int rc = mu_hostkey_load(sh, o, err);

    if (!rc)
        rc = mu_shared_load_login(sh, o, err);
    if (!rc && !o->identity_files)
        rc = mu_keys_need_shared(sh->keys, mu_shared_agent(sh, o->identity_agent), err);
    return rc;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

/* The first time that this chain is met: servers behind the same jump hosts are many. */
static int is_first(struct mu_ssh_shared *sh, const char *chain, const char *config_file, bool *first)
{
    char *name = NULL, **kept = NULL;

    if (asprintf(&name, "%s\n%s", chain, config_file ? config_file : "") < 0 || !(kept = tsearch(name, &sh->chains, by_text))) {
        free(kept ? NULL : name);
        return MU_ENOMEM;
    }
    *first = *kept == name;
    if (!*first)
        free(name);
    return 0;
}

static int prepare_chain(struct mu_ssh_shared *sh, const char *chain, const char *config_file, unsigned depth,
                         struct mu_err *err);

static int prepare_hop(struct mu_ssh_shared *sh, const struct mu_ssh_target *hop, bool nearest, unsigned depth,
                       struct mu_err *err)
{
    struct mu_ssh_options *o = NULL;
    int rc = mu_ssh_options_lookup(&o, sh, hop, err);

    if (!rc)
        rc = load_all(sh, o, err);
    if (!rc && nearest && o->proxy_jump)
        rc = prepare_chain(sh, o->proxy_jump, o->config_file, depth + 1, err);
    mu_ssh_options_free(o);
    return rc;
}

/* What is wrong with a jump host is said by the connects that go through it. */
static int prepare_chain(struct mu_ssh_shared *sh, const char *chain, const char *config_file, unsigned depth,
                         struct mu_err *err)
{
    bool first = false;
    int rc = is_first(sh, chain, config_file, &first);

    if (rc)
        return mu_err_set(err, rc, "out of memory");
    for (const char *at = first && depth < JUMPS_MAX ? chain : NULL; at && !rc;) {
        size_t len = strcspn(at, ",");
        struct mu_ssh_target hop = {.jump = true, .config_file = config_file};
        char *user = NULL, *host = NULL;

        rc = mu_jump_parse(at, len, &user, &host, &hop.port, err);
        hop.user = user;
        hop.host = host;
        if (!rc)
            rc = prepare_hop(sh, &hop, at == chain, depth, err);
        if (rc == MU_EINVAL) {
            mu_err_clear(err);
            rc = 0;
        }
        free(user);
        free(host);
        at = at[len] ? at + len + 1 : NULL;
    }
    return rc;
}

/* Whether the options are wrong by the inventory's own word, whatever ssh_config says. */
static bool args_are_wrong(const struct mu_ssh_target *target)
{
    struct mu_conf_arena arena = {0};
    struct mu_conf_found found = {0};
    const char *config_file = NULL;
    struct mu_err err = {0};
    int rc = target->args ? mu_conf_args(&arena, target->args, &found, &config_file, &err) : 0;

    mu_conf_arena_free(&arena);
    return rc == MU_EINVAL;
}

int mu_ssh_shared_prepare(struct mu_ssh_shared *sh, const struct mu_ssh_target *target, struct mu_err *err)
{
    struct mu_ssh_options *o = NULL;
    int rc = mu_ssh_options_lookup(&o, sh, target, err);

    if (rc == MU_EINVAL && !args_are_wrong(target)) { /* ssh_config's, for this server: its connect says so */
        mu_err_clear(err);
        return 0;
    }
    if (!rc && target->key_file)
        rc = mu_keys_add(sh->keys, target->key_file, mu_shared_agent(sh, o->identity_agent), err);
    if (!rc)
        rc = load_all(sh, o, err);
    if (!rc && o->proxy_jump)
        rc = prepare_chain(sh, o->proxy_jump, o->config_file, 0, err);
    mu_ssh_options_free(o);
    return rc;
}
