/* What an earlier attempt, or a run that died, left claimed: it is destroyed first, and known at every moment. */
#include "tests/unit/bindings/guest.h"

/* ---- what an earlier attempt left behind ---- */

static const char AGAIN[] =
    "  params = { fail = false },\n"
    "  setup = function(server) print('setup ' .. muster.run.attempt) assert(not server:claimed()) server:claim { old = false } end,\n"
    "  steps = { { name = 's', run = function() print('here') return 1 end } },\n"
    "  on_failure = function() print('on_failure') end,\n"
    "  teardown = function(server, params)\n"
    "    print('teardown ' .. tostring(server:claimed().old))\n"
    "    if params.fail then error('the provisioner is down') end\n"
    "    server:release()\n"
    "  end,\n";

static void what_was_left_behind_is_destroyed_first(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load(AGAIN);
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew}, script, 1);
    (void)state;
    g->claimed_before = true;
    g->attempt = 2;
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_PASSED);
    assert_false(mu_run_results(run)->tasks[0].left_behind);
    assert_string_equal(mu_buf_cstr(&said), "a: Started.\na: Destroying what an earlier attempt left behind.\na: teardown true\na: setup 2\n"
                                            "a: here\na: s.score is 1.\na: teardown false\n");
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

static void when_that_fails_nothing_else_is_done(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load(AGAIN);
    struct mu_run *run;
    struct mu_err err;
    (void)state;
    assert_int_equal(mu_script_set_param(script, "fail", "true", &err), 0);
    run = new_run(&(struct mu_run_config){.crew = &g->crew}, script, 1);
    g->claimed_before = true;
    go(run);
    const struct mu_task_result *t = &mu_run_results(run)->tasks[0];
    assert_int_equal(t->status, MU_ST_ERROR);
    assert_true(t->left_behind);
    assert_string_equal(t->claim, "{\"old\":true}");
    assert_int_equal(t->n_failures, 1);
    assert_string_equal(t->failures[0].where, "teardown");
    assert_int_equal(t->n_steps, 1);
    assert_int_equal(t->steps[0].status, MU_ST_SKIPPED);
    assert_false(was_said("setup") || was_said("on_failure") || was_said("here"));
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 1);
    mu_script_free(script);
}

/* Interrupted meanwhile: it is destroyed all the same, and nothing is set up. */
static void an_interrupt_lets_it_be_destroyed(void **state)
{
    struct guest *g = new_guest();
    struct mu_run *run = NULL;
    char text[512];
    (void)state;
    snprintf(text, sizeof text, "setup = function() print('setup') end,\n"
             "steps = { { name = 's', run = function() end } },\n"
             "teardown = function(server) print('here') while not io.open('%s') do muster.sleep(0.005) end\n"
             "server:release() print('destroyed') end", flag);
    struct mu_script *script = load(text);
    g->claimed_before = true;
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = interrupt_and_say_so,
                                           .on_progress_arg = &run},
                  script, 1);
    go(run);
    assert_string_equal(g->story, "open begin cancel end ");
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_CANCELLED);
    assert_false(mu_run_results(run)->tasks[0].left_behind);
    assert_said("destroyed");
    assert_false(was_said("setup"));
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* A teardown that does not reach the former system, and does not mind, keeps nobody from installing the next. */
static void who_could_not_be_reached_before_may_be_now(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load("setup = function(server) server:claim {} end,\n"
                                    "steps = { { name = 's', run = function(server) return 1 end } },\n"
                                    "teardown = function(server)\n"
                                    "  local ok, why = pcall(server.exec, server, 'true')\n"
                                    "  print(tostring(ok) .. ' ' .. why.type)\n"
                                    "  server:release()\n"
                                    "end");
    (void)state;
    servers[0]->port = 1;
    free(servers[0]->address);
    servers[0]->address = strdup("127.0.0.1");
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew, .connect_retries = -1, .ssh.config_file = "none"}, script, 1);
    g->claimed_before = true;
    go(run);
    assert_said("a: false ConnectError\n");
    assert_int_equal(mu_run_results(run)->tasks[0].n_steps, 1);
    assert_int_equal(mu_run_results(run)->tasks[0].steps[0].status, MU_ST_PASSED);
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* ---- going on with the claims of a run that died ---- */

static const char DIES[] =
    "  params = { dies = false },\n"
    "  setup = function(server) assert(not server:claimed()) server:claim { at = 'install' } end,\n"
    "  steps = { { name = 's', run = function(server, params)\n"
    "    server:update_claim { at = 'step' }\n"
    "    if params.dies and server.id ~= 'a' then print('here') muster.sleep('1h') end\n"
    "    return 1\n"
    "  end } },\n"
    "  teardown = function(server, params)\n"
    "    if params.dies and server.id ~= 'a' then return end\n"
    "    print('teardown ' .. server:claimed().at)\n"
    "    server:release()\n"
    "  end,\n";

/* Until it waits in its step; then it goes without giving back. */
static void die(char id[32], size_t n)
{
    struct mu_script *script = load(DIES);
    struct mu_run *run = NULL;
    struct mu_err err;
    assert_int_equal(mu_script_set_param(script, "dies", "true", &err), 0);
    run = new_run(&(struct mu_run_config){.db = db, .db_required = true, .forks = 4, .on_progress = interrupt_in_step, .on_progress_arg = &run,
                                          .progress_every_ms = 5}, script, n);
    go(run);
    snprintf(id, 32, "%s", mu_run_results(run)->run_id);
    mu_run_free(run);
    mu_script_free(script);
    mu_buf_clear(&said);
}

static struct mu_former *former_of(const char *id)
{
    struct mu_former *former = NULL;
    struct mu_err err = {0};
    if (mu_former_open(&former, db, id, &err))
        fail_msg("%s", err.msg);
    return former;
}

static void claims_of_the_former_run_are_taken_over(void **state)
{
    char id[32];
    (void)state;
    die(id, 2);
    assert_int_equal(n_journals(), 1);
    struct mu_script *script = load(DIES);
    struct mu_run *run = new_run(&(struct mu_run_config){.former = former_of(id), .adopt_claims = true}, script, 2);
    go(run);
    assert_string_equal(mu_run_results(run)->run_id, id);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_said("b: Destroying what an earlier attempt left behind.\nb: teardown step\n");
    assert_false(mu_run_results(run)->tasks[1].left_behind);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

/* It dies again, before it could do anything: the claim is where it was. */
static void nothing_is_lost_when_that_run_dies_too(void **state)
{
    char id[32];
    struct mu_err err = {0};
    struct mu_run *run = NULL;
    (void)state;
    die(id, 2);
    struct mu_script *script = load(DIES);
    struct guest *g = new_guest();
    struct mu_former *former = former_of(id);
    g->cannot_open = true;
    struct mu_run_config config = {.former = former, .adopt_claims = true, .local = true, .state_dir = dir, .crew = &g->crew};
    assert_int_equal(mu_run_new(&run, &config, script, servers, 2, &mu_bindings, lg, &err), MU_EIO);
    mu_former_free(former);
    free_guest(g);
    assert_int_equal(n_journals(), 1);
    g = new_guest();
    run = new_run(&(struct mu_run_config){.former = former_of(id), .adopt_claims = true, .crew = &g->crew}, script, 2);
    assert_true(g->home->resumed);
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_said("b: teardown step\n");
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

static void a_former_run_without_claims_is_as_any(void **state)
{
    char id[32], command[128];
    (void)state;
    die(id, 2);
    snprintf(command, sizeof command, "rm -r %s/claims", dir);
    assert_int_equal(system(command), 0);
    struct mu_script *script = load(DIES);
    struct mu_run *run = new_run(&(struct mu_run_config){.former = former_of(id), .adopt_claims = true}, script, 2);
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_false(was_said("earlier attempt"));
    mu_run_free(run);
    mu_script_free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_left_behind_is_destroyed_first, start, stop),
        cmocka_unit_test_setup_teardown(when_that_fails_nothing_else_is_done, start, stop),
        cmocka_unit_test_setup_teardown(an_interrupt_lets_it_be_destroyed, start, stop),
        cmocka_unit_test_setup_teardown(who_could_not_be_reached_before_may_be_now, start, stop),
        cmocka_unit_test_setup_teardown(claims_of_the_former_run_are_taken_over, start, stop),
        cmocka_unit_test_setup_teardown(nothing_is_lost_when_that_run_dies_too, start, stop),
        cmocka_unit_test_setup_teardown(a_former_run_without_claims_is_as_any, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
