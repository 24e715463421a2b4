/* A run whose servers are done by another crew: what it is told, what comes back, and that nothing else is different. */
#include "tests/unit/bindings/guest.h"

static const char ALL[] =
    "  before_all = function(fleet) return { n = #fleet } end,\n"
    "  after_all = function(results) print('after ' .. results.servers[4].status) end,\n"
    "  setup = function(server) server:claim { id = server.id } end,\n"
    "  steps = { { name = 's', thresholds = { score = { min = 1 } }, run = function(server)\n"
    "    local permit <close> = muster.semaphore('one', 1):acquire()\n"
    "    assert(muster.run.attempt == 1)\n"
    "    return muster.run.shared.n\n"
    "  end } },\n"
    "  teardown = function(server) server:release() end,\n";

static void another_crew_does_the_servers(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load(ALL);
    struct mu_run *run;
    (void)state;
    assert_int_equal(mu_server_set(servers[2], "threshold.s.score", ">= 5", NULL), 0);
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .db = db, .db_required = true}, script, 4);
    go(run);
    const struct mu_run_result *r = mu_run_results(run);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(r->tasks[i].status, i == 2 ? MU_ST_FAILED : MU_ST_PASSED); /* c's own threshold, wherever it sat */
        assert_int_equal(r->tasks[i].n_steps, 1);
        assert_true(r->tasks[i].finished);
        assert_false(r->tasks[i].left_behind);
    }
    assert_null(r->after_all);
    assert_said("after passed");
    assert_string_equal(g->story, "open begin end ");
    assert_int_equal(g->most, SEATS);
    assert_true(g->n_kept > 0);
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

static void forks_bound_it_too(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load("steps = { { name = 's', run = function() muster.sleep(0.01) end } }");
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew, .forks = 1}, script, 4);
    (void)state;
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[3].status, MU_ST_PASSED);
    assert_int_equal(g->most, 1);
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* Steps wait until this was seen. */
static void look(void *arg, const struct mu_progress_now *now)
{
    bool *seen = arg;
    assert_int_equal(now->total, 4);
    assert_true(now->waiting + now->running + now->done <= 4);
    assert_true(now->running <= SEATS);
    if (*seen || now->running != SEATS || now->waiting != 4 - SEATS)
        return;
    *seen = true;
    fclose(fopen(flag, "w"));
}

/* Without a bound all are dealt, and wait there: they are not at work before they say so. */
static void who_waits_elsewhere_is_not_at_work(void **state)
{
    struct guest *g = new_guest();
    bool seen = false;
    char text[256];
    (void)state;
    snprintf(text, sizeof text, "steps = { { name = 's', timeout = '60s', run = function()\n"
             "while not io.open('%s') do muster.sleep(0.005) end end } }", flag);
    struct mu_script *script = load(text);
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = look,
                                           .on_progress_arg = &seen},
                                 script, 4);
    g->room = 1000;
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[3].status, MU_ST_PASSED);
    assert_true(seen);
    assert_int_equal(g->most, SEATS);
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

static void one_that_cannot_ends_the_run_before_it_began(void **state)
{
    struct mu_script *script = load("steps = { { name = 's', run = function() end } }");
    struct mu_err err = {0};
    struct mu_run *run = NULL;
    (void)state;
    struct guest *g = new_guest();
    g->cannot_open = true;
    struct mu_run_config config = {.crew = &g->crew, .local = true, .state_dir = dir};
    assert_int_equal(mu_run_new(&run, &config, script, servers, 1, &mu_bindings, lg, &err), MU_EIO);
    assert_string_equal(err.msg, "nobody is there");
    assert_null(run);
    assert_string_equal(g->story, "open ");
    free_guest(g);

    g = new_guest();
    g->cannot_begin = true;
    config.crew = &g->crew;
    run = new_run(&config, script, 1);
    assert_int_equal(mu_run_go(run, &err), MU_EIO);
    assert_string_equal(err.msg, "nobody came");
    assert_string_equal(g->story, "open begin ");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* ---- interrupts ---- */

static void it_is_cancelled_and_waited_for(void **state)
{
    struct guest *g = new_guest();
    struct mu_run *run = NULL;
    struct mu_script *script = load("steps = { { name = 's', run = function() print('here') muster.sleep('1h') end } },\n"
                                    "teardown = function() muster.sleep(0.05) print('torn down') end");
    (void)state;
    g->room = 4; /* two of them wait */
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = interrupt_in_step,
                                           .on_progress_arg = &run},
                  script, 4);
    go(run);
    const struct mu_run_result *r = mu_run_results(run);
    assert_true(r->interrupted);
    assert_int_equal(r->signal, SIGTERM);
    for (int i = 0; i < 4; i++)
        assert_int_equal(r->tasks[i].status, MU_ST_CANCELLED);
    assert_true(r->tasks[0].finished && !r->tasks[3].finished);
    assert_said("torn down");
    assert_string_equal(g->story, "open begin cancel end ");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

static void one_that_says_no_more_is_killed_and_left(void **state)
{
    struct guest *g = new_guest();
    struct mu_run *run = NULL;
    struct mu_script *script = load("steps = { { name = 's', run = function() print('here') muster.sleep('1h') end } }");
    (void)state;
    g->keeps_quiet = true;
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = interrupt_twice,
                                           .on_progress_arg = &run}, script, 1);
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_CANCELLED);
    assert_string_equal(g->story, "open begin cancel kill end ");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* ---- a past of each seat's own ---- */

static void each_seat_has_its_own_past(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load("steps = { { name = 's', run = function() return 50 end, thresholds = { score = { history = { drop = 10 } } } } }");
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew}, script, 2);
    (void)state;
    g->pasts[0] = mu_past_new();
    for (int i = 0; i < 10; i++)
        assert_int_equal(mu_past_add(g->pasts[0], "a", "s", "score", 100, 10), 0);
    assert_int_equal(mu_past_settle(g->pasts[0]), 0);
    g->whys[1] = "nobody looked";
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_FAILED);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_said("b: s.score is not judged by earlier runs: nobody looked.");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* Seats alone: what a server's variables say goes with it. */
static void rules_of_seats_follow_who_sits_there(void **state)
{
    struct mu_server *seats[SEATS] = {NULL, NULL};
    struct mu_script *script = load("steps = { { name = 's', run = function() return 50 end, thresholds = { score = {\n"
                                    "  { where = { rack = 'r1' }, min = 3, unit = 'x' }, { min = 1, history = { drop = 10, last = 7 } } } } } }");
    struct mu_rules *rules = NULL;
    struct mu_err err = {0};
    unsigned last;
    (void)state;
    assert_int_equal(mu_server_set(servers[0], "threshold.s.score", ">= 9", &err), 0);
    assert_int_equal(mu_server_set(servers[0], "rack", "r1", &err), 0);
    assert_int_equal(mu_server_set(servers[1], "rack", "r1", &err), 0);
    assert_int_equal(mu_server_set(servers[3], "threshold.s.score", "about 9", &err), 0);
    assert_int_equal(mu_rules_new(&rules, script, seats, SEATS, &err), 0);
    assert_true(mu_rules_history(rules, &last) && last == 7);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 1);
    seats[0] = servers[0];
    assert_int_equal(mu_rules_seat(rules, 0, &err), 0);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 9);
    assert_string_equal(mu_rules_find(rules, 0, 0, "score")->unit, "x");
    assert_true(mu_rules_find(rules, 1, 0, "score")->min == 1);
    seats[0] = servers[1];
    assert_int_equal(mu_rules_seat(rules, 0, &err), 0);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 3);
    seats[0] = servers[3];
    assert_int_equal(mu_rules_seat(rules, 0, &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "server d: variable threshold.s.score"));
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 1);
    seats[0] = NULL;
    assert_int_equal(mu_rules_seat(rules, 0, &err), 0);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 1);
    mu_rules_free(rules);
    mu_script_free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_crew_does_the_servers, start, stop),
        cmocka_unit_test_setup_teardown(forks_bound_it_too, start, stop),
        cmocka_unit_test_setup_teardown(who_waits_elsewhere_is_not_at_work, start, stop),
        cmocka_unit_test_setup_teardown(one_that_cannot_ends_the_run_before_it_began, start, stop),
        cmocka_unit_test_setup_teardown(it_is_cancelled_and_waited_for, start, stop),
        cmocka_unit_test_setup_teardown(one_that_says_no_more_is_killed_and_left, start, stop),
        cmocka_unit_test_setup_teardown(each_seat_has_its_own_past, start, stop),
        cmocka_unit_test_setup_teardown(rules_of_seats_follow_who_sits_there, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
