/* hostkey_files.c: the known_hosts files of the run, and those of servers that have others. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ssh/hostkey.h"
#include "ssh/options.h"

#define USER_FILE "~/.ssh/known_hosts"
#define GLOBAL_FILE "/etc/ssh/ssh_known_hosts"

static int read_files(struct mu_hostkeys *hk, const char *const *files, bool named, struct mu_err *err)
{
    for (size_t i = 0; files[i]; i++) {
        char *path = mu_ssh_expand_home(files[i]);
        bool learns = i == 0 && hk->policy == MU_HOSTKEY_ACCEPT_NEW;
        int rc;

        if (!path)
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        if (i == 0)
            hk->path = path;
        rc = learns ? mu_hostkey_prepare_file(hk, named, err) : 0;
        if (!rc)
            rc = mu_known_hosts_read(hk->known, path, err);
        if (i > 0)
            free(path);
        if (rc == MU_ENOENT && (!named || learns))
            rc = 0;
        if (rc == MU_ENOMEM)
            return rc;
        if (rc && named) {
            if (err)
                err->code = MU_EINVAL;
            return MU_EINVAL;
        }
        if (rc) /* a default file that is there and cannot be read: say so, other files may do */
            mu_log(MU_WARNING, "known hosts file %s cannot be read; going on without it", files[i]);
    }
    return 0;
}

int mu_hostkeys_new(struct mu_hostkeys **out, const struct mu_ssh_config *config, struct mu_err *err)
{
    static const char *const defaults[] = {USER_FILE, GLOBAL_FILE, NULL};
    bool named = config->known_hosts && config->known_hosts[0];
    struct mu_hostkeys *hk = calloc(1, sizeof(*hk));
    int rc;

    *out = NULL;
    if (!hk)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    hk->policy = config->policy;
    pthread_mutex_init(&hk->learning, NULL);
    pthread_mutex_init(&hk->lock, NULL);
    rc = mu_known_hosts_new(&hk->known);
    if (rc)
        mu_err_set(err, rc, "out of memory");
    else /* policy "off" too: a key that is revoked is refused all the same */
        rc = read_files(hk, named ? config->known_hosts : defaults, named && hk->policy != MU_HOSTKEY_OFF, err);
    if (rc)
        mu_hostkeys_free(hk);
    else
        *out = hk;
    return rc;
}

void mu_hostkeys_free(struct mu_hostkeys *hk)
{
    if (!hk)
        return;
    for (struct mu_hostkeys *other = hk->others, *next; other; other = next) {
        next = other->others;
        other->others = NULL;
        mu_hostkeys_free(other);
    }
    mu_known_hosts_free(hk->known);
    pthread_mutex_destroy(&hk->learning);
    pthread_mutex_destroy(&hk->lock);
    free(hk->files);
    free(hk->path);
    free(hk);
}

size_t mu_hostkeys_comparisons(const struct mu_hostkeys *hk)
{
    return mu_known_hosts_comparisons(hk->known);
}

/* ---- servers with files of their own ---- */

static int read_some(struct mu_hostkeys *hk, const char *const *files)
{
    int rc = 0;

    for (; *files && rc != MU_ENOMEM; files++) {
        char *path = mu_ssh_expand_home(*files);

        rc = path ? mu_known_hosts_read(hk->known, path, NULL) : MU_ENOMEM; /* as ssh: one that is not there has no keys */
        if (rc == MU_EIO)
            mu_log(MU_WARNING, "known hosts file %s cannot be read; going on without it", path);
        free(path);
    }
    return rc == MU_ENOMEM ? rc : 0;
}

static int make_other(struct mu_hostkeys **out, struct mu_hostkeys *run, const char *const *user,
                      const char *const *global, const char *key)
{
    struct mu_hostkeys *hk = calloc(1, sizeof(*hk));
    int rc;

    if (!hk)
        return MU_ENOMEM;
    hk->policy = run->policy;
    pthread_mutex_init(&hk->learning, NULL);
    pthread_mutex_init(&hk->lock, NULL);
    rc = mu_known_hosts_new(&hk->known);
    /* "UserKnownHostsFile none": a key that is new is known for this run */
    if (!rc && (!(hk->files = strdup(key)) || !(hk->path = mu_ssh_expand_home(*user ? *user : "/dev/null"))))
        rc = MU_ENOMEM;
    if (!rc)
        rc = read_some(hk, user);
    if (!rc)
        rc = read_some(hk, global);
    if (rc)
        mu_hostkeys_free(hk);
    else
        *out = hk;
    return rc;
}

int mu_hostkeys_of(struct mu_hostkeys **out, struct mu_hostkeys *run, const struct mu_ssh_options *o, struct mu_err *err)
{
    static const char *const usual_user[] = {USER_FILE, NULL}, *const usual_global[] = {GLOBAL_FILE, NULL};
    const char *const *user = o->known_hosts ? (const char *const *)o->known_hosts : usual_user;
    const char *const *global = o->global_known_hosts ? (const char *const *)o->global_known_hosts : usual_global;
    struct mu_buf key = MU_BUF_INIT;
    struct mu_hostkeys *hk;
    int rc = 0;

    *out = run;
    if (!o->known_hosts && !o->global_known_hosts)
        return 0;
    for (size_t i = 0; user[i]; i++)
        mu_buf_addf(&key, "%s\n", user[i]);
    mu_buf_addc(&key, '\n');
    for (size_t i = 0; global[i]; i++)
        mu_buf_addf(&key, "%s\n", global[i]);
    if (key.failed) {
        mu_buf_free(&key);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    pthread_mutex_lock(&run->lock);
    for (hk = run->others; hk && strcmp(hk->files, mu_buf_cstr(&key)) != 0;) /* a handful: a list a Host block */
        hk = hk->others;
    if (!hk) {
        rc = make_other(&hk, run, user, global, mu_buf_cstr(&key));
        if (!rc) {
            hk->others = run->others;
            run->others = hk;
        }
    }
    pthread_mutex_unlock(&run->lock);
    mu_buf_free(&key);
    if (rc)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *out = hk;
    return 0;
}

int mu_hostkey_load(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_err *err)
{
    struct mu_hostkeys *hk;

    return mu_hostkeys_of(&hk, sh->hostkeys, o, err);
}
