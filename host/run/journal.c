#include "run/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/state_dir.h"

struct mu_journal {
    char *run_id;
    struct mu_buf dir; /* "" when there is none: why has the reason */
    struct mu_err why;
    char *path;        /* NULL: not made yet */
    int fd;            /* -1: not made yet */
    off_t size;        /* up to the end of the last whole line */
    bool torn;         /* a piece of a line that could not be taken back is at its end */
    struct mu_buf head, noted;
};

/* ---- the folder ---- */

int mu_journal_dir(struct mu_buf *out, const char *state_dir, struct mu_err *err)
{
    int rc = mu_state_dir(out, state_dir, err);
    mu_buf_adds(out, "/claims");
    return rc ? rc : out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}

static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    if (fd < 0)
        return errno;
    if (fsync(fd) && errno != EINVAL && errno != EROFS) /* some file systems know no such thing */
        rc = errno;
    close(fd);
    return rc;
}

static int give_up(struct mu_err *err, int sys, const char *path, const char *what)
{
    mu_err_sys(err, MU_EIO, sys, "journal %s: %s; without it nothing may be claimed (--state-dir names another folder)",
               path, what);
    mu_err_cause(err, "the journal of claims cannot be written");
    return MU_EIO;
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int move(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    return rename(from, to) ? errno : 0; /* the file system has no such flag; ids of runs are unique */
}

/* Make the file with its first lines; it gets its name when all of it is on the disk. */
static int create(struct mu_journal *j, struct mu_err *err)
{
    struct mu_buf fresh = MU_BUF_INIT, path = MU_BUF_INIT;
    const char *what = "cannot be made";
    int fd = -1, sys = mu_state_make_dirs(mu_buf_cstr(&j->dir));
    mu_buf_addf(&fresh, "%s/.%s.new", mu_buf_cstr(&j->dir), j->run_id);
    mu_buf_addf(&path, "%s/%s.jsonl", mu_buf_cstr(&j->dir), j->run_id);
    if (fresh.failed || path.failed)
        sys = ENOMEM;
    if (!sys && (fd = open(fresh.data, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
        sys = errno;
    if (!sys && flock(fd, LOCK_EX | LOCK_NB)) {
        sys = errno;
        what = "cannot be locked";
    }
    if (!sys && (sys = write_all(fd, j->head.data, j->head.len)) == 0)
        sys = write_all(fd, j->noted.data, j->noted.len);
    if (!sys && fsync(fd))
        sys = errno;
    if (!sys)
        sys = move(fresh.data, path.data);
    if (!sys && (sys = sync_dir(mu_buf_cstr(&j->dir))) != 0)
        unlink(path.data);
    if (!sys) {
        j->fd = fd;
        j->size = (off_t)(j->head.len + j->noted.len);
        j->path = mu_buf_take(&path);
    } else {
        give_up(err, sys, mu_buf_cstr(&path), what);
        if (fd >= 0) {
            unlink(fresh.data);
            close(fd);
        }
    }
    mu_buf_free(&fresh);
    mu_buf_free(&path);
    return sys ? MU_EIO : 0;
}

/* Take back what was written since the last whole line. */
static void take_back(struct mu_journal *j)
{
    int rc;
    do
        rc = ftruncate(j->fd, j->size);
    while (rc && errno == EINTR);
    j->torn = rc != 0;
}

static int append(struct mu_journal *j, struct mu_err *err)
{
    struct stat st;
    int sys = 0;
    if (fstat(j->fd, &st) == 0 && st.st_nlink == 0)
        return give_up(err, ENOENT, j->path, "somebody removed it while the run is at work");
    if (j->torn && (sys = write_all(j->fd, "\n", 1)) == 0)
        j->torn = false;
    if (!sys && (sys = write_all(j->fd, j->noted.data, j->noted.len)) == 0 && fdatasync(j->fd))
        sys = errno;
    if (!sys) {
        j->size = lseek(j->fd, 0, SEEK_END);
        return 0;
    }
    take_back(j);
    return give_up(err, sys, j->path, "cannot be written");
}

int mu_journal_sync(struct mu_journal *j, struct mu_err *err)
{
    int rc = 0;
    if (!j->noted.len)
        return 0;
    if (j->noted.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (j->why.code) {
        rc = j->why.code;
        if (err)
            *err = j->why;
    } else
        rc = j->fd < 0 ? create(j, err) : append(j, err);
    mu_buf_clear(&j->noted);
    return rc;
}

/* ---- noting ---- */

/* A line that failed half-way is not to stay in the buffer. */
static int noted(struct mu_journal *j, size_t before, int rc)
{
    if (rc) {
        j->noted.len = before;
        j->noted.failed = false;
        if (j->noted.data)
            j->noted.data[before] = '\0';
    }
    return rc;
}

int mu_journal_claim(struct mu_journal *j, const struct mu_server *server, const char *data, struct mu_err *err)
{
    size_t before = j->noted.len;
    return noted(j, before, mu_journal_claim_line(&j->noted, server, data, err));
}

int mu_journal_update(struct mu_journal *j, const char *server_id, const char *data, struct mu_err *err)
{
    size_t before = j->noted.len;
    return noted(j, before, mu_journal_id_line(&j->noted, "update", server_id, data, err));
}

int mu_journal_release(struct mu_journal *j, const char *server_id, struct mu_err *err)
{
    size_t before = j->noted.len;
    return noted(j, before, mu_journal_id_line(&j->noted, "release", server_id, NULL, err));
}

/* ---- the object ---- */

int mu_journal_new(struct mu_journal **out, const char *state_dir, const struct mu_journal_head *head,
                   struct mu_err *err)
{
    struct mu_journal *j = calloc(1, sizeof *j);
    *out = NULL;
    if (!j || !(j->run_id = strdup(head->run_id))) {
        free(j);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    j->fd = -1;
    /* A run that claims nothing needs neither. */
    if (mu_journal_dir(&j->dir, state_dir, &j->why) == 0)
        mu_journal_head_line(&j->head, head, &j->why);
    *out = j;
    return 0;
}

int mu_journal_adopt(struct mu_journal **out, const char *path, int fd, struct mu_err *err)
{
    struct mu_journal *j = calloc(1, sizeof *j);
    char last = '\n';
    *out = NULL;
    if (!j || !(j->path = strdup(path))) {
        free(j);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    j->fd = fd;
    j->size = lseek(fd, 0, SEEK_END);
    if (j->size > 0 && pread(fd, &last, 1, j->size - 1) == 1)
        j->torn = last != '\n';
    *out = j;
    return 0;
}

const char *mu_journal_path(const struct mu_journal *j) { return j->path; }

void mu_journal_close(struct mu_journal *j, bool empty)
{
    if (!j)
        return;
    if (empty && j->path)
        unlink(j->path);
    if (j->fd >= 0)
        close(j->fd); /* and with it the lock */
    free(j->run_id);
    free(j->path);
    mu_buf_free(&j->dir);
    mu_buf_free(&j->head);
    mu_buf_free(&j->noted);
    free(j);
}
