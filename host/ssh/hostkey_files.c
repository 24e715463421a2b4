/* hostkey_files.c: the known_hosts files of the run, and those of servers that have others. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ssh/hostkey.h"

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
    static const char *const defaults[] = {"~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts", NULL};
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

static int make_other(struct mu_hostkeys **out, struct mu_hostkeys *run, char *const *files, const char *key,
                      struct mu_err *err)
{
    struct mu_hostkeys *hk = calloc(1, sizeof(*hk));
    int rc;

    *out = NULL;
    if (!hk)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    hk->policy = run->policy;
    pthread_mutex_init(&hk->learning, NULL);
    pthread_mutex_init(&hk->lock, NULL);
    rc = mu_known_hosts_new(&hk->known);
    if (!rc && (!(hk->files = strdup(key)) || !(hk->path = mu_ssh_expand_home(files[0] ? files[0] : "none"))))
        rc = MU_ENOMEM;
    for (size_t i = 0; !rc && files[i]; i++) {
        char *path = mu_ssh_expand_home(files[i]);
        if (!path)
            rc = MU_ENOMEM;
        else if (strcmp(path, "none") != 0) /* as ssh: a file that is not there has no keys in it */
            rc = mu_known_hosts_read(hk->known, path, NULL);
        if (rc == MU_EIO)
            mu_log(MU_WARNING, "known hosts file %s cannot be read; going on without it", path);
        free(path);
        rc = rc == MU_ENOMEM ? rc : 0;
    }
    if (rc) {
        mu_hostkeys_free(hk);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    *out = hk;
    return 0;
}

int mu_hostkeys_of(struct mu_hostkeys **out, struct mu_hostkeys *run, char *const *files, struct mu_err *err)
{
    struct mu_buf key = MU_BUF_INIT;
    struct mu_hostkeys *hk;
    int rc = 0;

    *out = run;
    if (!files)
        return 0;
    for (size_t i = 0; files[i]; i++)
        mu_buf_addf(&key, "%s\n", files[i]);
    if (key.failed) {
        mu_buf_free(&key);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    pthread_mutex_lock(&run->lock);
    for (hk = run->others; hk && strcmp(hk->files, mu_buf_cstr(&key)) != 0;) /* a handful: a list a Host block */
        hk = hk->others;
    if (!hk) {
        rc = make_other(&hk, run, files, mu_buf_cstr(&key), err);
        if (!rc) {
            hk->others = run->others;
            run->others = hk;
        }
    }
    pthread_mutex_unlock(&run->lock);
    mu_buf_free(&key);
    *out = hk;
    return rc;
}

int mu_hostkey_load(struct mu_ssh_shared *sh, char *const *files, struct mu_err *err)
{
    struct mu_hostkeys *hk;

    return mu_hostkeys_of(&hk, sh->hostkeys, files, err);
}
