/* keys.c: identity files and certificates, each read and decrypted once a run. */
#include "ssh/keys.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

struct mu_keys {
    pthread_t maker; /* the thread where somebody can be asked */
    pthread_mutex_t loading; /* held while a file is read: who else wants it waits, and does not decrypt it again */
    pthread_mutex_t lock; /* over the trees: a task may name another key while it runs. Entries stay */
    void *by_path, *certificates; /* tsearch() trees: servers may name thousands of files */
    const struct mu_identity **shared;
    size_t n_shared;
    bool defaults, asked_for_defaults; /* the shared ones are those that happen to be there */
    bool password;
    char *passphrase;
    mu_ssh_ask_fn *ask;
    void *ask_arg;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct mu_identity *)a)->path, ((const struct mu_identity *)b)->path);
}

static int certificate_by_path(const void *a, const void *b)
{
    return strcmp(((const struct mu_certificate *)a)->path, ((const struct mu_certificate *)b)->path);
}

static void free_identity(void *id) { mu_identity_free(id); }
static void free_certificate(void *c) { mu_certificate_free(c); }

const struct mu_identity *mu_keys_find(struct mu_keys *keys, const char *path)
{
    struct mu_identity wanted = {.path = (char *)(uintptr_t)path};
    struct mu_identity *const *found, *id;

    pthread_mutex_lock(&keys->lock);
    found = tfind(&wanted, (void *const *)&keys->by_path, by_path);
    id = found ? *found : NULL;
    pthread_mutex_unlock(&keys->lock);
    return id;
}

const struct mu_certificate *mu_keys_find_certificate(struct mu_keys *keys, const char *path)
{
    struct mu_certificate wanted = {.path = (char *)(uintptr_t)path};
    struct mu_certificate *const *found, *c;

    pthread_mutex_lock(&keys->lock);
    found = tfind(&wanted, (void *const *)&keys->certificates, certificate_by_path);
    c = found ? *found : NULL;
    pthread_mutex_unlock(&keys->lock);
    return c;
}

/* Keep *id (taken) for its path, unless there is one: that may be in use. */
static int keep(struct mu_keys *keys, struct mu_identity **id, struct mu_err *err)
{
    void **kept;

    pthread_mutex_lock(&keys->lock);
    kept = tsearch(*id, &keys->by_path, by_path);
    pthread_mutex_unlock(&keys->lock);
    if (!kept)
        return mu_err_set(err, MU_ENOMEM, "private key %s: out of memory", (*id)->path);
    if (*kept == *id)
        *id = NULL;
    return 0;
}

static int load(struct mu_keys *keys, const char *path, struct mu_unlock *how, const struct mu_identity **out,
                struct mu_err *err)
{
    struct mu_identity *id = NULL;
    int rc = 0;

    *out = mu_keys_find(keys, path);
    if (*out)
        return 0;
    how->passphrase = keys->passphrase;
    pthread_mutex_lock(&keys->loading);
    *out = mu_keys_find(keys, path); /* another thread may have been faster */
    if (!*out) {
        rc = mu_identity_read(&id, path, how, err);
        *out = id;
        if (!rc)
            rc = keep(keys, &id, err);
        if (rc)
            *out = NULL;
        mu_identity_free(id);
    }
    pthread_mutex_unlock(&keys->loading);
    return rc;
}

static struct mu_unlock unlock_with(struct mu_keys *keys, const struct mu_ssh_agent *agent)
{
    bool there = pthread_equal(keys->maker, pthread_self()) && !keys->passphrase;

    return (struct mu_unlock){.agent = agent, .ask = there ? keys->ask : NULL, .ask_arg = keys->ask_arg};
}

int mu_keys_load(struct mu_keys *keys, const char *path, const struct mu_ssh_agent *agent, const struct mu_identity **out,
                 struct mu_err *err)
{
    struct mu_unlock how = unlock_with(keys, agent);

    return load(keys, path, &how, out, err);
}

int mu_keys_load_certificate(struct mu_keys *keys, const char *path, struct mu_err *err)
{
    struct mu_certificate *c = NULL;
    void **kept;
    int rc;

    if (mu_keys_find_certificate(keys, path))
        return 0;
    rc = mu_certificate_read(&c, path, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&keys->lock);
    kept = tsearch(c, &keys->certificates, certificate_by_path);
    pthread_mutex_unlock(&keys->lock);
    if (!kept || *kept != c)
        mu_certificate_free(c);
    return kept ? 0 : mu_err_set(err, MU_ENOMEM, "certificate %s: out of memory", path);
}

static bool usable(const struct mu_identity *id, const struct mu_ssh_agent *agent)
{
    return id->key || mu_ssh_agent_holds(agent, id->blob, id->len);
}

/* ---- the run's own ---- */

static int load_shared(struct mu_keys *keys, const char *path, const struct mu_ssh_agent *agent, struct mu_err *err)
{
    struct mu_unlock how = unlock_with(keys, agent);
    const struct mu_identity *id = NULL;
    int rc;

    if (keys->defaults)
        how.ask = NULL; /* not before it is known that they are needed: mu_keys_need_shared() */
    rc = load(keys, path, &how, &id, err);
    if (rc)
        return rc;
    if (!usable(id, agent) && !keys->defaults) {
        if (err)
            *err = id->err;
        return MU_EINVAL;
    }
    if (!usable(id, agent)) {
        if (!id->missing)
            mu_log(id->locked ? MU_DEBUG : MU_WARNING, "left out: %s", id->err.msg);
        return 0;
    }
    for (size_t i = 0; i < keys->n_shared; i++)
        if (keys->shared[i] == id)
            return 0; /* named twice */
    keys->shared[keys->n_shared++] = id;
    return 0;
}

static const char *const defaults[] = {"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa", NULL};

int mu_keys_new(struct mu_keys **out, const struct mu_ssh_config *config, const struct mu_ssh_agent *agent,
                struct mu_err *err)
{
    const char *const *files = config->key_files ? config->key_files : defaults;
    struct mu_keys *keys = calloc(1, sizeof(*keys));
    size_t n = 0;
    int rc = 0;

    *out = NULL;
    while (files[n])
        n++;
    if (keys) {
        pthread_mutex_init(&keys->lock, NULL);
        pthread_mutex_init(&keys->loading, NULL);
        keys->maker = pthread_self();
        keys->defaults = !config->key_files;
        keys->password = config->password != NULL;
        keys->ask = config->ask_passphrase;
        keys->ask_arg = config->ask_arg;
        keys->shared = calloc(n + 1, sizeof(*keys->shared));
    }
    if (!keys || !keys->shared || (config->passphrase && !(keys->passphrase = strdup(config->passphrase))))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !rc; i++)
        rc = load_shared(keys, files[i], agent, err);
    if (rc)
        mu_keys_free(keys);
    else
        *out = keys;
    return rc;
}

int mu_keys_need_shared(struct mu_keys *keys, const struct mu_ssh_agent *agent, struct mu_err *err)
{
    struct mu_unlock how = unlock_with(keys, agent);
    size_t n_agent = 0;
    int rc = 0;

    mu_ssh_agent_keys(agent, &n_agent);
    if (!keys->defaults || keys->asked_for_defaults || !how.ask || keys->n_shared || n_agent || keys->password)
        return 0;
    keys->asked_for_defaults = true;
    for (size_t i = 0; defaults[i] && !keys->n_shared && !rc; i++) {
        struct mu_identity *id = (struct mu_identity *)(uintptr_t)mu_keys_find(keys, defaults[i]), *again = NULL;

        if (!id || !id->locked)
            continue;
        rc = mu_identity_read(&again, defaults[i], &how, err);
        if (!rc && again->key) { /* nobody has used it so far: it was of no use */
            pthread_mutex_lock(&keys->lock);
            tdelete(id, &keys->by_path, by_path);
            pthread_mutex_unlock(&keys->lock);
            mu_identity_free(id);
            keys->shared[keys->n_shared++] = again;
            rc = keep(keys, &again, err);
        }
        mu_identity_free(again);
    }
    return rc;
}

int mu_keys_add(struct mu_keys *keys, const char *path, const struct mu_ssh_agent *agent, struct mu_err *err)
{
    struct mu_unlock how = unlock_with(keys, agent);
    const struct mu_identity *id = mu_keys_find(keys, path);
    struct mu_identity *tried = NULL;
    int rc;

    if (id && usable(id, agent))
        return 0;
    /* One that is of no use is not kept here: it may be made, or repaired, and named again. */
    how.passphrase = keys->passphrase;
    how.later = !pthread_equal(keys->maker, pthread_self());
    pthread_mutex_lock(&keys->loading);
    rc = mu_identity_read(&tried, path, &how, err);
    if (!rc && tried && usable(tried, agent)) {
        rc = keep(keys, &tried, err);
    } else if (!rc && tried) {
        rc = MU_EINVAL;
        if (err)
            *err = tried->err;
    }
    pthread_mutex_unlock(&keys->loading);
    mu_identity_free(tried);
    return rc;
}

void mu_keys_free(struct mu_keys *keys)
{
    if (!keys)
        return;
    tdestroy(keys->by_path, free_identity);
    tdestroy(keys->certificates, free_certificate);
    pthread_mutex_destroy(&keys->lock);
    pthread_mutex_destroy(&keys->loading);
    free(keys->shared);
    if (keys->passphrase)
        explicit_bzero(keys->passphrase, strlen(keys->passphrase));
    free(keys->passphrase);
    free(keys);
}

size_t mu_keys_shared(struct mu_keys *keys, const struct mu_identity *const **out)
{
    *out = keys->shared;
    return keys->n_shared;
}

/* ---- as sessions' tests see them ---- */

size_t mu_keys_count(struct mu_keys *keys, const char *path)
{
    const struct mu_identity *id = path ? mu_keys_find(keys, path) : NULL;

    return path ? id != NULL && id->key != NULL : keys->n_shared;
}

ssh_key mu_keys_get(struct mu_keys *keys, const char *path, size_t i, const char **name)
{
    const struct mu_identity *id = path ? mu_keys_find(keys, path) : i < keys->n_shared ? keys->shared[i] : NULL;

    if (!id || (path && i > 0))
        return NULL;
    if (name)
        *name = id->path;
    return id->key;
}
