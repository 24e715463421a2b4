#include "judge.h"

#include <math.h>

/* Python reads the report more strictly than it would by itself: no NaN, no key twice, nothing but UTF-8. `run` is the
 * text of a program that works on it as d. */
static const char reader[] = "import json, sys\n"
                             "def once(pairs):\n"
                             "    assert len({k for k, _ in pairs}) == len(pairs), 'a key twice'\n"
                             "    return dict(pairs)\n"
                             "def refuse(name):\n"
                             "    raise ValueError(name)\n"
                             "text = open(sys.argv[1], 'rb').read().decode('utf-8', 'strict')\n"
                             "d = json.loads(text, object_pairs_hook=once, parse_constant=refuse)\n"
                             "print(eval(sys.argv[2]))\n";

static void value_is(const char *expression, const char *expected)
{
    char got[8192];
    int rc = judge_run((const char *const[]){"python3", "-c", reader, judge_report, expression, NULL}, "python3", got,
                       sizeof(got));
    if (rc || strcmp(got, expected) != 0)
        fail_msg("%s\n is \"%s\" (python3 %d)\n not \"%s\"", expression, got, rc, expected);
}

static void the_whole_text(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_buf out = MU_BUF_INIT;
    add_measured(&r->tasks[0], "gpu", "score", 20.5, ">= 50 fps");
    mu_buf_adds(&r->tasks[0].steps[0].log, "line\n");
    add_outside(&r->tasks[0], MU_ST_ERROR, NULL, "teardown", "gone");
    mu_task_result_add_unended(&r->tasks[0], "sleep 9");
    settle_all(r);
    mu_report_json(r, &out);
    assert_string_equal(
        mu_buf_cstr(&out),
        "{\"schema\":1,\n"
        " \"run\":{\"id\":\"20231115-145840-ab12\",\"script\":\"scripts/gpu.lua\",\"description\":null,"
        "\"started\":\"2023-11-15T14:58:40.123Z\",\"duration_s\":61.042,\"interrupted\":false,\"signal\":null,"
        "\"exit_code\":1,\"dry_run\":false,\"after_all\":null},\n"
        " \"counts\":{\"failed\":1,\"error\":0,\"timeout\":0,\"unreachable\":0,\"cancelled\":0,\"passed\":0,"
        "\"skipped\":0},\n"
        " \"failed_servers\":[\"srv01\"],\n"
        " \"unmeasured_servers\":[],\n"
        " \"unfinished_servers\":[],\n"
        " \"marks\":null,\n"
        " \"marked_servers\":[],\n"
        " \"kept_servers\":[],\n"
        " \"mark_failed_servers\":[],\n"
        " \"unmarked_servers\":[],\n"
        " \"left_behind_servers\":[],\n"
        " \"servers\":[\n"
        "  {\"id\":\"srv01\",\"status\":\"failed\",\"started\":\"2023-11-15T14:58:40.123Z\",\"duration_s\":2.500,"
        "\"dealt\":true,\"finished\":true,\"failures\":[{\"status\":\"error\",\"type\":null,\"where\":\"teardown\","
        "\"metric\":null,\"cause\":\"gone\",\"message\":\"gone\"}],\"unended\":[\"sleep 9\"],\"connect_retries\":0,\"retried_connections\":0,\"mark\":null,"
        "\"left_behind\":false,\"claim\":null,\"steps\":[\n"
        "    {\"name\":\"gpu\",\"status\":\"failed\",\"started\":\"2023-11-15T14:58:40.123Z\",\"duration_s\":1.000,"
        "\"metrics\":{\"score\":{\"value\":20.5,\"unit\":\"fps\",\"judgement\":\"missed\",\"threshold\":{\"min\":50,"
        "\"max\":null,\"min_open\":false,\"max_open\":false}}},\"failures\":[{\"status\":\"failed\","
        "\"type\":\"PerformanceBelowExpected\",\"where\":\"gpu\",\"metric\":\"score\",\"cause\":\"too slow\","
        "\"message\":\"PerformanceBelowExpected: too slow\\nscripts/gpu.lua:12\"}],"
        "\"measured\":1,\"earlier\":null,\"withheld\":false,\"log\":\"line\\n\"}]}\n"
        " ]}\n");
    mu_buf_free(&out);
    mu_run_result_free(r);
}

#define METRICS "d['servers'][0]['steps'][0]['metrics']"

static void no_servers(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(0, "", 0);
    judge_write(r, mu_report_json);
    value_is("d['schema'], d['servers'], d['failed_servers'], sum(d['counts'].values())", "(1, [], [], 0)");
    mu_run_result_free(r);
}

static void statuses_and_lists(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(8, "srv", 2);
    r->description = strdup("CPU \"throughput\"");
    r->interrupted = true;
    r->signal = 15;
    add_measured(&r->tasks[0], "cpu", "score", 60, ">= 50");
    add_measured(&r->tasks[1], "cpu", "score", 6, ">= 50");
    add_broken(&r->tasks[2], "cpu", MU_ST_ERROR, "CommandError", "exit status 3", NULL);
    add_broken(&r->tasks[3], "cpu", MU_ST_TIMEOUT, NULL, "step timeout", NULL);
    add_outside(&r->tasks[4], MU_ST_UNREACHABLE, "ConnectError", "connect", "connection refused");
    add_broken(&r->tasks[5], "cpu", MU_ST_SKIPPED, NULL, "needs gpu", NULL);
    r->tasks[6].finished = r->tasks[6].dealt = false;
    r->tasks[6].started_ms = 0;
    r->tasks[7].finished = false;
    judge_write(r, mu_report_json);
    value_is("d['run']['description'], d['run']['interrupted'], d['run']['signal'], d['run']['exit_code']",
             "('CPU \"throughput\"', True, 15, 143)");
    value_is("list(d['counts'].items())", "[('failed', 1), ('error', 1), ('timeout', 1), ('unreachable', 1), "
                                          "('cancelled', 2), ('passed', 1), ('skipped', 1)]");
    value_is("d['failed_servers'], d['unmeasured_servers'], d['unfinished_servers']",
             "(['srv02'], ['srv03', 'srv04', 'srv05'], ['srv07', 'srv08'])");
    value_is("[s['status'] for s in d['servers']]", "['passed', 'failed', 'error', 'timeout', 'unreachable', 'skipped', "
                                                    "'cancelled', 'cancelled']");
    value_is("[(s['dealt'], s['finished'], s['started']) for s in d['servers'][6:]]",
             "[(False, False, None), (True, False, '2023-11-15T14:58:40.130Z')]");
    value_is("d['servers'][4]['failures'][0]['type']", "ConnectError");
    mu_run_result_free(r);
}

static void marks_and_what_was_left_behind(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(6, "srv", 2);
    for (size_t i = 0; i < 6; i++)
        add_measured(&r->tasks[i], "cpu", "score", 6, ">= 50");
    r->marks.said = strdup("5%,20");
    r->marks.cap = 3;
    r->marks.candidates = 5;
    r->dry_run = true;
    r->tasks[0].steps[0].measured = 2;
    r->tasks[0].steps[0].earlier = strdup("cpu.score 5 < 50");
    mu_task_result_set_mark(&r->tasks[0], MU_MARK_MADE, "muster: " HOSTILE, NULL, 2);
    mu_task_result_set_mark(&r->tasks[1], MU_MARK_KEPT, "muster: slow", "disk replaced by anna", 1);
    mu_task_result_set_mark(&r->tasks[2], MU_MARK_FAILED, "muster: slow", HOSTILE, 3);
    mu_task_result_set_mark(&r->tasks[3], MU_MARK_WITHHELD, NULL, "interrupted", 0);
    r->tasks[4].left_behind = true;
    r->tasks[4].claim = strdup("{\"node\":\"n5\"}");
    judge_write(r, mu_report_json);
    value_is("d['run']['dry_run'], d['run']['exit_code']", "(True, 4)");
    value_is("list(d['marks'].items())", "[('cap', 3), ('said', '5%,20'), ('candidates', 5), ('over', False)]");
    value_is("[d[k + '_servers'] for k in ('marked', 'kept', 'mark_failed', 'unmarked', 'left_behind')]",
             "[['srv01'], ['srv02'], ['srv03'], ['srv04'], ['srv05']]");
    value_is("[s['mark'] and s['mark']['state'] for s in d['servers']]",
             "['made', 'kept', 'failed', 'withheld', None, None]");
    value_is("[list(s['mark'].values())[1:] for s in d['servers'][1:4:2]]",
             "[['muster: slow', 'disk replaced by anna', 1], [None, 'interrupted', 0]]");
    value_is("d['servers'][0]['mark']['tries'], d['servers'][0]['mark']['note']", "(2, None)");
    value_is("[(s['left_behind'], s['claim']) for s in d['servers'][4:]]", "[(True, '{\"node\":\"n5\"}'), (False, None)]");
    value_is("[(s['steps'][0]['measured'], s['steps'][0]['earlier']) for s in d['servers'][:2]]",
             "[(2, 'cpu.score 5 < 50'), (1, None)]");
    mu_run_result_free(r);
}

static void samples_references_and_peers(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_threshold th = {.has_reference = true, .reference = 100, .lower = {MU_AMOUNT_PERCENT, 10},
                              .upper = {MU_AMOUNT_NONE, 0}};
    mu_threshold_settle(&th);
    struct mu_step_result *s = mu_step_result_new("cpu");
    const double v[] = {81, 79.5, 82}, huge[] = {-1.7e308, -1.7e308, 1.7e308};
    mu_step_result_add_samples(s, "a", v, 3, NULL, &th);
    mu_step_result_add_samples(s, "b", huge, 3, NULL, NULL);
    th = (struct mu_threshold){.peers = {.on = true, .group_by = strdup(HOSTILE), .drop = {MU_AMOUNT_PERCENT, 2.5},
                                         .rise = {MU_AMOUNT_PLAIN, 3}, .min_cohort = 5}};
    mu_step_result_add_metric(s, "c", 1, NULL, &th);
    mu_step_result_add_metric(s, "d", 1, NULL, &th);
    mu_step_result_add_metric(s, "e", 1, NULL, &th);
    mu_threshold_clear(&th);
    s->metrics[2].peers = (struct mu_peer_verdict){MU_PEERS_MISSED, true, false, 2, 0.5, 7, strdup(HOSTILE), NULL};
    s->metrics[3].peers = (struct mu_peer_verdict){.state = MU_PEERS_NOT_JUDGED, .n = 2, .note = strdup(HOSTILE)};
    mu_task_result_add_step_take(&r->tasks[0], s);
    judge_write(r, mu_report_json);
    value_is(METRICS "['a']['samples'], " METRICS "['a']['mad'], " METRICS "['a']['value']", "([81, 79.5, 82], 1, 81)");
    value_is("list(" METRICS "['a']['threshold'].items())[4:]", "[('reference', 100), ('lower', '10%'), ('upper', None)]");
    value_is(METRICS "['a']['threshold']['min'], 'peers' in " METRICS "['a']", "(90, False)");
    value_is(METRICS "['b']['mad'], " METRICS "['b']['samples']", "(0, [-1.7e+308, -1.7e+308, 1.7e+308])");
    value_is("[" METRICS "['c']['peers'][k] for k in ('state', 'median', 'noise', 'cohort', 'drop', 'rise', 'note')]",
             "['missed', 2, 0.5, 7, '2.5%', 3, None]");
    value_is(METRICS "['c']['peers']['group'] == " METRICS "['c']['peers']['group_by'] == " METRICS "['d']['peers']['note']",
             "True");
    value_is("[" METRICS "['d']['peers'][k] for k in ('state', 'median', 'noise', 'cohort', 'group')]",
             "['not judged', None, None, 2, None]");
    value_is(METRICS "['e']['peers']['state'], 'samples' in " METRICS "['c']", "('not judged', False)");
    mu_run_result_free(r);
}

static void numbers_that_json_cannot_say(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_threshold th = {.has_max = true, .max = 0.1, .max_open = true};
    struct mu_step_result *s = mu_step_result_new("cpu");
    mu_step_result_add_metric(s, "nan", NAN, NULL, &th);
    mu_step_result_add_metric(s, "inf", INFINITY, "s", &th);
    mu_step_result_add_metric(s, "minus", -INFINITY, NULL, &th);
    mu_step_result_add_metric(s, "tiny", 5e-324, NULL, NULL);
    mu_step_result_add_metric(s, "huge", 1.7976931348623157e308, NULL, NULL);
    mu_step_result_add_metric(s, "third", 1.0 / 3, NULL, NULL);
    mu_task_result_add_step_take(&r->tasks[0], s);
    judge_write(r, mu_report_json);
    value_is("[(m['value'], m['text'], m['judgement']) for m in list(" METRICS ".values())[:3]]",
             "[(None, 'nan', 'unjudged'), (None, 'inf', 'missed'), (None, '-inf', 'passed')]");
    value_is("[m['value'] for m in list(" METRICS ".values())[3:]]", "[5e-324, 1.7976931348623157e+308, "
                                                                     "0.3333333333333333]");
    value_is("any('text' in m for m in list(" METRICS ".values())[3:])", "False");
    value_is("list(" METRICS "['inf']['threshold'].items())",
             "[('min', None), ('max', 0.1), ('min_open', False), ('max_open', True)]");
    value_is(METRICS "['nan']['threshold'], " METRICS "['inf']['unit']", "(None, 's')");
    mu_run_result_free(r);
}

static void hostile_content_of_a_hundred_servers(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(100, "srv", 3);
    r->description = strdup(HOSTILE);
    for (size_t i = 0; i < 100; i++) {
        struct mu_task_result *t = &r->tasks[i];
        add_broken(t, HOSTILE, MU_ST_ERROR, HOSTILE, HOSTILE, HOSTILE);
        mu_buf_add(&t->steps[0].log, "a\0b", 3);
        for (int c = 1; c < 256; c++)
            mu_buf_addc(&t->steps[0].log, (char)c);
        add_measured(t, "cpu", HOSTILE, 1, ">= 50");
        add_outside(t, MU_ST_FAILED, HOSTILE, HOSTILE, HOSTILE);
        mu_task_result_add_unended(t, HOSTILE);
    }
    judge_write(r, mu_report_json);
    value_is("len(d['servers']), len(d['failed_servers'])", "(100, 100)");
    value_is("ascii(d['servers'][99]['unended'][0])",
             "'\\x1b[31m]]>&<\"\\'\\x01\\x7f\\x9b\\ufffd\\ufffd \\u202e\\\\ \\r\\n[error] forged line\\t\\U0001f4a5'");
    value_is("ascii(d['servers'][0]['steps'][0]['log'][:4])", "'a\\x00b\\x01'");
    value_is("d['run']['description'] == d['servers'][7]['failures'][0]['where']", "True");
    mu_run_result_free(r);
}

static void a_locale_with_a_comma_changes_nothing(void **state)
{
    (void)state;
    use_comma_locale();
    struct mu_run_result *r = make_run(1, "srv", 2);
    add_measured(&r->tasks[0], "cpu", "score", 0.25, ">= 0.5");
    judge_write(r, mu_report_json);
    setlocale(LC_NUMERIC, "C");
    value_is("d['servers'][0]['steps'][0]['metrics']['score']['value']", "0.25");
    value_is("d['servers'][0]['steps'][0]['metrics']['score']['threshold']['min']", "0.5");
    mu_run_result_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_text),
        cmocka_unit_test(no_servers),
        cmocka_unit_test(statuses_and_lists),
        cmocka_unit_test(marks_and_what_was_left_behind),
        cmocka_unit_test(samples_references_and_peers),
        cmocka_unit_test(numbers_that_json_cannot_say),
        cmocka_unit_test(hostile_content_of_a_hundred_servers),
        cmocka_unit_test(a_locale_with_a_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, judge_setup, judge_teardown);
}
