/* A brief says of a run what the coordinator's settings are: made, written, read, and used at the other end. */
#include "scripts.h"

#include "agents/brief.h"
#include "run/crew.h"

#define BUNDLE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char text[] =
    "return { params = { seconds = 10, rate = 1.5, name = 'a', quick = false, left = 3, api_token = '' },\n"
    "  steps = { { name = 'cpu', run = function() return { score = 1, heat = 2 } end,\n"
    "      thresholds = { score = { min = 50, unit = 'events per s' }, heat = { max = 80, unit = 'C' } } },\n"
    "    { name = 'disk.a', run = function() return { iops = 1, lat = 1 } end },\n"
    "    { name = 'gpu', run = function() return 1 end } } }";

static void set_param(struct mu_script *s, const char *name, const char *value)
{
    struct mu_err err = {0};
    if (mu_script_set_param(s, name, value, &err))
        fail_msg("%s", err.msg);
}

static void set_threshold(struct mu_script *s, const char *name, const char *rule)
{
    struct mu_err err = {0};
    if (mu_script_set_threshold(s, name, rule, &err))
        fail_msg("%s", err.msg);
}

static void make(struct mu_brief *out, const struct mu_engine *e)
{
    struct mu_engine engine = *e;
    const struct mu_crew_home home = {.engine = &engine};
    struct mu_err err = {0};
    if (mu_brief_make(out, &home, BUNDLE, MU_DEBUG, &err))
        fail_msg("%s", err.msg);
}

/* By way of bytes. */
static void carry(struct mu_brief *out, const struct mu_brief *in_brief)
{
    struct mu_buf one = MU_BUF_INIT, other = MU_BUF_INIT;
    struct mu_err err = {0};
    mu_brief_write(in_brief, &one);
    if (mu_brief_read(out, one.data, one.len, &err))
        fail_msg("%s", err.msg);
    mu_brief_write(out, &other);
    assert_int_equal(one.len, other.len);
    assert_memory_equal(one.data, other.data, one.len);
    mu_buf_free(&one);
    mu_buf_free(&other);
}

static void assert_same_amount(const struct mu_amount *a, const struct mu_amount *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(a->n == b->n);
}

static void assert_same_threshold(const struct mu_threshold *a, const struct mu_threshold *b)
{
    assert_string_equal(a->metric, b->metric);
    assert_string_equal(a->unit ? a->unit : "-", b->unit ? b->unit : "-");
    assert_int_equal(a->has_min, b->has_min);
    assert_int_equal(a->has_max, b->has_max);
    assert_int_equal(a->min_open, b->min_open);
    assert_int_equal(a->max_open, b->max_open);
    assert_true((!a->has_min || a->min == b->min) && (!a->has_max || a->max == b->max));
    assert_int_equal(a->has_reference, b->has_reference);
    assert_true(a->reference == b->reference);
    assert_same_amount(&a->lower, &b->lower);
    assert_same_amount(&a->upper, &b->upper);
    assert_int_equal(a->peers.on, b->peers.on);
    assert_same_amount(&a->peers.drop, &b->peers.drop);
    assert_same_amount(&a->peers.rise, &b->peers.rise);
    assert_int_equal(a->peers.min_cohort, b->peers.min_cohort);
    assert_string_equal(a->peers.group_by ? a->peers.group_by : "-", b->peers.group_by ? b->peers.group_by : "-");
    assert_int_equal(a->history.on, b->history.on);
    assert_int_equal(a->history.last, b->history.last);
    assert_int_equal(a->history.min_runs, b->history.min_runs);
    assert_same_amount(&a->history.drop, &b->history.drop);
}

static void settings_and_script_arrive(void **state)
{
    (void)state;
    const char *path = put("x.lua", text);
    struct mu_script *s = load(path, NULL), *there = NULL;
    set_param(s, "seconds", "-9223372036854775807");
    set_param(s, "rate", "0.1");
    set_param(s, "name", "a 'b'\n\"c\" = {}");
    set_param(s, "quick", "yes");
    set_threshold(s, "cpu.score", "> 40.5, < 1e6");
    set_threshold(s, "cpu.heat", "< 70 F");
    set_threshold(s, "disk.a.iops", "{\"peers\": {\"group_by\": \"rack\", \"drop\": \"10%\", \"min_cohort\": 7}, \"min\": 0.1, "
                                    "\"unit\": \"1/s\"}");
    set_threshold(s, "disk.a.lat", "{\"reference\": 100, \"tolerance\": {\"lower\": \"5%\", \"upper\": 3}}");
    set_threshold(s, "gpu.score", "{\"history\": {\"last\": 8, \"drop\": \"10%\", \"min_runs\": 4}}");
    bool only[] = {true, true, false};
    struct mu_buf shared = MU_BUF_INIT;
    mu_buf_add(&shared, "a\0b", 3);
    const struct mu_engine e = {.script = s, .run_id = "20261122T235959Z-a1b2c3", .owner = "me@here", .user = "bench", .only = only,
                                .fail_fast = true, .allow_destructive = true, .pairs = true, .timeout_ms = UINT64_MAX,
                                .connect_timeout_ms = 1, .setup_timeout_ms = 300000, .teardown_timeout_ms = 70000,
                                .connect_retries = -1, .task_memory = 1 << 20, .shared = &shared};
    struct mu_brief here, b;
    struct mu_err err = {0};
    make(&here, &e);
    carry(&b, &here);
    assert_int_equal(b.state, MU_BRIEF_OPEN);
    assert_string_equal(b.run_id, e.run_id);
    assert_string_equal(b.owner, "me@here");
    assert_string_equal(b.bundle, BUNDLE);
    assert_string_equal(b.user, "bench");
    assert_string_equal(b.script_path, path);
    assert_true(b.fail_fast && b.allow_destructive && b.pairs && !b.local && !b.dry_run && !b.cleanup);
    assert_true(b.timeout_ms == UINT64_MAX && b.connect_timeout_ms == 1);
    assert_true(b.setup_timeout_ms == 300000 && b.teardown_timeout_ms == 70000);
    assert_int_equal(b.connect_retries, -1);
    assert_int_equal(b.task_memory, 1 << 20);
    assert_int_equal(b.level, MU_DEBUG);
    assert_true(b.has_shared && b.shared.len == 3 && !memcmp(b.shared.data, "a\0b", 3));
    assert_int_equal(b.n_params, 4);
    assert_string_equal(b.steps[0], "cpu");
    assert_string_equal(b.steps[1], "disk.a");
    assert_null(b.steps[2]);
    if (mu_brief_load_script(&b, path, NULL, &mu_bindings, NULL, &there, &err))
        fail_msg("%s", err.msg);
    assert_same(s, there);
    for (size_t i = 0; i < s->n_steps; i++) {
        assert_int_equal(s->steps[i].n_set, there->steps[i].n_set);
        for (size_t j = 0; j < s->steps[i].n_set; j++)
            assert_same_threshold(&s->steps[i].set[j], &there->steps[i].set[j]);
    }
    assert_true(there->steps[0].set[0].min_open && there->steps[0].set[0].max_open);
    mu_brief_clear(&here);
    mu_brief_clear(&b);
    mu_buf_free(&shared);
    mu_script_free(s);
    mu_script_free(there);
}

static void little_is_said_of_little(void **state)
{
    (void)state;
    struct mu_script *s = load(MUSTER_SOURCE "/scripts/burnin.lua", LIBRARY), *there = NULL;
    const struct mu_engine e = {.script = s, .run_id = "r", .owner = "me", .cleanup = true, .local = true, .dry_run = true};
    struct mu_brief here, b;
    struct mu_err err = {0};
    make(&here, &e);
    here.state = MU_BRIEF_OVER;
    carry(&b, &here);
    assert_int_equal(b.state, MU_BRIEF_OVER);
    assert_true(!b.user && !b.steps && !b.has_shared && !b.n_params && !b.n_thresholds && b.cleanup && b.local && b.dry_run);
    assert_int_equal(mu_brief_load_script(&b, MUSTER_SOURCE "/scripts/burnin.lua", LIBRARY, &mu_bindings, NULL, &there, &err), 0);
    assert_same(s, there);
    mu_script_free(there);
    assert_int_equal(mu_brief_load_script(&b, in("none.lua"), NULL, &mu_bindings, NULL, &there, &err), MU_ENOENT);
    mu_brief_clear(&here);
    mu_brief_clear(&b);
    mu_script_free(s);
}

static void a_secret_does_not_travel(void **state)
{
    (void)state;
    struct mu_script *s = load(put("x.lua", text), NULL);
    struct mu_engine e = {.script = s, .run_id = "r", .owner = "me"};
    const struct mu_crew_home home = {.engine = &e};
    struct mu_brief b = {0};
    struct mu_err err;
    set_param(s, "api_token", "hunter2");
    assert_int_equal(mu_brief_make(&b, &home, BUNDLE, MU_INFO, &err), MU_EINVAL);
    assert_string_equal(err.msg, "parameter api_token is a secret by its name, and does not travel to agents: let the script "
                                 "read it there, by muster.secret{ env = … } or { file = … }");
    mu_script_free(s);
}

/* Whatever is changed or cut, it is refused, or it is a brief that is written as it was read. */
static void a_damaged_brief_is_refused(void **state)
{
    (void)state;
    struct mu_script *s = load(put("x.lua", text), NULL);
    bool only[] = {false, true, true};
    const struct mu_engine e = {.script = s, .run_id = "r1", .owner = "me", .only = only};
    struct mu_brief here, b;
    struct mu_buf bytes = MU_BUF_INIT, again = MU_BUF_INIT;
    struct mu_err err = {0};
    set_param(s, "left", "5");
    set_threshold(s, "gpu.score", ">= 5");
    make(&here, &e);
    mu_brief_write(&here, &bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        char *cut = malloc(i ? i : 1);
        memcpy(cut, bytes.data, i);
        assert_int_equal(mu_brief_read(&b, cut, i, &err), MU_EINVAL);
        free(cut);
        for (unsigned v = 0; v < 256; v++) {
            char was = bytes.data[i];
            bytes.data[i] = (char)v;
            if (mu_brief_read(&b, bytes.data, bytes.len, &err) == 0) {
                mu_buf_clear(&again);
                mu_brief_write(&b, &again);
                assert_true(again.len <= bytes.len); /* a number may have been written longer than it must be */
                mu_brief_clear(&b);
            } else {
                assert_int_equal(err.code, MU_EINVAL);
            }
            bytes.data[i] = was;
        }
    }
    mu_buf_addc(&bytes, '\0');
    assert_int_equal(mu_brief_read(&b, bytes.data, bytes.len, &err), MU_EINVAL);
    static const char *const ids[] = {"", "a.b", "../x", "a b", "*", ">", "a/b",
                                      "0123456789012345678901234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        free(here.run_id);
        here.run_id = strdup(ids[i]);
        mu_buf_clear(&bytes);
        mu_brief_write(&here, &bytes);
        assert_int_equal(mu_brief_read(&b, bytes.data, bytes.len, &err), MU_EINVAL);
    }
    mu_brief_clear(&here);
    mu_buf_free(&bytes);
    mu_buf_free(&again);
    mu_script_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_and_script_arrive), TEST(little_is_said_of_little), TEST(a_secret_does_not_travel),
        TEST(a_damaged_brief_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
