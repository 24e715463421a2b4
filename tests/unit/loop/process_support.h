/* process_support.h: running local commands in tests, and looking after what they leave. */
#ifndef TEST_LOOP_PROCESS_SUPPORT_H
#define TEST_LOOP_PROCESS_SUPPORT_H

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "loop/process.h"
#include "support.h"

struct job {
    struct mu_loop *loop;
    struct mu_process *p;
    struct mu_exec_request req;
    struct mu_ctx *ctx;
    int done;
    bool wrong_ctx; /* a callback ran in another one */
    bool free_in_done;
    const struct mu_exec_result *result;
    /* with take_lines */
    struct mu_buf text; /* "out<line>" or "err<line>" */
    int lines;
    int free_at_line, abort_at_line; /* in the callback for the nth */
    bool count_only;
    bool line_after_done;
};

static inline void job_done(void *arg, struct mu_process *p)
{
    struct job *j = arg;

    j->done++;
    j->wrong_ctx = j->wrong_ctx || mu_ctx_current() != j->ctx;
    j->result = mu_process_result(p);
    if (j->free_in_done) {
        mu_process_free(p);
        j->p = NULL;
    }
}

static inline struct mu_err canceled(void)
{
    struct mu_err why;

    mu_err_set(&why, MU_ECANCELED, "ended by the test");
    return why;
}

static inline void job_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct job *j = arg;
    struct mu_err why = canceled();

    j->lines++;
    j->wrong_ctx = j->wrong_ctx || mu_ctx_current() != j->ctx;
    j->line_after_done = j->line_after_done || j->done;
    if (j->lines == j->free_at_line) {
        mu_process_free(j->p);
        j->p = NULL;
    }
    if (j->lines == j->abort_at_line)
        mu_process_abort(j->p, &why, 50);
    if (j->count_only)
        return;
    mu_buf_adds(&j->text, stream == MU_EXEC_STDOUT ? "out<" : "err<");
    mu_buf_add(&j->text, line, len);
    mu_buf_adds(&j->text, ">");
}

static inline void job_open(struct job *j, const char *command)
{
    memset(j, 0, sizeof(*j));
    j->loop = new_loop();
    j->ctx = mu_ctx_with_str(NULL, "server_id", "local");
    j->req.command = command;
}

static inline void take_lines(struct job *j)
{
    j->req.on_line = job_line;
    j->req.on_line_arg = j;
}

static inline void job_start(struct job *j)
{
    struct mu_err err;

    if (mu_process_start(&j->p, j->loop, j->ctx, &j->req, job_done, j, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(j->done, 0);
}

static inline void job_wait(struct job *j)
{
    turn_until(j->loop, &j->done, 1);
    assert_int_equal(j->done, 1);
    assert_false(j->wrong_ctx);
    assert_null(mu_ctx_current());
}

static inline void job_run(struct job *j, const char *command)
{
    job_open(j, command);
    job_start(j);
    job_wait(j);
}

static inline void job_close(struct job *j)
{
    mu_process_free(j->p);
    mu_loop_turn(j->loop, false);
    assert_true(j->done <= 1);
    assert_false(j->line_after_done);
    mu_loop_free(j->loop);
    mu_ctx_unref(j->ctx);
    mu_buf_free(&j->text);
}

static inline void assert_ok(const struct job *j, const char *out)
{
    assert_string_equal(j->result->error.msg, "");
    assert_int_equal(j->result->error.code, 0);
    assert_int_equal(j->result->exit_status, 0);
    assert_string_equal(j->result->signal, "");
    assert_string_equal(mu_buf_cstr(&j->result->out), out);
}

/* Whether pid is there and not a zombie. */
static inline bool runs(long pid)
{
    char path[64], text[512];
    const char *state;
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    state = strrchr(text, ')');
    return state && state[1] && state[2] != 'Z' && state[2] != 'X';
}

#endif
