#include "ssh/conf_shared.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/ssh.h"

struct shared_entry {
    char *name; /* a path; a command */
    struct mu_conf *conf;
    int outcome;
    bool claimed;
};

struct mu_confs {
    struct mu_conf *run;
    struct mu_confs_said said;
    char *user;
    pthread_mutex_t lock; /* over the trees; entries stay */
    void *files, *commands;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct shared_entry *)a)->name, ((const struct shared_entry *)b)->name);
}

static void entry_free(void *arg)
{
    struct shared_entry *e = arg;

    mu_conf_free(e->conf);
    free(e->name);
    free(e);
}

/* The entry of name, made when there is none; under the lock. NULL: out of memory. */
static struct shared_entry *entry_of(void **tree, const char *name)
{
    struct shared_entry wanted = {.name = (char *)(uintptr_t)name}, **found = tfind(&wanted, tree, by_name), *e;

    if (found)
        return *found;
    e = calloc(1, sizeof(*e));
    if (!e || !(e->name = strdup(name)) || !(found = tsearch(e, tree, by_name))) {
        free(e ? e->name : NULL);
        free(e);
        return NULL;
    }
    e->outcome = MU_CONF_PENDING;
    return *found;
}

static bool keep_keys(struct mu_confs *c, const char *const *files)
{
    size_t n = 0;

    while (files && files[n])
        n++;
    if (!n)
        return true;
    c->said.key_files = calloc(n + 1, sizeof(*c->said.key_files));
    for (size_t i = 0; c->said.key_files && i < n; i++)
        if (!(c->said.key_files[i] = strdup(files[i])))
            return false;
    return c->said.key_files != NULL;
}

int mu_confs_new(struct mu_confs **out, const struct mu_ssh_config *config, struct mu_err *err)
{
    struct mu_confs *c = calloc(1, sizeof(*c));
    int rc = 0;

    *out = NULL;
    if (!c)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    pthread_mutex_init(&c->lock, NULL);
    c->said.known_hosts = config->known_hosts != NULL;
    c->said.policy = config->policy_given;
    c->said.connect_timeout = config->connect_timeout_given;
    if ((config->user && !(c->user = strdup(config->user))) || !keep_keys(c, config->key_files))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    c->said.user = c->user;
    if (!rc && config->config_file)
        rc = mu_conf_read(&c->run, *config->config_file ? config->config_file : NULL, err);
    if (rc)
        mu_confs_free(c);
    else
        *out = c;
    return rc;
}

void mu_confs_free(struct mu_confs *c)
{
    if (!c)
        return;
    mu_conf_free(c->run);
    tdestroy(c->files, entry_free);
    tdestroy(c->commands, entry_free);
    pthread_mutex_destroy(&c->lock);
    for (size_t i = 0; c->said.key_files && c->said.key_files[i]; i++)
        free(c->said.key_files[i]);
    free(c->said.key_files);
    free(c->user);
    free(c);
}

const struct mu_confs_said *mu_confs_said(const struct mu_confs *c) { return &c->said; }

int mu_confs_get(struct mu_confs *c, const char *path, const struct mu_conf **out, struct mu_err *err)
{
    struct shared_entry *e;
    int rc = 0;

    *out = c->run;
    if (!path)
        return 0;
    /* Read under the lock: whoever wants the same file has to wait for it in any case. */
    pthread_mutex_lock(&c->lock);
    e = entry_of(&c->files, path);
    if (!e)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (!e->conf)
        rc = mu_conf_read(&e->conf, path, err);
    *out = e ? e->conf : NULL;
    pthread_mutex_unlock(&c->lock);
    return rc;
}

int mu_confs_outcome(struct mu_confs *c, const char *command)
{
    struct shared_entry wanted = {.name = (char *)(uintptr_t)command}, **found;
    int outcome;

    pthread_mutex_lock(&c->lock);
    found = tfind(&wanted, &c->commands, by_name);
    outcome = found ? (*found)->outcome : MU_CONF_PENDING;
    pthread_mutex_unlock(&c->lock);
    return outcome;
}

bool mu_confs_claim(struct mu_confs *c, const char *command)
{
    struct shared_entry *e;
    bool mine;

    pthread_mutex_lock(&c->lock);
    e = entry_of(&c->commands, command);
    mine = e && !e->claimed && e->outcome == MU_CONF_PENDING;
    if (mine)
        e->claimed = true;
    pthread_mutex_unlock(&c->lock);
    return mine;
}

void mu_confs_tell(struct mu_confs *c, const char *command, int outcome)
{
    struct shared_entry *e;

    pthread_mutex_lock(&c->lock);
    e = entry_of(&c->commands, command);
    if (e) {
        e->claimed = false;
        e->outcome = outcome;
    }
    pthread_mutex_unlock(&c->lock);
}
