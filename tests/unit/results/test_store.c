/* store.h: what was written says the same when it is read back; what cannot be used is refused in one line; no half result. */
#include "build.h"

#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_test.h"

/* ---- helpers ---- */

static struct mu_store *open_store(void)
{
    struct mu_store *s = NULL;
    struct mu_err err = {0};
    if (mu_store_open(&s, path, true, &err))
        fail_msg("%s", err.msg);
    return s;
}

static int say_server(void *arg, size_t i, struct mu_store_server *out)
{
    const struct mu_run_result *r = arg;
    static char text[256];
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"address\":\"10.0.0.%zu\"}", r->tasks[i].server_id, i);
    *out = (struct mu_store_server){.address = "10.0.0.1", .inventory = text};
    return 0;
}

static const struct mu_store_file files[] = {{"/s/cpu.lua", "aa", "return 1", 8}, {"/s/lib.lua", "bb", "x\0y", 3}};
static const struct mu_store_head head = {.script_path = "/s/cpu.lua", .files = files, .n_files = 2, .version = "0.1.0",
                                          .host = "ci", .owner = "ops@ci", .params = "{\"seconds\":3}", .thresholds = "{}",
                                          .options = "[\"-j3\"]"};

static void begin(struct mu_store *s, struct mu_run_result *r) { OK(mu_store_begin(s, r, &head, say_server, r, &why)); }

static struct mu_run_result *load(struct mu_store *s, const char *id)
{
    struct mu_run_result *r = NULL;
    struct mu_store_run run;
    OK(mu_store_find(s, id, &run, &why));
    OK(mu_store_load(s, &run, &r, &why));
    mu_store_run_clear(&run);
    return r;
}

typedef void report_fn(const struct mu_run_result *r, struct mu_buf *out);
static void summary(const struct mu_run_result *r, struct mu_buf *out) { mu_summary_write(r, true, out); }

static void same_in(report_fn *fn, const struct mu_run_result *a, const struct mu_run_result *b)
{
    struct mu_buf one = MU_BUF_INIT, other = MU_BUF_INIT;
    fn(a, &one);
    fn(b, &other);
    assert_true(one.len > 10);
    size_t at = 0;
    while (at < one.len && at < other.len && one.data[at] == other.data[at])
        at++;
    if (one.len != other.len || at < one.len)
        fail_msg("from byte %zu on: %.80s\n  is read as: %.80s", at, one.data + at, other.data + at);
    mu_buf_free(&one);
    mu_buf_free(&other);
}

static void same(const struct mu_run_result *a, const struct mu_run_result *b)
{
    same_in(summary, a, b);
    same_in(mu_report_json, a, b);
    same_in(mu_report_junit, a, b);
}

/* ---- a run with everything in it ---- */

static void fill_peers(struct mu_metric *m, enum mu_peers_state state)
{
    m->th.peers = (struct mu_peers){.on = true, .group_by = strdup("model"), .drop = {MU_AMOUNT_PERCENT, 10.1},
                                    .rise = {MU_AMOUNT_PLAIN, 1.0 / 3}, .min_cohort = 7};
    m->peers = (struct mu_peer_verdict){.state = state, .below = state == MU_PEERS_MISSED, .n = 48, .group = strdup("R650")};
    if (state == MU_PEERS_NOT_JUDGED)
        m->peers.note = strdup("fewer than 7 servers");
    if (state == MU_PEERS_PASSED || state == MU_PEERS_MISSED) {
        m->peers.median = 100.0 / 7;
        m->peers.noise = 1e-3;
    }
}

static void fill_rich(struct mu_run_result *r)
{
    struct mu_task_result *t = r->tasks;
    const double samples[] = {0.1, 1e300, 81, 1.0 / 3, -0.0};
    r->after_all = strdup("it did not work");
    r->marks.said = strdup("5%");
    r->marks.cap = 3;
    r->marks.candidates = 2;
    add_measured(&t[0], "cpu", "score", 20.123456789012345, ">= 50 events/s");
    add_measured(&t[0], "gpu", "fps", 81, "> 50, < 90 fps");
    add_measured(&t[0], "gpu", "nothing", 3, NULL);
    mu_buf_add(&t[0].steps[1].log, "out\0put\xff\033[31m", 13);
    t[0].steps[0].earlier = strdup("cpu.score 14 < 50");
    t[0].steps[0].measured = 2;
    struct mu_step_result *many = mu_step_result_new("many");
    struct mu_threshold th = {0};
    assert_int_equal(mu_threshold_parse(&th, ">= 0.1", NULL), 0);
    mu_step_result_add_samples(many, "latency", samples, 5, "ms", &th);
    mu_threshold_clear(&th);
    th = (struct mu_threshold){.has_reference = true, .reference = 100, .lower = {MU_AMOUNT_PERCENT, 10},
                               .upper = {MU_AMOUNT_PLAIN, 5.5}, .unit = strdup("MiB/s")};
    mu_threshold_settle(&th);
    mu_step_result_add_metric(many, "bandwidth", 99.9, NULL, &th);
    mu_step_result_add_metric(many, "odd", NAN, NULL, &th);
    mu_step_result_add_metric(many, "endless", INFINITY, "x", NULL);
    mu_threshold_clear(&th);
    mu_step_result_add_failure(many, MU_ST_ERROR, "ScriptError", NULL, "cause \xff", "message\nof two lines");
    mu_task_result_add_step_take(&t[0], many);
    enum mu_peers_state states[] = {MU_PEERS_NONE, MU_PEERS_PASSED, MU_PEERS_MISSED, MU_PEERS_NOT_JUDGED};
    for (size_t i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%zu", i);
        add_measured(&t[1], name, "score", 14.5, NULL);
        fill_peers(&t[1].steps[i].metrics[0], states[i]);
    }
    t[1].steps[2].metrics[0].judgement = MU_MISSED;
    t[1].steps[2].status = MU_ST_FAILED;
    t[1].mark.state = MU_MARK_MADE;
    mu_task_result_set_mark(&t[1], MU_MARK_MADE, "muster: too slow", NULL, 2);
    add_outside(&t[2], MU_ST_UNREACHABLE, "ConnectError", "connect", "connection refused");
    mu_task_result_add_unended(&t[2], "sleep 9");
    mu_task_result_add_unended(&t[2], "sleep 10");
    mu_task_result_set_mark(&t[2], MU_MARK_WITHHELD, "why", "interrupted", 0);
    t[2].left_behind = true;
    t[2].retries = 3;
    t[2].retried = 1;
    t[2].claim = strdup("{\"node\":\"n1\"}");
    struct mu_step_result *kept = mu_step_result_new("wipe");
    kept->withheld = true;
    kept->status = MU_ST_SKIPPED;
    mu_step_result_add_failure(kept, MU_ST_SKIPPED, NULL, NULL, MU_WITHHELD, MU_WITHHELD);
    mu_task_result_add_step_take(&t[3], kept);
    t[4].finished = t[4].dealt = false;
    t[4].started_ms = 0;
    settle_all(r);
}

static void comes_back_equal(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(6, "srv", 2);
    r->description = strdup("CPU \"x\"\nsecond");
    struct mu_store *s = open_store();
    begin(s, r);
    assert_true(mu_store_is_writing(s));
    fill_rich(r);
    OK(mu_store_end(s, r, &why));
    struct mu_run_result *live = load(s, r->run_id);
    same(r, live);
    mu_run_result_free(live);
    mu_store_close(s);
    s = open_store(); /* as another program would */
    live = load(s, "20231115");
    same(r, live);
    mu_run_result_free(live);
    mu_run_result_free(r);
    mu_store_close(s);
}

/* In pieces, as a run does it, with results that change after they were put. */
static void put_in_pieces(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    struct mu_store *s = open_store();
    begin(s, r);
    add_measured(&r->tasks[1], "cpu", "score", 14, ">= 50");
    mu_store_put(s, r, 1);
    OK(mu_store_commit(s, &why));
    add_measured(&r->tasks[1], "gpu", "fps", 60, ">= 50");
    add_measured(&r->tasks[0], "cpu", "score", 90, ">= 50");
    add_outside(&r->tasks[1], MU_ST_ERROR, NULL, "teardown", "gone");
    mu_store_put(s, r, 1);
    mu_store_put(s, r, 0);
    mu_store_note_worker(s, 0, 3);
    OK(mu_store_put_facts(s, 0, "{\"cpus\":4}", &why));
    OK(mu_store_put_pass(s, 0, "again", &r->tasks[1].steps[0], &why));
    OK(mu_store_commit(s, &why));
    struct mu_run_result *now = load(s, r->run_id);
    assert_int_equal(now->tasks[1].n_steps, 2);
    assert_int_equal(now->tasks[0].n_steps, 1); /* what is not settled is not the server's */
    mu_run_result_free(now);
    r->tasks[0].steps[0].metrics[0].value = 91; /* measured again */
    settle_all(r);
    OK(mu_store_final(s, r, 0, true, &why));
    OK(mu_store_final(s, r, 1, false, &why));
    OK(mu_store_commit(s, &why));
    mu_task_result_set_mark(&r->tasks[1], MU_MARK_KEPT, "r", "because", 1);
    add_measured(&r->tasks[2], "cpu", "score", 40, ">= 50");
    settle_all(r);
    OK(mu_store_end(s, r, &why));
    now = load(s, r->run_id);
    same(r, now);
    mu_run_result_free(now);
    mu_run_result_free(r);
    mu_store_close(s);
}

/* ---- older forms ---- */

static char *read_data(const char *name)
{
    struct mu_buf file = MU_BUF_INIT, text = MU_BUF_INIT;
    char chunk[4096];
    size_t n;
    mu_buf_add(&file, __FILE__, strlen(__FILE__) - strlen("unit/results/test_store.c"));
    mu_buf_addf(&file, "data/%s", name);
    FILE *f = fopen(mu_buf_cstr(&file), "r");
    if (!f)
        fail_msg("%s is not there", mu_buf_cstr(&file));
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        mu_buf_add(&text, chunk, n);
    fclose(f);
    mu_buf_free(&file);
    return mu_buf_take(&text);
}

static void sql(const char *text)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* A database as muster 0.1.0 made it, and the report that the run of then wrote: it says the same today. */
static void of_version_1(void **state)
{
    (void)state;
    char *dump = read_data("results-1.sql"), *report = read_data("results-1.json");
    struct mu_buf now = MU_BUF_INIT;
    sql(dump);
    struct mu_store *s = open_store();
    int version = 0;
    OK(mu_db_version(mu_store_db(s), &version, &why));
    assert_int_equal(version, MU_SCHEMA_VERSION);
    struct mu_run_result *r = load(s, "20261126T011424Z");
    mu_report_json(r, &now);
    assert_string_equal(mu_buf_cstr(&now), report);
    mu_run_result_free(r);
    mu_store_close(s);
    mu_buf_free(&now);
    free(dump);
    free(report);
}

/* ---- what was not committed is not there; a run that is not held was cut off ---- */

static void cut_off(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct mu_store *s = open_store();
        begin(s, r);
        add_measured(&r->tasks[0], "cpu", "score", 90, ">= 50");
        settle_all(r);
        mu_store_final(s, r, 0, false, NULL);
        mu_store_commit(s, NULL);
        add_measured(&r->tasks[1], "cpu", "score", 80, ">= 50");
        mu_store_put(s, r, 1);
        if (write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    struct mu_store *s = open_store();
    struct mu_store_run run;
    OK(mu_store_find(s, r->run_id, &run, &why));
    assert_int_equal(run.state, MU_STORE_RUNNING);
    struct mu_run_result *now = NULL;
    OK(mu_store_load(s, &run, &now, &why));
    assert_int_equal(now->tasks[1].n_steps, 0);
    bool anew[3] = {false, true, true};
    struct mu_err err = {0};
    struct mu_store *second = open_store();
    assert_int_equal(mu_store_resume(second, &run, now, anew, &err), MU_ESTATE);
    assert_non_null(strstr(err.msg, "still at work"));
    mu_store_close(second);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    mu_store_run_clear(&run);
    mu_run_result_free(now);
    OK(mu_store_find_last(s, NULL, true, &run, &why));
    assert_int_equal(run.state, MU_STORE_CUT_OFF);
    bool final[3] = {false};
    OK(mu_store_load_final(s, &run, final, &why));
    assert_true(final[0] && !final[1] && !final[2]);
    OK(mu_store_load(s, &run, &now, &why));
    OK(mu_store_resume(s, &run, now, anew, &why));
    for (size_t i = 1; i < 3; i++) {
        add_measured(&now->tasks[i], "cpu", "score", 70, ">= 50");
        now->tasks[i].finished = true;
        mu_task_result_settle(&now->tasks[i]);
        OK(mu_store_final(s, now, i, false, &why));
    }
    settle_all(now);
    OK(mu_store_end(s, now, &why));
    struct mu_run_result *end = load(s, r->run_id);
    same(now, end);
    assert_int_equal(end->tasks[0].n_steps + end->tasks[1].n_steps + end->tasks[2].n_steps, 3);
    mu_run_result_free(end);
    mu_run_result_free(now);
    mu_run_result_free(r);
    mu_store_run_clear(&run);
    assert_int_equal(mu_store_find_last(s, NULL, true, &run, NULL), MU_ENOENT);
    mu_store_close(s);
}

/* ---- what cannot be used ---- */

static void refused(bool create, int code, const char *why)
{
    struct mu_store *s = NULL;
    struct mu_err err = {0};
    assert_int_equal(mu_store_open(&s, path, create, &err), code);
    if (!strstr(err.msg, why) || !strstr(err.msg, path))
        fail_msg("'%s' does not say '%s' and where", err.msg, why);
}

static void refuses(void **state)
{
    (void)state;
    refused(false, MU_ENOENT, "no such file");
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is a letter\n", f);
    fclose(f);
    refused(true, MU_EINVAL, "no database");
    unlink(path);
    sql("CREATE TABLE t (x)");
    refused(true, MU_EINVAL, "another program");
    unlink(path);
    mu_store_close(open_store());
    sql("PRAGMA user_version = 1000");
    refused(true, MU_EINVAL, "newer muster");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    refused(true, MU_EIO, "cannot be made");
    rmdir(path);
    snprintf(path, sizeof path, "%s/none/results.db", dir);
    refused(true, MU_EIO, "No such file");
}

static void damaged(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(200, "srv", 3);
    struct mu_store *s = open_store();
    begin(s, r);
    mu_store_close(s);
    mu_run_result_free(r);
    int fd = open(path, O_RDWR);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size > 8 * 4096);
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    for (off_t at = 4096; at + 4096 <= st.st_size; at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    close(fd);
    refused(true, MU_EIO, "damaged");
}

static void for_this_user_alone(void **state)
{
    (void)state;
    struct stat st;
    mu_store_close(open_store());
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Its own lines once, then silence: the run goes on. */
static void trouble_is_told_once(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_store *s = open_store();
    struct mu_err err = {0};
    begin(s, r);
    sql("DROP TABLE failures");
    add_measured(&r->tasks[0], "cpu", "score", 14, ">= 50");
    mu_store_put(s, r, 0);
    assert_int_equal(mu_store_commit(s, &err), MU_EIO);
    assert_non_null(strstr(err.msg, "failures"));
    assert_false(mu_store_is_writing(s));
    mu_store_put(s, r, 0);
    assert_false(mu_store_has_put(s));
    OK(mu_store_commit(s, &why));
    OK(mu_store_end(s, r, &why));
    struct mu_query *q = NULL;
    OK(mu_query_new(&q, mu_store_db(s), "SELECT count(*) FROM steps", &why));
    assert_int_equal(mu_query_step(q, NULL), 1);
    assert_int_equal(mu_query_get_int(q, 0), 0); /* no half result */
    mu_query_free(q);
    mu_run_result_free(r);
    mu_store_close(s);
}

static void finds(void **state)
{
    (void)state;
    struct mu_store_run run;
    struct mu_run_result *r = make_run(1, "srv", 2);
    for (int i = 0; i < 3; i++) {
        struct mu_store *s = open_store();
        snprintf(r->run_id, strlen(r->run_id) + 1, "2023111%d-%s", i, i == 1 ? "b" : "a");
        begin(s, r);
        settle_all(r);
        OK(mu_store_end(s, r, &why));
        mu_store_close(s);
    }
    struct mu_store *s = open_store();
    struct mu_err err = {0};
    assert_int_equal(mu_store_find(s, "2023111", &run, &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "several"));
    assert_int_equal(mu_store_find(s, "2024", &run, &err), MU_ENOENT);
    assert_int_equal(mu_store_find(s, "2%", &run, &err), MU_EINVAL);
    OK(mu_store_find(s, "20231111", &run, &why));
    assert_string_equal(run.run_id, "20231111-b");
    assert_string_equal(run.options, "[\"-j3\"]");
    assert_string_equal(run.source, "aa");
    assert_int_equal(run.state, MU_STORE_FINISHED);
    assert_int_equal(run.exit_code, 0);
    char *text = NULL;
    size_t len = 0;
    OK(mu_store_load_inventory(s, &run, 0, &text, &why));
    assert_string_equal(text, "{\"id\":\"srv01\",\"address\":\"10.0.0.0\"}");
    free(text);
    OK(mu_store_load_source(s, "bb", &text, &len, &why));
    assert_int_equal(len, 3);
    assert_memory_equal(text, "x\0y", 3);
    free(text);
    mu_store_run_clear(&run);
    OK(mu_store_find_last(s, "/s/cpu.lua", false, &run, &why));
    assert_string_equal(run.run_id, "20231112-a");
    mu_store_run_clear(&run);
    assert_int_equal(mu_store_find_last(s, "/s/other.lua", false, &run, &err), MU_ENOENT);
    mu_store_close(s);
    mu_run_result_free(r);
}

int main(void)
{
#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(comes_back_equal), EACH(put_in_pieces), EACH(of_version_1), EACH(cut_off), EACH(refuses), EACH(damaged),
        EACH(for_this_user_alone), EACH(trouble_is_told_once), EACH(finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
