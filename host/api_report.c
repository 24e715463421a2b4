/* api_report.c: reports of a run at hand, or of one that was kept. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_internal.h"
#include "results/store_trail.h"
#include "run/former.h"

static int write_all(int fd, const struct mu_buf *b)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = write(fd, b->data + at, b->len - at);
        if (n < 0 && errno != EINTR)
            return errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Beside the target and renamed, so that a reader never sees half a report. */
static int write_file(const char *path, const struct mu_buf *b, struct mu_err *err)
{
    struct mu_buf temporary = MU_BUF_INIT;
    mu_buf_addf(&temporary, "%s.XXXXXX", path);
    if (temporary.failed)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    int fd = mkostemp(temporary.data, O_CLOEXEC), rc = fd < 0 ? errno : write_all(fd, b);
    if (fd >= 0) {
        mode_t mask = umask(0);
        umask(mask);
        if (!rc && (fchmod(fd, 0666 & ~mask) != 0 || fsync(fd) != 0))
            rc = errno;
        if (close(fd) != 0 && !rc)
            rc = errno;
        if (!rc && rename(temporary.data, path) != 0)
            rc = errno;
        if (rc)
            unlink(temporary.data);
    }
    mu_buf_free(&temporary);
    return rc ? mu_err_sys(err, MU_EIO, rc, "cannot write %s", path) : 0;
}

static int write_report(const struct mu_run_result *r, const struct mu_trail *past, enum muster_report kind, const char *path,
                        struct mu_err *err)
{
    struct mu_buf text = MU_BUF_INIT;
    int rc = 0;
    static void (*const writers[])(const struct mu_run_result *, struct mu_buf *) = {
        [MUSTER_REPORT_JSON] = mu_report_json,
        [MUSTER_REPORT_JUNIT] = mu_report_junit,
        [MUSTER_REPORT_OPENMETRICS] = mu_report_openmetrics,
        [MUSTER_REPORT_OTLP] = mu_report_otlp,
    };
    if (kind == MUSTER_REPORT_HTML)
        mu_report_html(r, past, &text);
    else if ((unsigned)kind < sizeof writers / sizeof *writers)
        writers[kind](r, &text);
    else
        return mu_err_set(err, MU_EINVAL, "there is no report number %d", (int)kind);
    if (text.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (!strcmp(path, "-"))
        rc = (rc = write_all(1, &text)) ? mu_err_sys(err, MU_EIO, rc, "cannot write to standard output") : 0;
    else
        rc = write_file(path, &text, err);
    mu_buf_free(&text);
    return rc;
}

/* A run's page tells less when what it is kept with cannot be read: the run itself is at hand. */
static void look_back(struct muster_run *run, struct mu_trail *past)
{
    struct mu_store *store = mu_run_store(run->run);
    struct mu_store_run row;
    struct mu_err e = {0};
    if (!store)
        return;
    int rc = mu_store_find(store, muster_run_id(run), &row, &e);
    if (!rc)
        rc = mu_trail_load(past, store, &row, mu_run_results(run->run), &e);
    if (rc)
        mu_log(MU_WARNING, "The HTML report is without former runs: %s", e.msg);
    mu_store_run_clear(&row);
}

int muster_run_report(struct muster_run *run, enum muster_report kind, const char *path, struct muster_error *err)
{
    struct mu_logger *former = mu_logger_use(run->m->logger);
    struct mu_trail past = {0};
    struct mu_err e = {0};
    if (kind == MUSTER_REPORT_HTML)
        look_back(run, &past);
    int rc = write_report(mu_run_results(run->run), &past, kind, path, &e);
    mu_trail_clear(&past);
    mu_logger_use(former);
    return mu_api_give_result(err, rc, &e);
}

int muster_stored_report(struct muster_stored *s, enum muster_report kind, const char *path, struct muster_error *err)
{
    const struct mu_former *f = mu_api_stored(s);
    struct mu_trail past = {0};
    struct mu_err e = {0};
    int rc = 0;
    if (!f)
        rc = mu_err_set(&e, MU_ESTATE, "the run is being gone on with");
    else if (kind == MUSTER_REPORT_HTML)
        rc = mu_trail_load(&past, f->store, &f->run, f->results, &e);
    if (!rc)
        rc = write_report(f->results, &past, kind, path, &e);
    mu_trail_clear(&past);
    return mu_api_give_result(err, rc, &e);
}
