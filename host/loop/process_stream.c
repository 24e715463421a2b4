#include "loop/process_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LIMIT_KILL_AFTER_MS = 2000, /* between TERM and KILL for a command that wrote too much */
    INPUT_CHUNK = 64 << 10,     /* of a stream, as much as a pipe takes */
    DRAIN_BYTES = 1 << 20       /* a pipe holds no more, so one who writes on for ever is cut here */
};

static void close_watched(struct mu_watch **watch, int *fd)
{
    mu_watch_free(*watch);
    *watch = NULL;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The end of a stream, or the end of our patience with it. */
static void end_stream(struct mu_process_stream *s)
{
    if (!s->watch)
        return;
    close_watched(&s->watch, &s->fd);
    if (!s->kept && !s->discard)
        mu_lines_finish(&s->lines);
}

static void too_much(struct mu_process_stream *s, int code)
{
    struct mu_process *p = s->p;
    const char *name = s == &p->streams[MU_EXEC_STDOUT] ? "standard output" : "standard error";
    struct mu_err why;

    s->discard = true;
    if (code == MU_ENOMEM) {
        mu_err_set(&why, MU_ENOMEM, "out of memory for the %s of a command", name);
    } else {
        if (s->kept)
            mu_err_set(&why, MU_ELIMIT, "the command wrote more than %zu bytes to its %s: raise `limit`, or take the "
                       "output line by line with a line callback", p->limit, name);
        else
            mu_err_set(&why, MU_ELIMIT, "the command wrote a line of more than %zu bytes to its %s: raise `limit`",
                       p->limit, name);
        mu_err_cause(&why, "output limit");
    }
    if (!p->aborting)
        mu_process_abort(p, &why, LIMIT_KILL_AFTER_MS);
}

static void stream_failed(struct mu_process *p, const struct mu_err *why)
{
    p->streams[MU_EXEC_STDOUT].discard = true;
    if (!p->aborting)
        mu_process_abort(p, why, LIMIT_KILL_AFTER_MS);
}

static void take(struct mu_process_stream *s, const char *bytes, size_t n)
{
    int code;

    if (s->discard)
        return;
    if (s->p->on_output && s == &s->p->streams[MU_EXEC_STDOUT]) {
        struct mu_err why = {0};

        if (s->p->on_output(s->p->stream_arg, bytes, n, &why) < 0)
            stream_failed(s->p, &why);
        return;
    }
    if (!s->kept) {
        code = mu_lines_feed(&s->lines, bytes, n);
    } else {
        size_t room = s->p->limit - s->kept->len;

        mu_buf_add(s->kept, bytes, n < room ? n : room);
        code = s->kept->failed ? MU_ENOMEM : n > room ? MU_ELIMIT : 0;
    }
    if (code == MU_ELIMIT || code == MU_ENOMEM) /* MU_ECLOSED: the callback freed the command */
        too_much(s, code);
}

/* One read. 0 when nothing is there now, or the stream has ended, by itself or by its owner in a callback. */
static size_t read_some(struct mu_process_stream *s)
{
    char *scratch = s->p->loop->scratch;
    ssize_t n;

    if (!s->watch)
        return 0;
    do
        n = read(s->fd, scratch, MU_LOOP_SCRATCH);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        take(s, scratch, (size_t)n);
        return (size_t)n;
    }
    if (n == 0 || errno != EAGAIN)
        end_stream(s);
    return 0;
}

static void on_readable(void *arg, int events)
{
    struct mu_process_stream *s = arg;
    struct mu_process *p = s->p;

    (void)events;
    mu_process_enter(p);
    read_some(s);
    if (!s->watch)
        mu_process_maybe_finish(p);
    mu_process_leave(p);
}

/* The next piece of a stream, in place of the input that was written. False: there is none. */
static bool refill(struct mu_process *p)
{
    struct mu_err why = {0};
    long n;

    if (!p->more_input || p->aborting)
        return false;
    if (p->input)
        explicit_bzero(p->input, p->input_len);
    free(p->input);
    p->input_len = p->input_sent = 0;
    p->input = malloc(INPUT_CHUNK);
    n = p->input ? p->more_input(p->stream_arg, p->input, INPUT_CHUNK, &why)
                 : mu_err_set(&why, MU_ENOMEM, "out of memory");
    if (n <= 0)
        p->more_input = NULL;
    if (n < 0)
        stream_failed(p, &why);
    p->input_len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static void on_writable(void *arg, int events)
{
    struct mu_process *p = arg;
    ssize_t n;

    if (p->input_sent == p->input_len && !refill(p)) {
        if (!p->aborting) /* else the end of file would look like that of a whole stream: it ends with the command */
            close_watched(&p->input_watch, &p->input_fd);
        else
            mu_watch_set(p->input_watch, 0);
        return;
    }
    n = mu_process_write(p->input_fd, p->input + p->input_sent, p->input_len - p->input_sent);

    (void)events;
    if (n > 0)
        p->input_sent += (size_t)n;
    /* A command need not read all of its input: EPIPE is no trouble of ours. */
    if ((p->input_sent == p->input_len && !p->more_input) || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_watched(&p->input_watch, &p->input_fd);
}

static int watch(struct mu_watch **out, struct mu_process *p, int fd, int events, mu_watch_fn *fn, void *arg,
                 struct mu_err *err)
{
    int code = mu_watch_new(out, p->loop, fd, fn, arg, err);

    if (code)
        return code;
    mu_watch_set_ctx(*out, p->ctx);
    if (mu_watch_set(*out, events))
        return mu_err_set(err, MU_EIO, "cannot watch the streams of a local command");
    return 0;
}

int mu_process_streams_open(struct mu_process *p, const int fds[3], const struct mu_exec_request *req, struct mu_err *err)
{
    int code;

    p->input_fd = fds[0];
    for (int i = 0; i < 2; i++) {
        struct mu_process_stream *s = &p->streams[i];

        s->p = p;
        s->fd = fds[1 + i];
        if (req->on_line)
            mu_lines_init(&s->lines, (enum mu_exec_stream)i, p->limit, req->on_line, req->on_line_arg);
        else
            s->kept = i == MU_EXEC_STDOUT ? &p->result.out : &p->result.err;
    }
    for (int i = 0; i < 2; i++) {
        code = watch(&p->streams[i].watch, p, p->streams[i].fd, MU_READABLE, on_readable, &p->streams[i], err);
        if (code)
            return code;
    }
    if (p->input_len > 0 || p->more_input)
        return watch(&p->input_watch, p, p->input_fd, MU_WRITABLE, on_writable, p, err);
    close_watched(&p->input_watch, &p->input_fd);
    return 0;
}

void mu_process_streams_drain(struct mu_process *p)
{
    for (int i = 0; i < 2; i++) {
        size_t total = 0, n;

        while (total < DRAIN_BYTES && (n = read_some(&p->streams[i])) > 0)
            total += n;
    }
}

void mu_process_streams_end(struct mu_process *p)
{
    for (int i = 0; i < 2; i++)
        end_stream(&p->streams[i]);
}

void mu_process_streams_close(struct mu_process *p)
{
    for (int i = 0; i < 2; i++) {
        close_watched(&p->streams[i].watch, &p->streams[i].fd);
        mu_lines_free(&p->streams[i].lines);
    }
    close_watched(&p->input_watch, &p->input_fd);
}

bool mu_process_streams_ended(const struct mu_process *p) { return !p->streams[0].watch && !p->streams[1].watch; }
