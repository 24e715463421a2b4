#include "loop/partner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/process_internal.h"

#define LINE_LIMIT ((size_t)4096)
#define SAID_MAX 200 /* of its last line, in messages */

struct mu_partner {
    struct mu_loop *loop;
    struct mu_ctx *ctx;
    struct mu_process_child *child; /* NULL once reaped */
    long pid;
    mu_partner_fn *fn;
    void *arg;
    int err_fd;
    struct mu_watch *err_watch;
    struct mu_lines lines;
    struct mu_buf said, text; /* its last line, escaped; what mu_partner_says() gave */
    char how[48];
};

static void on_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct mu_partner *p = arg;

    (void)stream;
    if (!len)
        return;
    mu_buf_clear(&p->said);
    mu_buf_add_escaped(&p->said, line, len < SAID_MAX ? len : SAID_MAX);
    mu_log(MU_DEBUG, "the proxy command says: %s", mu_buf_cstr(&p->said));
}

static void close_stderr(struct mu_partner *p)
{
    mu_watch_free(p->err_watch);
    p->err_watch = NULL;
    if (p->err_fd >= 0)
        close(p->err_fd);
    p->err_fd = -1;
}

static void read_stderr(struct mu_partner *p)
{
    char *bytes = mu_loop_scratch(p->loop);
    ssize_t n;

    while (p->err_fd >= 0 && bytes) {
        n = read(p->err_fd, bytes, MU_LOOP_SCRATCH);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            mu_lines_finish(&p->lines);
            close_stderr(p);
        } else if (mu_lines_feed(&p->lines, bytes, (size_t)n)) {
            mu_lines_free(&p->lines); /* a line without end is no message */
            mu_lines_init(&p->lines, MU_EXEC_STDERR, LINE_LIMIT, on_line, p);
        }
    }
}

static void on_stderr(void *arg, int events)
{
    (void)events;
    read_stderr(arg);
}

/* Called by process.c, in the partner's log context. */
static void reaped(struct mu_process_child *child)
{
    struct mu_partner *p = child->partner;
    char name[16];

    p->child = NULL;
    read_stderr(p);
    if (child->term_signal) {
        mu_process_signal_name(child->term_signal, name, sizeof(name));
        snprintf(p->how, sizeof(p->how), "signal %s", name);
    } else {
        snprintf(p->how, sizeof(p->how), "exit status %d", child->exit_status);
    }
    p->fn(p->arg);
}

static int spawn(struct mu_partner *p, const char *command, int theirs, int *ours_err, struct mu_err *err)
{
    char **env = NULL;
    int ends[2] = {-1, -1}, rc;

    *ours_err = -1;
    rc = mu_process_env(&env, NULL, err);
    if (rc)
        return rc;
    if (pipe2(ends, O_CLOEXEC)) {
        rc = mu_err_sys(err, MU_EIO, errno, "cannot start the proxy command");
        goto out;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    p->child = calloc(1, sizeof(*p->child));
    if (!p->child) {
        rc = mu_err_set(err, MU_ENOMEM, "cannot start the proxy command: out of memory");
        goto out;
    }
    p->child->uv.data = p->child;
    p->child->loop = p->loop;
    p->child->partner = p;
    p->child->partner_reaped = reaped;
    p->child->partner_ctx = p->ctx;
    rc = mu_process_spawn_on(&p->loop->uv, &p->child->uv, mu_process_on_exit, command, env,
                             (int[3]){theirs, theirs, ends[1]}, err);
    if (rc) {
        mu_process_drop_child(p->child);
        p->child = NULL;
        goto out;
    }
    p->pid = uv_process_get_pid(&p->child->uv);
    *ours_err = ends[0];
    ends[0] = -1;
out:
    mu_process_env_free(env);
    if (ends[0] >= 0)
        close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    return rc;
}

int mu_partner_start(struct mu_partner **out, struct mu_loop *loop, struct mu_ctx *ctx, const char *command, int *fd,
                     mu_partner_fn *ended, void *arg, struct mu_err *err)
{
    struct mu_partner *p = calloc(1, sizeof(*p));
    int pair[2] = {-1, -1}, rc;

    *out = NULL;
    *fd = -1;
    if (!p || !mu_loop_scratch(loop)) {
        free(p);
        return mu_err_set(err, MU_ENOMEM, "cannot start the proxy command: out of memory");
    }
    loop->open++;
    p->loop = loop;
    p->ctx = mu_ctx_ref(ctx);
    p->fn = ended;
    p->arg = arg;
    p->err_fd = -1;
    mu_lines_init(&p->lines, MU_EXEC_STDERR, LINE_LIMIT, on_line, p);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        rc = mu_err_sys(err, MU_EIO, errno, "cannot start the proxy command");
        goto out;
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK); /* ours alone: the program's end has flags of its own */
    rc = spawn(p, command, pair[1], &p->err_fd, err);
    if (!rc)
        rc = mu_watch_new(&p->err_watch, loop, p->err_fd, on_stderr, p, err);
    if (rc)
        goto out;
    mu_watch_set_ctx(p->err_watch, ctx);
    mu_watch_set(p->err_watch, MU_READABLE);
    *fd = pair[0];
    pair[0] = -1;
    *out = p;
    p = NULL;
out:
    mu_partner_free(p);
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
    return rc;
}

bool mu_partner_ended(const struct mu_partner *p) { return !p->child; }

const char *mu_partner_says(struct mu_partner *p)
{
    read_stderr(p);
    mu_buf_clear(&p->text);
    mu_buf_adds(&p->text, p->how);
    if (p->said.len)
        mu_buf_addf(&p->text, "%s%s", p->text.len ? ": " : "", mu_buf_cstr(&p->said));
    return mu_buf_cstr(&p->text);
}

void mu_partner_free(struct mu_partner *p)
{
    if (!p)
        return;
    if (p->child) { /* not reaped yet, so the group's number is certainly still its own */
        kill((pid_t)-p->pid, SIGTERM);
        kill((pid_t)-p->pid, SIGCONT);
        p->child->partner = NULL;
        mu_list_push(&p->loop->orphans, &p->child->link);
    }
    close_stderr(p);
    mu_lines_free(&p->lines);
    mu_ctx_unref(p->ctx);
    mu_buf_free(&p->said);
    mu_buf_free(&p->text);
    p->loop->open--;
    free(p);
}
