/* measure: run a program and append what it cost to a file, one line of JSON; ends with the program's exit code.
 *
 *   measure FILE PROGRAM [ARGUMENT...]
 *
 * From outside and for every program alike: CPU of the whole process from exec to exit, children that it waited for
 * included. A signal that would end this program is handed on to the other.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t child;

static void hand_on(int signal)
{
    if (child > 0)
        kill((pid_t)child, signal);
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

int main(int argc, char **argv)
{
    const int handed[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = hand_on};
    struct timespec start, end;
    struct rusage use;
    int status;
    pid_t pid;
    FILE *out;

    if (argc < 3) {
        fprintf(stderr, "usage: measure FILE PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execvp(argv[2], argv + 2);
        fprintf(stderr, "measure: %s: %s\n", argv[2], strerror(errno));
        _exit(127);
    }
    child = pid;
    for (size_t i = 0; i < sizeof handed / sizeof handed[0]; i++)
        sigaction(handed[i], &action, NULL);
    while (pid > 0 && wait4(pid, &status, 0, &use) < 0 && errno == EINTR)
        continue;
    clock_gettime(CLOCK_MONOTONIC, &end);
    out = pid > 0 ? fopen(argv[1], "ae") : NULL;
    if (!out) {
        fprintf(stderr, "measure: %s: %s\n", pid > 0 ? argv[1] : "fork", strerror(errno));
        return 2;
    }
    status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(out, "{\"status\":%d,\"user_s\":%.6f,\"sys_s\":%.6f,\"cpu_s\":%.6f,\"wall_s\":%.6f,\"max_rss_kb\":%ld}\n", status,
            seconds(use.ru_utime), seconds(use.ru_stime), seconds(use.ru_utime) + seconds(use.ru_stime),
            (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9, use.ru_maxrss);
    return fclose(out) ? 2 : status;
}
