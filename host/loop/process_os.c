#include "loop/process_os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
/* libuv closes the descriptors it makes while spawning by a bare system call, which ThreadSanitizer does not see: the next
 * thread that is given the same number seems to race with it. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) { return "race:uv_pipe\n"; }
#endif

static size_t name_len(const char *entry)
{
    return strcspn(entry, "=");
}

/* Whether one of the additions from i on names the same variable. */
static bool overridden(const char *entry, const char *const *additions, size_t i)
{
    size_t len = name_len(entry);

    for (; additions[i]; i++)
        if (name_len(additions[i]) == len && memcmp(additions[i], entry, len) == 0)
            return true;
    return false;
}

int mu_process_env(char ***out, const char *const *additions, struct mu_err *err)
{
    static const char *const none[] = {NULL};
    size_t n_environ = 0, n_additions = 0, n = 0;
    char **env;

    *out = NULL;
    if (!additions)
        additions = none;
    for (; additions[n_additions]; n_additions++)
        if (!strchr(additions[n_additions], '=') || additions[n_additions][0] == '=')
            return mu_err_set(err, MU_EINVAL, "environment entry \"%.100s\" is not of the form NAME=value",
                              additions[n_additions]);
    while (environ && environ[n_environ])
        n_environ++;
    env = calloc(n_environ + n_additions + 1, sizeof(*env));
    if (!env)
        goto no_memory;
    for (size_t i = 0; i < n_environ; i++) {
        if (overridden(environ[i], additions, 0))
            continue;
        env[n] = strdup(environ[i]);
        if (!env[n++])
            goto no_memory;
    }
    for (size_t i = 0; i < n_additions; i++) {
        if (overridden(additions[i], additions, i + 1)) /* the last one counts */
            continue;
        env[n] = strdup(additions[i]);
        if (!env[n++])
            goto no_memory;
    }
    *out = env;
    return 0;
no_memory:
    mu_process_env_free(env);
    return mu_err_set(err, MU_ENOMEM, "cannot build a command's environment: out of memory");
}

void mu_process_env_free(char **env)
{
    for (size_t i = 0; env && env[i]; i++)
        free(env[i]);
    free(env);
}

/* Nothing but the three streams may reach the command, not even descriptors that a library opened without O_CLOEXEC: a
 * background child of it would hold them for as long as it lives. */
static void close_others_on_exec(void)
{
    struct dirent *entry;
    DIR *dir;

    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    dir = opendir("/proc/self/fd"); /* a kernel before 5.11 */
    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        int fd = atoi(entry->d_name);

        if (fd > 2)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    closedir(dir);
}

static void close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

int mu_process_spawn_on(uv_loop_t *loop, uv_process_t *handle, uv_exit_cb on_exit, const char *command, char **env,
                        const int theirs[3], struct mu_err *err)
{
    char arg0[] = "sh", arg1[] = "-c", arg2[] = "--";
    char *args[] = {arg0, arg1, arg2, (char *)(uintptr_t)command, NULL}; /* libuv and exec change none */
    uv_stdio_container_t stdio[3];
    uv_process_options_t options = {.exit_cb = on_exit,
                                    .file = "/bin/sh",
                                    .args = args,
                                    .env = env,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 3,
                                    .stdio = stdio};
    sigset_t sigchld;
    int status;

    for (int i = 0; i < 3; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = theirs[i];
    }
    close_others_on_exec();
    /* libuv hears of the end by SIGCHLD; worker threads are often made with all signals blocked, and so may be the rest */
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    pthread_sigmask(SIG_UNBLOCK, &sigchld, NULL);
    /* libuv's child resets every signal to its default and empties the signal mask before exec */
    status = uv_spawn(loop, handle, &options);
    if (status == 0)
        return 0;
    return mu_err_sys(err, status == UV_ENOMEM ? MU_ENOMEM : MU_EIO, -status, "cannot start a local command with /bin/sh");
}

int mu_process_spawn(uv_loop_t *loop, uv_process_t *handle, uv_exit_cb on_exit, const char *command, char **env,
                     int fds[3], struct mu_err *err)
{
    int theirs[3] = {-1, -1, -1}, rc = 0;

    fds[0] = fds[1] = fds[2] = -1;
    /* Pipes, not the socket pairs that libuv would make: /dev/stdin and /dev/stderr cannot be opened on a socket. */
    for (int i = 0; i < 3 && !rc; i++) {
        int ends[2];
        int ours = i == 0 ? 1 : 0;

        if (pipe2(ends, O_CLOEXEC)) {
            rc = mu_err_sys(err, MU_EIO, errno, "cannot start a local command with /bin/sh");
            break;
        }
        fds[i] = ends[ours];
        theirs[i] = ends[!ours];
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    if (!rc)
        rc = mu_process_spawn_on(loop, handle, on_exit, command, env, theirs, err);
    close_all(theirs, 3);
    if (rc)
        close_all(fds, 3);
    return rc;
}

/* The group and state of a process from /proc/PID/stat: "1 (name) S 0 1 …", where the name may hold anything. */
static bool is_live_member(const char *pid, long pgid, bool *member)
{
    char path[64], text[1024];
    const char *after_name;
    long group, threads;
    char state;
    ssize_t n;
    int fd;

    *member = false;
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1, " %c %*d %ld %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld",
                              &state, &group, &threads) != 3)
        return false;
    *member = group == pgid;
    /* a process whose first thread has ended looks like a zombie too, but has threads left */
    return *member && state != 'X' && (state != 'Z' || threads > 1);
}

bool mu_process_group_alive(long pgid)
{
    bool live = false, seen = false;
    struct dirent *entry;
    DIR *dir;

    if (kill((pid_t)-pgid, 0) && errno == ESRCH)
        return false;
    /* Something is there. In a container whose first process reaps nothing, that may be zombies for ever. */
    dir = opendir("/proc");
    if (!dir)
        return true;
    while (!live && (entry = readdir(dir))) {
        bool member = false;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        live = is_live_member(entry->d_name, pgid, &member);
        seen = seen || member;
    }
    closedir(dir);
    return live || !seen; /* none seen: /proc hides them, or they went just now; the caller asks again */
}

ssize_t mu_process_write(int fd, const void *bytes, size_t n)
{
    const struct timespec at_once = {0};
    sigset_t sigpipe, former, pending;
    bool was_pending;
    ssize_t written;
    int saved;

    /* For this thread and this call only: the disposition belongs to whoever embeds us. */
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    sigemptyset(&pending);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe, &former);
    written = write(fd, bytes, n);
    saved = errno;
    if (written < 0 && saved == EPIPE && !was_pending)
        while (sigtimedwait(&sigpipe, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    errno = saved;
    return written;
}

void mu_process_signal_name(int signum, char *out, size_t size)
{
    const char *name = sigabbrev_np(signum);

    if (name)
        snprintf(out, size, "%s", name);
    else if (signum >= SIGRTMIN && signum <= SIGRTMAX)
        snprintf(out, size, "RTMIN+%d", signum - SIGRTMIN);
    else
        snprintf(out, size, "%d", signum);
}
