/* Sinks that write to a descriptor; the formats are in log_sink.c.
 *
 * A status line is the last line of the terminal, with the cursor left at its beginning: so whatever is written next
 * stands over it, and "erase to the end of the screen" takes all of it away, also when the terminal was made narrower
 * meanwhile and broke it into several rows. It is written without automatic wrapping: the terminal may be narrower by now
 * than it was when the text was made. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log_sink.h"

#define ERASE "\r\033[J"
#define WRAP_OFF "\033[?7l"
#define WRAP_ON "\033[?7h"
#define KEEP_BYTES 65536 /* the buffer is given back after a line longer than this */

struct fd_sink {
    struct mu_buf line;
    struct mu_buf status; /* what stands on the last line; empty: nothing */
    int fd;
    bool own_fd;
    bool color;
    bool torn;   /* the last line was written in part only: start the next one on a line of its own */
    bool warned; /* the operator was told that lines are missing */
    enum mu_log_format format;
};

/* 0, or the errno that stopped it; *written tells how far it came. */
static int write_all(int fd, const char *data, size_t len, size_t *written)
{
    *written = 0;
    while (*written < len) {
        ssize_t n = write(fd, data + *written, len - *written);
        if (n >= 0) {
            *written += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            /* a terminal or pipe that somebody made non-blocking: wait as a blocking one would have */
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            if (poll(&p, 1, -1) < 0 && errno != EINTR)
                return errno;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static void fd_sink_write(void *arg, const struct mu_record *record)
{
    struct fd_sink *s = arg;
    size_t written;
    int errnum = ENOMEM;

    mu_buf_clear(&s->line);
    if (s->status.len)
        mu_buf_adds(&s->line, ERASE);
    if (s->torn)
        mu_buf_addc(&s->line, '\n');
    mu_log_format_record(&s->line, s->format, s->color, record);
    if (s->status.len)
        mu_buf_addf(&s->line, WRAP_OFF "%s" WRAP_ON "\r", s->status.data);
    if (!s->line.failed) {
        errnum = write_all(s->fd, s->line.data, s->line.len, &written);
        s->torn = errnum ? (s->torn || written > 0) : false;
    }
    if (s->line.failed || s->line.cap > KEEP_BYTES)
        mu_buf_free(&s->line);
    if (errnum && !s->warned) {
        /* A log with a hole must not pass for a whole one. There is no log to say it in. */
        char text[160], reason[64];
        int n = snprintf(text, sizeof text, "muster: log lines are lost: cannot write the log: %s\n",
                         strerror_r(errnum, reason, sizeof reason));
        s->warned = true;
        if (s->fd != STDERR_FILENO && n > 0)
            write_all(STDERR_FILENO, text, strnlen(text, sizeof text), &written);
    }
}

/* Over the former text, and only then is the rest erased: nothing flickers. */
static void fd_sink_status(void *arg, const char *text, size_t len)
{
    struct fd_sink *s = arg;
    size_t written;

    if (len == s->status.len && (!len || memcmp(text, s->status.data, len) == 0))
        return;
    mu_buf_clear(&s->status);
    mu_buf_add(&s->status, text, len);
    mu_buf_clear(&s->line);
    if (s->torn)
        mu_buf_addc(&s->line, '\n');
    mu_buf_adds(&s->line, "\r");
    if (len)
        mu_buf_addf(&s->line, WRAP_OFF "%s" WRAP_ON, mu_buf_cstr(&s->status));
    mu_buf_adds(&s->line, "\033[J\r");
    if (s->status.failed || s->line.failed) /* no memory for it: then without one */
        mu_buf_clear(&s->status);
    else if (write_all(s->fd, s->line.data, s->line.len, &written) == 0)
        s->torn = false;
}

static void fd_sink_free(void *arg)
{
    struct fd_sink *s = arg;

    if (s->own_fd)
        close(s->fd);
    mu_buf_free(&s->line);
    mu_buf_free(&s->status);
    free(s);
}

int mu_log_sink_fd(struct mu_logger *lg, int fd, bool own_fd, enum mu_log_format format, bool color, struct mu_err *err)
{
    struct fd_sink *s = NULL;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return mu_err_sys(err, MU_EINVAL, EBADF, "cannot log to descriptor %d: give one that is open for writing", fd);
    s = calloc(1, sizeof *s);
    if (!s)
        return mu_err_set(err, MU_ENOMEM, "out of memory for a log sink");
    s->fd = fd;
    s->own_fd = own_fd;
    s->format = format;
    s->color = color;
    if (mu_logger_add_sink(lg, fd_sink_write, s, fd_sink_free) != 0) {
        free(s);
        return mu_err_set(err, MU_ENOMEM, "out of memory for a log sink");
    }
    if (!own_fd)
        mu_logger_sink_status(lg, s, fd_sink_status);
    return 0;
}

int mu_log_sink_file(struct mu_logger *lg, const char *path, enum mu_log_format format, struct mu_err *err)
{
    int rc, fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);

    if (fd < 0)
        return mu_err_sys(err, MU_EIO, errno, "cannot open the log file %s for appending", path);
    rc = mu_log_sink_fd(lg, fd, true, format, false, err);
    if (rc != 0)
        close(fd);
    return rc;
}
