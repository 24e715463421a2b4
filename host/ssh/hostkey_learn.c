/* hostkey_learn.c: the accept-new policy's memory. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "ssh/hostkey.h"

/* The directory of a default file (~/.ssh) may be missing on a new account. */
static void make_dir(const char *path)
{
    char *dir = strdup(path), *slash = dir ? strrchr(dir, '/') : NULL;

    if (slash && slash != dir) {
        *slash = '\0';
        (void)mkdir(dir, 0700); /* when it fails, so does the open that follows */
    }
    free(dir);
}

int mu_hostkey_prepare_file(struct mu_hostkeys *hk, bool named, struct mu_err *err)
{
    int fd;

    if (!named)
        make_dir(hk->path);
    fd = open(hk->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return named ? mu_err_sys(err, MU_EIO, errno, "known hosts file %s: cannot add to it", hk->path) : 0;
    close(fd);
    return 0;
}

/* Names reach the file unquoted: one with a blank or a special character would say something else there. */
static bool writable_name(const char *name)
{
    for (const char *p = name; *p; p++)
        if (!isgraph((unsigned char)*p) || strchr(",*?!#|@\"\\", *p))
            return false;
    return *name != '\0';
}

/* One write, so that lines of several processes do not mix. 0 or errno. */
static int append(const char *path, const struct mu_host *host)
{
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600), rc = 0;
    size_t type_len = 0;
    const char *type = mu_known_blob_type(host->blob, host->len, &type_len);
    struct mu_buf line = MU_BUF_INIT;
    struct stat st;
    char last = '\n';
    ssize_t n;

    if (fd < 0)
        return errno;
    if (!fstat(fd, &st) && st.st_size > 0)
        (void)!pread(fd, &last, 1, st.st_size - 1);
    if (last != '\n') /* somebody's editor left the last line open */
        mu_buf_addc(&line, '\n');
    mu_buf_addf(&line, "%s %.*s %s\n", host->name, (int)type_len, type ? type : "", host->b64);
    if (line.failed) {
        rc = ENOMEM;
    } else {
        do
            n = write(fd, line.data, line.len);
        while (n < 0 && errno == EINTR);
        rc = n < 0 ? errno : (size_t)n != line.len ? ENOSPC : 0;
    }
    mu_buf_free(&line);
    if (close(fd) && !rc)
        rc = errno;
    return rc;
}

struct mu_hostkey_found mu_hostkey_learn(struct mu_hostkeys *hk, const struct mu_host *host)
{
    struct mu_hostkey_found found;
    bool added = false;
    int rc = EINVAL;

    pthread_mutex_lock(&hk->learning);
    found = mu_hostkey_search(hk, host->name, host); /* another thread may have been faster */
    if (!found.revoked && !found.same && !found.other) {
        if (writable_name(host->name)) {
            rc = append(hk->path, host);
            added = mu_known_hosts_add(hk->known, host->name, hk->path, 0, MU_KNOWN_PLAIN, host->blob, host->len) == 0;
        }
        found.same = true;
    }
    pthread_mutex_unlock(&hk->learning);
    if (added && !rc)
        mu_log(MU_INFO, "host key of %s was new and is now recorded in %s", host->shown, hk->path);
    else if (rc && found.same && !atomic_exchange(&hk->store_warned, true))
        mu_log(MU_WARNING,
               "known hosts file %s: the new host key of %s cannot be stored: %s; it is accepted all the same",
               hk->path, host->shown, strerror(rc));
    return found;
}
