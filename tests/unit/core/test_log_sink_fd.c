#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log_sink.h"
#include "tests/unit/core/unit.h"

static int setup(void **state)
{
    char *dir = strdup("/tmp/muster-test-XXXXXX");

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    *state = dir;
    return dir && mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    int rc = rmdir(*state); /* each test removes its files */

    free(*state);
    return rc;
}

static char *read_all(int fd, size_t *len)
{
    struct mu_buf b = MU_BUF_INIT;
    char chunk[65536];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        mu_buf_add(&b, chunk, (size_t)n);
    *len = b.len;
    return mu_buf_take(&b);
}

static char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len;
    char *text;

    assert_true(fd >= 0);
    text = read_all(fd, &len);
    close(fd);
    return text;
}

static struct mu_logger *logger(void)
{
    struct mu_logger *lg;

    assert_int_equal(mu_logger_new(&lg, MU_INFO), 0);
    mu_logger_use(lg);
    return lg;
}

static void file_sink_appends(void **state)
{
    struct mu_err err = {0};
    struct mu_logger *lg;
    char path[128], *text;
    struct stat st;

    snprintf(path, sizeof path, "%s/log", (char *)*state);
    umask(022);
    for (int i = 0; i < 2; i++) {
        lg = logger();
        assert_int_equal(mu_log_sink_file(lg, path, MU_LOG_CONSOLE, &err), 0);
        mu_log(MU_INFO, "run %d", i);
        mu_log(MU_DEBUG, "not this");
        mu_logger_free(lg);
    }
    text = read_file(path);
    assert_non_null(strstr(text, "[info     ] run 0\n2"));
    assert_string_equal(text + strlen(text) - strlen("run 1\n"), "run 1\n");
    free(text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    unlink(path);
}

static void bad_places_are_refused(void **state)
{
    struct mu_err err = {0};
    struct mu_logger *lg = logger();
    int fds[2];

    assert_int_equal(mu_log_sink_file(lg, *state, MU_LOG_JSON, &err), MU_EIO);
    assert_int_equal(err.sys, EISDIR);
    assert_non_null(strstr(err.msg, *state));
    assert_int_equal(mu_log_sink_fd(lg, -1, false, MU_LOG_JSON, false, &err), MU_EINVAL);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(mu_log_sink_fd(lg, fds[0], true, MU_LOG_JSON, false, &err), MU_EINVAL);
    assert_int_equal(fcntl(fds[0], F_GETFD), 0); /* still the caller's */
    assert_false(mu_log_enabled(MU_ERROR));
    close(fds[0]);
    close(fds[1]);
    mu_logger_free(lg);
}

static void descriptors_are_closed_by_their_owner(void **state)
{
    for (int own = 0; own < 2; own++) {
        struct mu_logger *lg = logger();
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(mu_log_sink_fd(lg, fds[1], own, MU_LOG_JSON, false, NULL), 0);
        mu_logger_free(lg);
        assert_int_equal(fcntl(fds[1], F_GETFD), own ? -1 : 0);
        if (!own)
            close(fds[1]);
        close(fds[0]);
    }
    (void)state;
}

enum { PROCESSES = 3, LINES = 400 };

static void processes_share_a_file(void **state)
{
    pid_t pids[PROCESSES];
    unsigned next[PROCESSES] = {0};
    char path[128], *text, *save = NULL;

    snprintf(path, sizeof path, "%s/shared", (char *)*state);
    for (int who = 0; who < PROCESSES; who++) {
        pids[who] = fork();
        assert_true(pids[who] >= 0);
        if (pids[who] == 0) {
            struct mu_logger *lg;
            if (mu_logger_new(&lg, MU_INFO) != 0 || mu_log_sink_file(lg, path, MU_LOG_LOGFMT, NULL) != 0)
                _exit(1);
            mu_logger_use(lg);
            for (int i = 0; i < LINES; i++)
                mu_log(MU_INFO, "%d:%d:%0*d", who, i, 1 + i % 300, 7);
            _exit(0);
        }
    }
    for (int who = 0; who < PROCESSES; who++) {
        int status;
        assert_int_equal(waitpid(pids[who], &status, 0), pids[who]);
        assert_int_equal(status, 0);
    }
    text = read_file(path);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *event = strstr(line, " level=info event=");
        int who, i, used = 0;
        assert_memory_equal(line, "timestamp=2", 11);
        assert_non_null(event);
        assert_int_equal(sscanf(event, " level=info event=%d:%d:%n", &who, &i, &used), 2);
        assert_true(who >= 0 && who < PROCESSES);
        assert_int_equal(i, next[who]++);
        assert_int_equal(strlen(event + used), 1 + i % 300);
    }
    for (int who = 0; who < PROCESSES; who++)
        assert_int_equal(next[who], LINES);
    free(text);
    unlink(path);
}

struct reader {
    int fd;
    char *text;
    size_t len;
};

static sem_t waited; /* posted when the sink waits for room, which is when the reader begins */
static atomic_uint polls;

/* Instead of the C library's. */
int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    struct timespec ts = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};

    polls++;
    sem_post(&waited);
    return ppoll(fds, n, timeout_ms < 0 ? NULL : &ts, NULL);
}

static void *drain(void *arg)
{
    struct reader *r = arg;

    while (sem_wait(&waited) != 0)
        continue;
    r->text = read_all(r->fd, &r->len);
    return NULL;
}

/* A full pipe that somebody made non-blocking loses nothing. */
static void a_full_nonblocking_pipe_is_waited_for(void **state)
{
    static char big[300000];
    struct mu_logger *lg = logger();
    struct reader r = {0};
    pthread_t thread;
    int fds[2];
    size_t filled = 0;

    (void)state;
    assert_int_equal(sem_init(&waited, 0, 0), 0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(mu_log_sink_fd(lg, fds[1], true, MU_LOG_LOGFMT, false, NULL), 0);
    while (write(fds[1], "-", 1) == 1)
        filled++;
    assert_int_equal(errno, EAGAIN);
    memset(big, 'x', sizeof big);
    r.fd = fds[0];
    assert_int_equal(pthread_create(&thread, NULL, drain, &r), 0);
    mu_log_text(MU_INFO, NULL, 0, big, sizeof big);
    mu_log(MU_INFO, "last");
    mu_logger_free(lg);
    sem_post(&waited); /* should the sink not have waited, the reader ends all the same */
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fds[0]);
    assert_true(polls > 0);
    assert_int_equal(strspn(r.text, "-"), filled);
    assert_int_equal(strspn(strchr(r.text, 'x'), "x"), sizeof big);
    assert_string_equal(r.text + r.len - strlen(" event=last\n"), " event=last\n");
    free(r.text);
    sem_destroy(&waited);
}

/* Run fn with standard error going into a pipe; returns what it wrote there. */
static char *stderr_of(void (*fn)(void *arg), void *arg)
{
    int fds[2], saved = dup(STDERR_FILENO);
    size_t len;
    char *text;

    assert_int_equal(pipe(fds), 0);
    assert_true(saved >= 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    fn(arg);
    dup2(saved, STDERR_FILENO);
    close(saved);
    text = read_all(fds[0], &len);
    close(fds[0]);
    return text;
}

static void log_three(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        mu_log(MU_INFO, "line %d", i);
}

static void a_full_disk_is_said_once(void **state)
{
    struct mu_logger *lg = logger();
    int fds[2];
    char *text;

    (void)state;
    assert_int_equal(mu_log_sink_file(lg, "/dev/full", MU_LOG_CONSOLE, NULL), 0);
    text = stderr_of(log_three, NULL);
    assert_string_equal(text, "muster: log lines are lost: cannot write the log: No space left on device\n");
    free(text);
    mu_logger_free(lg);

    lg = logger(); /* nobody reads any more */
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_int_equal(mu_log_sink_fd(lg, fds[1], true, MU_LOG_CONSOLE, false, NULL), 0);
    text = stderr_of(log_three, NULL);
    assert_string_equal(text, "muster: log lines are lost: cannot write the log: Broken pipe\n");
    free(text);
    mu_logger_free(lg);
}

static void log_past_the_limit(void *arg)
{
    const struct rlimit *all = arg;
    struct rlimit some = *all;

    some.rlim_cur = 20; /* bytes: in the middle of the first line */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &some), 0);
    mu_log(MU_INFO, "torn");
    mu_log(MU_INFO, "lost");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, all), 0);
    mu_log(MU_INFO, "whole");
}

static void a_torn_line_does_not_spoil_the_next(void **state)
{
    struct mu_logger *lg = logger();
    struct rlimit all;
    char path[128], *text, *notice;

    snprintf(path, sizeof path, "%s/torn", (char *)*state);
    assert_int_equal(mu_log_sink_file(lg, path, MU_LOG_LOGFMT, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    notice = stderr_of(log_past_the_limit, &all);
    assert_string_equal(notice, "muster: log lines are lost: cannot write the log: File too large\n");
    text = read_file(path);
    assert_int_equal(strcspn(text, "\n"), 20);
    assert_memory_equal(text + 21, "timestamp=", 10);
    assert_string_equal(strchr(text + 21, ' '), " level=info event=whole\n");
    free(text);
    free(notice);
    mu_logger_free(lg);
    unlink(path);
}

/* What a terminal was sent since the last call. */
static void sent_is(int fd, const char *expected)
{
    char got[4096] = "";
    ssize_t n = read(fd, got, sizeof got - 1);

    assert_true(n >= 0 || errno == EAGAIN);
    assert_string_equal(got, expected);
}

static void a_status_stays_below_the_log(void **state)
{
    struct mu_logger *lg = logger();
    char path[128], *text;
    int fds[2];

    snprintf(path, sizeof path, "%s/beside", (char *)*state);
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    assert_int_equal(mu_log_sink_fd(lg, fds[1], false, MU_LOG_JSON, false, NULL), 0);
    assert_int_equal(mu_log_sink_file(lg, path, MU_LOG_JSON, NULL), 0);
    mu_logger_status(lg, "1 of 9", 6);
    sent_is(fds[0], "\r\033[?7l1 of 9\033[?7h\033[J\r");
    mu_logger_status(lg, "1 of 9", 6); /* the same: nothing is written */
    sent_is(fds[0], "");
    mu_logger_status(lg, "2 of 9", 6);
    sent_is(fds[0], "\r\033[?7l2 of 9\033[?7h\033[J\r");
    mu_log(MU_INFO, "x");
    char got[4096] = "";
    assert_true(read(fds[0], got, sizeof got - 1) > 0);
    assert_memory_equal(got, "\r\033[J{\"timestamp\":", 17);
    assert_string_equal(strstr(got, ",\"event\""), ",\"event\":\"x\"}\n\033[?7l2 of 9\033[?7h\r");
    mu_logger_status(lg, "", 0);
    sent_is(fds[0], "\r\033[J\r");
    mu_log(MU_INFO, "y");
    assert_true(read(fds[0], got, sizeof got - 1) > 0);
    assert_memory_equal(got, "{\"timestamp\":", 13);
    text = read_file(path); /* a file has lines alone */
    assert_null(strchr(text, '\r'));
    assert_null(strstr(text, "of 9"));
    free(text);
    mu_logger_free(lg);
    unlink(path);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_sink_appends),
        cmocka_unit_test(bad_places_are_refused),
        cmocka_unit_test(descriptors_are_closed_by_their_owner),
        cmocka_unit_test(processes_share_a_file),
        cmocka_unit_test(a_full_nonblocking_pipe_is_waited_for),
        cmocka_unit_test(a_full_disk_is_said_once),
        cmocka_unit_test(a_status_stays_below_the_log),
        cmocka_unit_test(a_torn_line_does_not_spoil_the_next),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
