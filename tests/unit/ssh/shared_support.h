/* shared_support.h: what the tests of a run's shared part have in common: a scratch directory, real OpenSSH tools, and
 * a logger that keeps its lines.
 *
 * Purpose: for test programs only. Owner: each program has its own copy. Thread: the log sink may be called from any.
 * Must not know: sessions.
 */
#ifndef SHARED_SUPPORT_H
#define SHARED_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/log.h"
#include "ssh/shared.h"

static char scratch[64];

__attribute__((unused, format(printf, 1, 2))) static char *in_scratch(const char *fmt, ...)
{
    static __thread char path[8][256];
    static __thread unsigned turn;
    char *p = path[turn++ % 8];
    va_list ap;
    int n = snprintf(p, 256, "%s/", scratch);

    va_start(ap, fmt);
    vsnprintf(p + n, 256 - (size_t)n, fmt, ap);
    va_end(ap);
    return p;
}

__attribute__((unused)) static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    fchmod(fd, mode);
    close(fd);
}

__attribute__((unused)) static char *read_file(const char *path)
{
    static char text[1 << 16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return text;
}

/* Run a program; its standard output into out (may be NULL). The exit status, or -1. */
__attribute__((unused)) static int run(struct mu_buf *out, const char *const *argv)
{
    int pipe_fd[2], status;
    char chunk[4096];
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(pipe_fd[1], 1);
        dup2(null, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(pipe_fd[1]);
    while ((n = read(pipe_fd[0], chunk, sizeof(chunk))) > 0)
        if (out)
            mu_buf_add(out, chunk, (size_t)n);
    close(pipe_fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define RUN(out, ...) run((out), (const char *const[]){__VA_ARGS__, NULL})

__attribute__((unused)) static void make_key(const char *path, const char *type, const char *bits,
                                             const char *passphrase, const char *format)
{
    unlink(path);
    if (format)
        assert_int_equal(RUN(NULL, "ssh-keygen", "-q", "-t", type, "-b", bits, "-N", passphrase, "-C", path, "-m",
                             format, "-f", path),
                         0);
    else
        assert_int_equal(
            RUN(NULL, "ssh-keygen", "-q", "-t", type, "-b", bits, "-N", passphrase, "-C", path, "-f", path), 0);
}

/* ---- log lines ---- */

static struct mu_logger *logger;
static struct mu_buf log_lines; /* "level message\n", written under the logger's mutex */

static void keep_line(void *arg, const struct mu_record *record)
{
    (void)arg;
    mu_buf_adds(&log_lines, mu_level_name(record->level));
    mu_buf_addc(&log_lines, ' ');
    mu_buf_add(&log_lines, record->msg, record->msg_len);
    mu_buf_addc(&log_lines, '\n');
}

__attribute__((unused)) static unsigned times_logged(const char *text)
{
    unsigned n = 0;

    for (const char *p = mu_buf_cstr(&log_lines); (p = strstr(p, text)); p++)
        n++;
    return n;
}

/* ---- set-up of the whole program ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1; /* an agent that ends removes its socket itself */
}

__attribute__((unused)) static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    strcpy(scratch, "/tmp/muster-test-XXXXXX");
    if (!mkdtemp(scratch) || mu_logger_new(&logger, MU_DEBUG) || mu_logger_add_sink(logger, keep_line, NULL, NULL))
        return -1;
    mu_logger_use(logger);
    setenv("HOME", scratch, 1); /* never the tester's own keys and hosts */
    unsetenv("SSH_AUTH_SOCK");
    return 0;
}

__attribute__((unused)) static int clear_log(void **state)
{
    (void)state;
    mu_buf_clear(&log_lines);
    return 0;
}

__attribute__((unused)) static int tear_down(void **state)
{
    (void)state;
    mu_logger_use(NULL);
    mu_logger_free(logger);
    mu_buf_free(&log_lines);
    return nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
