/* judge.h: a report put before another program, which is not ours and so does not share our mistakes. */
#ifndef TEST_RESULTS_JUDGE_H
#define TEST_RESULTS_JUDGE_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build.h"

static char judge_dir[] = "/tmp/muster-report-XXXXXX";
static char judge_report[64], judge_answer[64];

static int judge_setup(void **state)
{
    (void)state;
    if (!mkdtemp(judge_dir))
        return -1;
    snprintf(judge_report, sizeof(judge_report), "%s/report", judge_dir);
    snprintf(judge_answer, sizeof(judge_answer), "%s/answer", judge_dir);
    return 0;
}

static int judge_teardown(void **state)
{
    (void)state;
    unlink(judge_report);
    unlink(judge_answer);
    return rmdir(judge_dir);
}

/* Settle, write one report into judge_report. */
UNUSED static void judge_write(struct mu_run_result *r, void (*write)(const struct mu_run_result *, struct mu_buf *))
{
    struct mu_buf out = MU_BUF_INIT;
    settle_all(r);
    write(r, &out);
    assert_false(out.failed);
    FILE *f = fopen(judge_report, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(out.data, 1, out.len, f), out.len);
    assert_int_equal(fclose(f), 0);
    mu_buf_free(&out);
}

/* Run a program; its exit status. What it says on both streams, without the last newlines, is in said. */
static int judge_run(const char *const argv[], const char *package, char *said, size_t size)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, judge_answer, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    int rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc)
        fail_msg("%s (package %s): %s", argv[0], package, strerror(rc));
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);

    FILE *f = fopen(judge_answer, "r");
    assert_non_null(f);
    size_t n = fread(said, 1, size - 1, f);
    fclose(f);
    while (n && said[n - 1] == '\n')
        n--;
    said[n] = '\0';
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
