/* Real runs, results kept and all, whose servers are done by agents that are made by hand, in threads of their own. */
#include "tests/unit/agents/hands.h"

#include <pthread.h>
#include <stdatomic.h>

#include "results/summary.h"
#include "run/former.h"

/* ---- an agent in a thread ---- */

struct thread {
    pthread_t thread;
    struct play *p;
    const char *id;
    unsigned wants;
    bool pairs;
    _Atomic(int) up, over; /* it is there; it is to leave */
    size_t n_jobs, n_kept;
};

static void *live(void *arg)
{
    struct thread *t = arg;
    struct bed b = {0};
    struct play p = {.b = &b, .any_run = true};
    struct mu_err err;

    snprintf(b.url, sizeof b.url, "%s", t->p->b->url);
    b.n = t->p->b->n; /* for what any thread may do */
    if (mu_loop_new(&b.loop, &err))
        abort();
    struct hand *h = hand_up(&p, t->id, NULL, t->wants, true, 0);
    h->pairs = t->pairs;
    struct mu_timer *tick = mu_timer_new(b.loop, nothing, NULL);
    atomic_store(&t->up, 1);
    while (!atomic_load(&t->over)) {
        mu_timer_start(tick, NULL, 20);
        mu_loop_turn(b.loop, true);
    }
    t->n_jobs = h->n_jobs;
    t->n_kept = h->n_kept;
    mu_timer_free(tick);
    hand_down(h);
    mu_loop_free(b.loop);
    return NULL;
}

static void thread_up(struct thread *t, struct play *p)
{
    t->p = p;
    assert_int_equal(pthread_create(&t->thread, NULL, live, t), 0);
    while (!atomic_load(&t->up))
        pause_ms(2);
}

static void thread_down(struct thread *t)
{
    atomic_store(&t->over, 1);
    pthread_join(t->thread, NULL);
}

/* ---- runs ---- */

static const char *db(struct play *p) { return in_dir(p->b, "runs.db"); }

static struct mu_run *run_of(struct play *p, size_t n, struct mu_former *former)
{
    struct mu_run *run = NULL;
    struct mu_err err = {0};
    char store[256], state[256];

    snprintf(store, sizeof store, "%s", db(p));
    snprintf(state, sizeof state, "%s", in_dir(p->b, "state"));
    p->spread.nats.urls = p->b->url;
    p->spread.library_dir = MUSTER_SOURCE "/scripts/lib";
    assert_int_equal(mu_spread_new(&p->crew, &p->spread, &err), 0);
    p->config = (struct mu_run_config){.crew = p->crew, .db = store, .db_required = true, .state_dir = state, .former = former,
                                       .library_dir = MUSTER_SOURCE "/scripts/lib", .max_broken = "100%", .grace_ms = 5000,
                                       .on_done = p->config.on_done, .on_done_arg = p->config.on_done_arg};
    if (mu_run_new(&run, &p->config, p->script, p->servers, n, &mu_bindings, p->lg, &err))
        fail_msg("%s", err.msg);
    return run;
}

static void go(struct mu_run *run)
{
    struct mu_err err = {0};

    if (mu_run_go(run, &err))
        fail_msg("%s", err.msg);
}

static void run_free(struct play *p, struct mu_run *run)
{
    mu_spread_free(p->crew);
    p->crew = NULL;
    assert_true(mu_run_free(run));
}

static void use_script(struct play *p, const char *text)
{
    char path[256];
    struct mu_err err;

    mu_script_free(p->script);
    write_file(p->b, "script.lua", text);
    snprintf(path, sizeof path, "%s", in_dir(p->b, "script.lua"));
    if (mu_script_load(&p->script, path, MUSTER_SOURCE "/scripts/lib", &mu_bindings, p->lg, &err))
        fail_msg("%s", err.msg);
}

static void assert_all(struct mu_run *run, size_t n, enum mu_status status)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(mu_run_results(run)->tasks[i].status, status);
        assert_int_equal(mu_run_results(run)->tasks[i].n_steps, 1);
        assert_true(mu_run_results(run)->tasks[i].finished && mu_run_results(run)->tasks[i].started_ms);
    }
}

static void a_run_is_done_by_two_agents(void **state)
{
    struct play *p = play_up(state, 1000);
    struct thread t[2] = {{.id = "h1-aaaaaa", .wants = 2000}, {.id = "h2-bbbbbb", .wants = 2000}};

    thread_up(&t[0], p);
    thread_up(&t[1], p);
    struct mu_run *run = run_of(p, 1000, NULL);
    go(run);
    assert_all(run, 1000, MU_ST_PASSED);
    assert_int_equal(times_said("|Server finished."), 1000); /* the last ones, too */
    assert_int_equal(n_tasks(p), 0);
    run_free(p, run);
    thread_down(&t[0]);
    thread_down(&t[1]);
    assert_int_equal(t[0].n_jobs + t[1].n_jobs, 1000);
    assert_int_equal(t[0].n_kept + t[1].n_kept, 1000);
}

static void marks_follow(void **state)
{
    struct play *p = play_up(state, 60);
    struct thread t = {.id = "h1-aaaaaa", .wants = 2000};

    use_script(p, "return { steps = { { name = 'a', run = function() end } }, mark = function() end }\n");
    fails = true;
    thread_up(&t, p);
    struct mu_run *run = run_of(p, 60, NULL);
    go(run);
    fails = false;
    assert_all(run, 60, MU_ST_FAILED);
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(mu_run_results(run)->tasks[i].mark.state, MU_MARK_MADE);
    run_free(p, run);
    thread_down(&t);
    assert_int_equal(t.n_jobs, 120);
}

static void pairs_are_done_by_one_agent_each(void **state)
{
    struct play *p = play_up(state, 21);
    struct thread t = {.id = "h1-aaaaaa", .wants = 2000, .pairs = true};

    use_script(p, "return { steps = { { name = 'a', pair = true, run = function() end } } }\n");
    thread_up(&t, p);
    struct mu_run *run = run_of(p, 21, NULL);
    go(run);
    assert_all(run, 21, MU_ST_PASSED);
    run_free(p, run);
    thread_down(&t);
    assert_int_equal(t.n_jobs, 21 + 11); /* one helps twice */
}

static struct mu_run *running;
static void interrupt_after_100(void *arg, const struct mu_task_result *task, size_t done, size_t total)
{
    (void)arg, (void)task, (void)total;
    if (done == 100)
        mu_run_interrupt(running, SIGTERM);
}

static void an_interrupted_run_is_gone_on_with(void **state)
{
    struct play *p = play_up(state, 300);
    struct thread t = {.id = "h1-aaaaaa", .wants = 100}, more = {.id = "h2-bbbbbb", .wants = 1000};
    struct mu_former *former = NULL;
    struct mu_err err = {0};

    thread_up(&t, p);
    p->config.on_done = interrupt_after_100;
    running = run_of(p, 300, NULL);
    go(running);
    assert_true(mu_run_results(running)->interrupted);
    for (size_t i = 0, n = 0; i < 300; i++) {
        n += mu_run_results(running)->tasks[i].status == MU_ST_PASSED;
        assert_true(i < 299 || n == 100);
    }
    assert_int_equal(n_tasks(p), 0);
    run_free(p, running);
    p->config.on_done = NULL;
    if (mu_former_open(&former, db(p), NULL, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(former->n_anew, 200);
    thread_up(&more, p);
    struct mu_run *run = run_of(p, 300, former);
    go(run);
    assert_all(run, 300, MU_ST_PASSED);
    run_free(p, run);
    thread_down(&t);
    thread_down(&more);
    assert_int_equal(t.n_jobs, 100);
    assert_int_equal(more.n_jobs, 200);
}

static void what_is_wrong_ends_the_run_before_it_began(void **state)
{
    struct play *p = play_up(state, 2);
    struct mu_run *run = NULL;
    struct mu_err err = {0};

    p->spread.nats.urls = p->b->url;
    assert_int_equal(mu_spread_new(&p->crew, &p->spread, &err), 0);
    p->config = (struct mu_run_config){.crew = p->crew};
    assert_int_equal(mu_run_new(&run, &p->config, p->script, p->servers, 2, &mu_bindings, p->lg, &err), MU_ENOENT);
    assert_non_null(strstr(err.msg, "no agent answers"));
    mu_spread_free(p->crew);
    p->crew = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_done_by_two_agents, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(marks_follow, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(pairs_are_done_by_one_agent_each, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(an_interrupted_run_is_gone_on_with, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_ends_the_run_before_it_began, bed_setup, play_down),
    };
    return cmocka_run_group_tests_name("spread_run", tests, NULL, NULL);
}
