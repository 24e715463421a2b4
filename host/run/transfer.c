#include "run/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/engine.h"
#include "run/task.h"
#include "run/remote_internal.h"
#include "run/transfer_script.h"
#include "run/worker.h"

#define STDERR_MAX ((size_t)64 << 10)

/* ---- the beginning ---- */

static void abandon(struct mu_wait *wait) { mu_transfer_close(mu_list_entry(wait, struct mu_transfer, call.wait)); }

static int prepare(struct mu_transfer *x, const char *label, const struct mu_transfer_request *req, struct mu_err *err)
{
    memset(x, 0, sizeof *x);
    x->open = true;
    x->fd = -1;
    x->mode = req->mode;
    x->text = req->text;
    x->len = req->len;
    x->max = req->max;
    x->label = strdup(label);
    x->local = req->local ? strdup(req->local) : NULL;
    x->sha256 = mu_sha256_new();
    if (!x->label || (req->local && !x->local) || !x->sha256)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    return 0;
}

static void add_quoted(struct mu_buf *b, const char *text)
{
    mu_buf_addc(b, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            mu_buf_adds(b, "'\\''");
        else
            mu_buf_addc(b, *text);
    }
    mu_buf_addc(b, '\'');
}

/* The script, with two words, in a sh of its own, whatever the login shell is. */
static int start(struct mu_transfer *x, struct mu_remote *remote, struct mu_ctx *ctx, const char *script, const char *mode,
                 const struct mu_transfer_request *req, struct mu_exec_request *exec, struct mu_err *err)
{
    struct mu_buf command = MU_BUF_INIT;
    mu_buf_adds(&command, "exec sh -c ");
    add_quoted(&command, script);
    mu_buf_adds(&command, " sh ");
    add_quoted(&command, req->remote);
    mu_buf_adds(&command, " ");
    add_quoted(&command, mode);
    if (command.failed) {
        mu_buf_free(&command);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    exec->command = mu_buf_cstr(&command);
    exec->limit = STDERR_MAX;
    exec->stream_arg = x;
    exec->label = x->label;
    mu_call_exec(&x->call, remote, ctx, exec, false, false, req->as_root, req->timeout_ms);
    mu_buf_free(&command);
    x->call.wait.abandon = abandon;
    return 0;
}

/* ---- to the server ---- */

static int open_source(struct mu_transfer *x, struct mu_err *err)
{
    struct stat st;
    x->fd = open(x->local, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (x->fd < 0 || fstat(x->fd, &st))
        return mu_err_sys(err, MU_EIO, errno, "cannot read %s", x->local);
    if (!S_ISREG(st.st_mode))
        return mu_err_set(err, MU_EINVAL, "%s is %s", x->local, S_ISDIR(st.st_mode) ? "a folder: name a file" : "no plain file");
    if (x->mode < 0)
        x->mode = (int)(st.st_mode & 07777);
    return 0;
}

static long read_source(struct mu_transfer *x, char *buf, size_t n, struct mu_err *err)
{
    if (x->local) {
        ssize_t got;
        do
            got = read(x->fd, buf, n);
        while (got < 0 && errno == EINTR);
        return got < 0 ? mu_err_sys(err, MU_EIO, errno, "cannot read %s", x->local) : (long)got;
    }
    n = n < x->len - x->sent ? n : x->len - x->sent;
    if (n)
        memcpy(buf, x->text + x->sent, n);
    x->sent += n;
    return (long)n;
}

static long more(void *arg, char *buf, size_t n, struct mu_err *err)
{
    struct mu_transfer *x = arg;
    if (!x->hex[0]) {
        long got = read_source(x, buf, n, err);
        if (got > 0) {
            mu_sha256_add(x->sha256, buf, (size_t)got);
            x->bytes += (uint64_t)got;
        }
        if (got != 0)
            return got;
        mu_sha256_end(x->sha256, x->hex);
        if (!x->hex[0])
            return mu_err_set(err, MU_ENOMEM, "no checksum can be made here");
        memcpy(x->call.streamed, x->hex, MU_SHA256_HEX);
        x->hex[MU_SHA256_HEX] = '\n';
    }
    size_t left = sizeof x->hex - 1 - x->trailer_sent;
    n = n < left ? n : left;
    memcpy(buf, x->hex + x->trailer_sent, n);
    x->trailer_sent += n;
    return (long)n;
}

int mu_transfer_send(struct mu_transfer *x, struct mu_remote *remote, struct mu_ctx *ctx, const char *label,
                     const struct mu_transfer_request *req, struct mu_err *err)
{
    struct mu_exec_request exec = {.more_input = more};
    char mode[16] = "";
    int rc = prepare(x, label, req, err);
    if (!rc && req->local)
        rc = open_source(x, err);
    if (!rc) {
        if (x->mode >= 0)
            snprintf(mode, sizeof mode, "%04o", (unsigned)x->mode);
        rc = start(x, remote, ctx, mu_transfer_send_script, mode, req, &exec, err);
    }
    if (rc)
        mu_transfer_close(x);
    return rc;
}

/* ---- from the server ---- */

static int open_target(struct mu_transfer *x, struct mu_err *err)
{
    struct stat st;
    if (lstat(x->local, &st) == 0 && !S_ISREG(st.st_mode))
        return mu_err_set(err, MU_EINVAL, "%s is %s", x->local,
                          S_ISDIR(st.st_mode)   ? "a folder: name a file in it"
                          : S_ISLNK(st.st_mode) ? "a symbolic link: name the file that it points to"
                                                : "no plain file");
    const char *slash = strrchr(x->local, '/');
    if (slash && !slash[1])
        return mu_err_set(err, MU_EINVAL, "%s is a folder: name a file in it", x->local);
    if (asprintf(&x->temp, "%.*s.muster.XXXXXXXX", slash ? (int)(slash + 1 - x->local) : 0, x->local) < 0) {
        x->temp = NULL;
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    x->fd = mkostemp(x->temp, O_CLOEXEC);
    if (x->fd >= 0)
        return 0;
    free(x->temp);
    x->temp = NULL;
    return mu_err_sys(err, MU_EIO, errno, "cannot write %s", x->local);
}

static int keep(struct mu_transfer *x, const char *bytes, size_t n, struct mu_err *err)
{
    if (!x->local) {
        if (n > x->max - x->memory.len) {
            mu_err_set(err, MU_ELIMIT, "the file is longer than %zu bytes: raise `max`, or take it with server:download", x->max);
            return mu_err_cause(err, "file longer than max");
        }
        mu_buf_add(&x->memory, bytes, n);
        return x->memory.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
    }
    while (n) {
        ssize_t put = write(x->fd, bytes, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return mu_err_sys(err, MU_EIO, errno, "cannot write %s", x->local);
        bytes += put;
        n -= (size_t)put;
    }
    return 0;
}

static int take(void *arg, const char *bytes, size_t n, struct mu_err *err)
{
    struct mu_transfer *x = arg;
    mu_sha256_add(x->sha256, bytes, n);
    x->bytes += n;
    mu_call_record_bytes(&x->call, bytes, n);
    return keep(x, bytes, n, err);
}

int mu_transfer_receive(struct mu_transfer *x, struct mu_remote *remote, struct mu_ctx *ctx, const char *label,
                        const struct mu_transfer_request *req, struct mu_err *err)
{
    struct mu_exec_request exec = {.on_output = take};
    int rc = prepare(x, label, req, err);
    x->receives = true;
    if (!rc && req->local && !remote->task->worker->engine->dry_run)
        rc = open_target(x, err);
    if (!rc)
        rc = start(x, remote, ctx, mu_transfer_receive_script, "", req, &exec, err);
    if (rc)
        mu_transfer_close(x);
    return rc;
}

/* ---- the end ---- */

/* What follows the last line that begins with word, up to its end, into out; false: there is none. */
static bool find_word(const struct mu_buf *text, const char *word, char *out, size_t size)
{
    const char *line = mu_buf_cstr(text), *end = line + text->len;
    bool found = false;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line)), *stop = newline ? newline : end;
        size_t n = strlen(word);
        if ((size_t)(stop - line) >= n && !memcmp(line, word, n)) {
            snprintf(out, size, "%.*s", (int)(stop - line - (long)n), line + n);
            found = true;
        }
        line = stop + 1;
    }
    return found;
}

static int failed(struct mu_transfer *x, const struct mu_exec_result *r, struct mu_err *err)
{
    char why[300];
    struct mu_buf said = MU_BUF_INIT;
    if (x->call.as_root && mu_sudo_refused(&x->call.sudo, r, err)) {
        mu_err_prefix(err, "%s", x->label);
        return err->code;
    }
    bool told = find_word(&r->err, "muster: ", why, sizeof why);
    if (!told)
        snprintf(why, sizeof why, "%.*s", (int)(r->err.len < 250 ? r->err.len : 250), mu_buf_cstr(&r->err));
    mu_buf_add_escaped(&said, why, strlen(why));
    if (told)
        mu_err_set(err, MU_EIO, "%s: %s", x->label, mu_buf_cstr(&said));
    else if (r->signal[0])
        mu_err_set(err, MU_EIO, "%s: its command was killed by signal %s", x->label, r->signal);
    else
        mu_err_set(err, MU_EIO, "%s: exit status %d: %s", x->label, r->exit_status, mu_buf_cstr(&said));
    mu_err_cause(err, "transfer: %.80s", told ? mu_buf_cstr(&said) : "the command failed");
    mu_buf_free(&said);
    return MU_EIO;
}

static int put_in_place(struct mu_transfer *x, const struct mu_exec_result *r, struct mu_err *err)
{
    char mode[16];
    unsigned bits = 0600;
    if (x->mode >= 0)
        bits = (unsigned)x->mode;
    else if (find_word(&r->err, "muster-mode ", mode, sizeof mode) && mode[0])
        bits = (unsigned)strtoul(mode, NULL, 8) & 0777; /* never set-id bits that a server asks for */
    if (fchmod(x->fd, bits))
        return mu_err_sys(err, MU_EIO, errno, "%s: cannot set the permissions of %s", x->label, x->local);
    int rc = close(x->fd);
    x->fd = -1;
    if (rc || rename(x->temp, x->local))
        return mu_err_sys(err, MU_EIO, errno, "%s: cannot write %s", x->label, x->local);
    free(x->temp);
    x->temp = NULL;
    return 0;
}

int mu_transfer_finish(struct mu_transfer *x, struct mu_err *err)
{
    const struct mu_exec_result *r = mu_call_result(&x->call);
    char theirs[80] = "", none[4];
    if (x->call.dry)
        return 0;
    if (!r || x->call.error.code) {
        *err = x->call.error;
        mu_err_prefix(err, "%s", x->label);
        return err->code;
    }
    if (r->exit_status != 0 || r->signal[0])
        return failed(x, r, err);
    if (!x->receives) {
        x->hex[MU_SHA256_HEX] = '\0';
        return x->trailer_sent == sizeof x->hex - 1 ? 0 : mu_err_set(err, MU_EIO, "%s: the server took only a part of it", x->label);
    }
    mu_sha256_end(x->sha256, x->hex);
    if (x->call.replayed && !r->err.len) /* what a spec says the file holds */
        return x->local ? put_in_place(x, r, err) : 0;
    if (find_word(&r->err, "muster-failed", none, sizeof none) || !find_word(&r->err, "muster-sha256 ", theirs, sizeof theirs)) {
        mu_err_set(err, MU_EIO, "%s: the server could not read it to its end", x->label);
        return mu_err_cause(err, "transfer: not read to its end");
    }
    if (strcmp(theirs, x->hex) != 0) {
        mu_err_set(err, MU_EIO, "%s: the checksum differs from the server's: damaged on its way", x->label);
        return mu_err_cause(err, "transfer: checksum differs");
    }
    return x->local ? put_in_place(x, r, err) : 0;
}

void mu_transfer_close(struct mu_transfer *x)
{
    if (!x->open)
        return;
    x->open = false;
    mu_call_close(&x->call);
    if (x->fd >= 0)
        close(x->fd);
    x->fd = -1;
    if (x->temp)
        unlink(x->temp);
    free(x->temp);
    free(x->local);
    free(x->label);
    x->temp = x->local = x->label = NULL;
    mu_sha256_free(x->sha256);
    x->sha256 = NULL;
    mu_buf_free(&x->memory);
}
