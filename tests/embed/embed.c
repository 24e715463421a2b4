/* embed SCRIPT N: the engine in a program of its own: N servers made up here, the log counted by a sink of its own, and
 * the results read through the API. */
#include <muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void count_server_lines(void *arg, enum muster_level level, int64_t wall_ms, const char *message,
                               const struct muster_field *fields, size_t n_fields)
{
    (void)level, (void)wall_ms;
    for (size_t i = 0; i < n_fields; i++)
        *(unsigned *)arg += strcmp(message, "counting") == 0 && strcmp(fields[i].key, "server_id") == 0;
}

static void print_metric(const struct muster_run *run, size_t i, size_t s, size_t k)
{
    struct muster_step_result step;
    struct muster_metric_result metric;
    double sample;

    muster_run_step(run, i, s, &step);
    muster_run_metric(run, i, s, k, &metric);
    printf(" %s.%s=%g%s", step.name, metric.name, metric.value, metric.judged && !metric.passed ? "!" : "");
    for (size_t n = 0; muster_run_sample(run, i, s, k, n, &sample) == 0; n++)
        printf("%s%g%s", n ? "," : "[", sample, n + 1 == metric.n_samples ? "]" : "");
}

static void print_result(const struct muster_run *run, size_t i)
{
    struct muster_server_result server;
    struct muster_step_result step;
    struct muster_metric_result metric;

    muster_run_server(run, i, &server);
    printf("%s %s", server.id, server.status);
    for (size_t s = 0; muster_run_step(run, i, s, &step) == 0; s++)
        for (size_t k = 0; muster_run_metric(run, i, s, k, &metric) == 0; k++)
            print_metric(run, i, s, k);
    printf("%s%s", server.reason[0] ? " " : "", server.reason);
    if (strcmp(server.mark, "none") != 0)
        printf(" (mark %s: %s)", server.mark, server.mark_reason);
    putchar('\n');
}

/* How far it is, asked for whenever a server is done. */
struct watcher {
    struct muster_run *run;
    unsigned told, wrong;
};

static void ask(void *arg, const char *server_id, const char *status, size_t done, size_t total)
{
    (void)server_id, (void)status, (void)done, (void)total;
    muster_run_ask_progress(((struct watcher *)arg)->run);
}

static void watch(void *arg, struct muster_run *run, const struct muster_progress *p)
{
    struct watcher *w = arg;
    struct muster_where where;
    size_t at_work = 0;

    for (size_t i = 0; i < p->total; i++)
        at_work += muster_run_where(run, i, &where) == 0 && where.server_id && where.doing;
    w->told++;
    w->wrong += run != w->run || p->done + p->waiting > p->total || p->failed > p->done || at_work > p->total ||
                muster_run_where(run, p->total, &where) >= 0 || strncmp(muster_run_at_work(run, 1), "At work on ", 11) != 0;
}

int main(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_run_options run_options = MUSTER_RUN_OPTIONS_INIT;
    struct muster *m = NULL;
    struct muster_script *script = NULL;
    struct muster_run *run = NULL;
    struct muster_error err = {0, "usage: embed SCRIPT N"};
    struct watcher watcher = {NULL, 0, 0};
    unsigned lines = 0;
    int code = 2;
    char id[32];

    if (argc != 3 || muster_new(&m, &options, &err) < 0 || muster_log_to(m, count_server_lines, &lines, &err) < 0)
        goto out;
    for (int i = 0; i < atoi(argv[2]); i++) {
        snprintf(id, sizeof id, "s%d", i);
        if (muster_server_add(m, id, "127.0.0.1", &err) < 0)
            goto out;
    }
    run_options.local = true;
    run_options.max_broken = "2";
    run_options.on_server_done = ask;
    run_options.on_progress = watch;
    run_options.on_server_done_arg = run_options.on_progress_arg = &watcher;
    if (muster_script_load(m, argv[1], &script, &err) < 0 || muster_run_new(m, script, &run_options, &run, &err) < 0)
        goto out;
    watcher.run = run;
    if (muster_run_start(run, &err) < 0)
        goto out;
    for (size_t i = 0; i < muster_run_server_count(run); i++)
        print_result(run, i);
    printf("log lines: %u\n", lines);
    if (!watcher.told || watcher.wrong)
        printf("progress: told %u times, %u times wrong\n", watcher.told, watcher.wrong);
    code = muster_run_exit_code(run);
out:
    if (code == 2)
        fprintf(stderr, "embed: %s\n", err.message);
    muster_run_free(run);
    muster_script_free(script);
    muster_free(m);
    return code;
}
