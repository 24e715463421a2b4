/* Who says what of itself, who is alive, and what is no beat; through a real nats-server, too. */
#include "nats_server.h"

#include "agents/roster.h"
#include "agents/subjects.h"
#include "core/clock.h"

static struct nats_server server;

static int start(void **state)
{
    (void)state;
    return nats_start(&server) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    nats_end(&server);
    return 0;
}

static char dc1[] = "dc1", quoted[] = "with \"quotes\"\n", name[] = "bench\x1b[31m", host[] = "h.example", version[] = "0.1.0";
static char *groups[] = {dc1, quoted, NULL}, *none[] = {NULL};

static struct mu_roster_agent agent(const char *id)
{
    return (struct mu_roster_agent){.id = (char *)id, .name = name, .host = host, .version = version, .groups = groups,
                                    .slots = 200, .in_flight = 17};
}

static struct mu_roster_agent *note(struct mu_roster *r, const struct mu_roster_agent *a, int64_t age_ms)
{
    struct mu_buf b = MU_BUF_INIT;
    mu_roster_write(&b, a);
    struct mu_roster_agent *got = mu_roster_note(r, b.data, b.len, age_ms);
    mu_buf_free(&b);
    return got;
}

static void a_beat_comes_through(void **state)
{
    (void)state;
    struct mu_roster r = {0};
    struct mu_roster_agent a = agent("bench=2e1-00aaff"), *got = note(&r, &a, 0);
    assert_non_null(got);
    assert_string_equal(got->id, a.id);
    assert_string_equal(got->name, a.name);
    assert_string_equal(got->host, a.host);
    assert_string_equal(got->version, a.version);
    assert_string_equal(got->groups[0], groups[0]);
    assert_string_equal(got->groups[1], groups[1]);
    assert_null(got->groups[2]);
    assert_int_equal(got->slots, 200);
    assert_int_equal(got->in_flight, 17);
    assert_true(!got->leaving && mu_roster_is_alive(got));
    a.groups = none;
    a.in_flight = 3;
    a.leaving = true;
    got = note(&r, &a, 0);
    assert_int_equal(r.n, 1);
    assert_true(got == &r.items[0] && got->in_flight == 3 && got->leaving && !got->groups[0] && !mu_roster_is_alive(got));
    mu_roster_clear(&r);
}

static void age_decides_who_is_there(void **state)
{
    (void)state;
    struct mu_roster r = {0};
    struct mu_roster_agent a = agent("a-1"), b = agent("b-1"), c = agent("c-1"), *got;
    assert_true(mu_roster_is_alive(note(&r, &a, MU_BEAT_ALIVE_MS - 5000)));
    assert_false(mu_roster_is_alive(note(&r, &b, MU_BEAT_ALIVE_MS)));
    assert_false(mu_roster_is_alive(note(&r, &c, INT64_MAX))); /* older than any clock here */
    assert_true(mu_roster_is_alive(note(&r, &c, -5000)));      /* a clock that is ahead */
    assert_int_equal(r.n, 3);
    a.in_flight = 1;
    got = note(&r, &a, 0);
    assert_int_equal(got->in_flight, 1);
    a.in_flight = 2;
    got = note(&r, &a, 20000); /* an older word, that comes later */
    assert_int_equal(got->in_flight, 1);
    got->heard_ms = mu_clock_ms() - MU_BEAT_ALIVE_MS;
    assert_false(mu_roster_is_alive(got));
    mu_roster_clear(&r);
}

#define WHO "\"host\":\"h\",\"version\":\"1\","
#define WHAT ",\"in_flight\":0,\"leaving\":false"
#define GOOD "\"id\":\"a-1\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":1" WHAT

static void what_is_no_beat_is_left_out(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "null", "[]", "{}", "{" GOOD, "{" GOOD "} x", "{" GOOD ",\"id\":\"b\"}",
        "{\"id\":\"a.b\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":1" WHAT "}",
        "{\"id\":\"*\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":1" WHAT "}",
        "{\"id\":\"\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":1" WHAT "}",
        "{\"id\":5,\"name\":\"n\"," WHO "\"groups\":[],\"slots\":1" WHAT "}",
        "{\"id\":\"a\"," WHO "\"groups\":[],\"slots\":1" WHAT "}",
        "{\"id\":\"a\",\"name\":\"n\\u0000\"," WHO "\"groups\":[],\"slots\":1" WHAT "}",
        "{\"id\":\"a\",\"name\":\"n\"," WHO "\"groups\":{},\"slots\":1" WHAT "}",
        "{\"id\":\"a\",\"name\":\"n\"," WHO "\"groups\":[\"g\",5],\"slots\":1" WHAT "}",
        "{\"id\":\"a\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":-1" WHAT "}",
        "{\"id\":\"a\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":99999999999" WHAT "}",
        "{\"id\":\"a\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":1.5" WHAT "}",
        "{\"id\":\"a\",\"name\":\"n\"," WHO "\"groups\":[],\"slots\":1,\"in_flight\":0,\"leaving\":0}"};
    struct mu_roster r = {0};
    struct mu_buf b = MU_BUF_INIT;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(mu_roster_note(&r, wrong[i], strlen(wrong[i]), 0));
    mu_buf_adds(&b, "{\"id\":\"a\",\"name\":\"");
    for (int i = 0; i < 1000; i++)
        mu_buf_addc(&b, 'n');
    mu_buf_adds(&b, "\",\"host\":\"h\",\"version\":\"1\",\"groups\":[],\"slots\":1,\"in_flight\":0,\"leaving\":false}");
    assert_null(mu_roster_note(&r, b.data, b.len, 0));
    mu_buf_clear(&b);
    for (int i = 0; i < 60000; i++)
        mu_buf_addc(&b, '[');
    assert_null(mu_roster_note(&r, b.data, b.len, 0));
    assert_int_equal(r.n, 0);
    assert_non_null(mu_roster_note(&r, "{" GOOD "}", sizeof GOOD + 1, 0));
    assert_non_null(mu_roster_note(&r, "{" GOOD ",\"more\":1}", sizeof GOOD + 10, 0)); /* of a later version */
    mu_buf_free(&b);
    mu_roster_clear(&r);
}

/* What cut-off and changed bytes make of a beat: another beat, or none. */
static void a_damaged_beat_does_no_harm(void **state)
{
    (void)state;
    struct mu_roster_agent a = agent("a-1");
    struct mu_buf b = MU_BUF_INIT;
    mu_roster_write(&b, &a);
    for (size_t i = 0; i < b.len; i++) {
        struct mu_roster r = {0};
        char *cut = malloc(i ? i : 1);
        memcpy(cut, b.data, i);
        assert_null(mu_roster_note(&r, cut, i, 0));
        free(cut);
        for (int v = 0; v < 256; v += 5) {
            char was = b.data[i];
            b.data[i] = (char)v;
            mu_roster_note(&r, b.data, b.len, 0);
            b.data[i] = was;
        }
        mu_roster_clear(&r);
    }
    mu_buf_free(&b);
}

static void all_that_the_stream_knows_is_read(void **state)
{
    (void)state;
    const struct mu_nats_config config = {.urls = server.url};
    struct mu_loop *loop;
    struct mu_nats *n = NULL;
    struct mu_err err = {0};
    struct mu_buf b = MU_BUF_INIT, subject = MU_BUF_INIT;
    struct mu_roster r = {0};
    assert_int_equal(mu_loop_new(&loop, &err), 0);
    if (mu_nats_open(&n, &config, loop, NULL, NULL, &err) || mu_subjects_ensure(n, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(mu_roster_read(&r, n, &err), 0);
    assert_int_equal(r.n, 0);
    for (int i = 0; i < 60; i++) {
        char id[32];
        snprintf(id, sizeof id, "a%02d-ff", i / 2); /* each says it twice */
        struct mu_roster_agent a = agent(id);
        a.in_flight = (unsigned)i;
        mu_buf_clear(&b);
        mu_roster_write(&b, &a);
        assert_int_equal(mu_nats_put(n, mu_subject_agent(&subject, id), b.data, b.len, MU_NATS_ANY, NULL, &err), 0);
    }
    assert_int_equal(mu_nats_put(n, "muster.agent.noise", "noise", 5, MU_NATS_ANY, NULL, &err), 0);
    assert_int_equal(mu_nats_put(n, "muster.agent.other", b.data, b.len, MU_NATS_ANY, NULL, &err), 0); /* speaks for a29 */
    struct mu_roster_agent liar = agent("liar-1");
    mu_buf_clear(&b);
    mu_roster_write(&b, &liar);
    assert_int_equal(mu_nats_put(n, "muster.agent.other2", b.data, b.len, MU_NATS_ANY, NULL, &err), 0);
    if (mu_roster_read(&r, n, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(r.n, 30);
    for (size_t i = 0; i < r.n; i++) {
        char id[32];
        snprintf(id, sizeof id, "a%02zu-ff", i);
        assert_string_equal(r.items[i].id, id);
        assert_int_equal(r.items[i].in_flight, 2 * i + 1);
        assert_true(mu_roster_is_alive(&r.items[i]));
    }
    mu_roster_clear(&r);
    mu_nats_close(n);
    mu_loop_free(loop);
    mu_buf_free(&b);
    mu_buf_free(&subject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beat_comes_through),      cmocka_unit_test(age_decides_who_is_there),
        cmocka_unit_test(what_is_no_beat_is_left_out), cmocka_unit_test(a_damaged_beat_does_no_harm),
        cmocka_unit_test(all_that_the_stream_knows_is_read),
    };
    return cmocka_run_group_tests(tests, start, end);
}
