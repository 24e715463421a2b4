/* wire_test.h: messages with everything set, and comparing them field by field. Everything asserts. */
#ifndef TEST_AGENTS_WIRE_TEST_H
#define TEST_AGENTS_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/wire.h"
#include "run/rules.h"
#include "run/script.h"
#include "run/second.h"

#define UNUSED __attribute__((unused))
#define NOT_UTF8 "na\xefve \xff\xfe \x01 text"

/* A struct has grown, or shrunk: what is new in it goes over the wire as well, and is set and compared here. */
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(struct mu_threshold) == 192, "threshold");
_Static_assert(sizeof(struct mu_metric) == 336, "metric");
_Static_assert(sizeof(struct mu_failure) == 48, "failure");
_Static_assert(sizeof(struct mu_step_result) == 112, "step");
_Static_assert(sizeof(struct mu_message) == 184, "message");
_Static_assert(sizeof(struct mu_verdict) == 32, "verdict");
#endif

/* ---- comparing ---- */

UNUSED static void same_text(const char *a, const char *b)
{
    assert_int_equal(a != NULL, b != NULL);
    if (a)
        assert_string_equal(a, b);
}

/* Also of what is no number. */
UNUSED static void same_number(double a, double b) { assert_memory_equal(&a, &b, sizeof a); }

UNUSED static void same_bytes(const struct mu_buf *a, const struct mu_buf *b)
{
    assert_int_equal(a->len, b->len);
    if (a->len)
        assert_memory_equal(a->data, b->data, a->len);
}

UNUSED static void same_amount(const struct mu_amount *a, const struct mu_amount *b)
{
    assert_int_equal(a->kind, b->kind);
    same_number(a->n, b->n);
}

UNUSED static void same_threshold(const struct mu_threshold *a, const struct mu_threshold *b)
{
    same_text(a->metric, b->metric);
    same_text(a->unit, b->unit);
    assert_int_equal(a->has_min, b->has_min);
    assert_int_equal(a->has_max, b->has_max);
    assert_int_equal(a->min_open, b->min_open);
    assert_int_equal(a->max_open, b->max_open);
    same_number(a->min, b->min);
    same_number(a->max, b->max);
    assert_int_equal(a->has_reference, b->has_reference);
    same_number(a->reference, b->reference);
    same_amount(&a->lower, &b->lower);
    same_amount(&a->upper, &b->upper);
    assert_int_equal(a->peers.on, b->peers.on);
    same_text(a->peers.group_by, b->peers.group_by);
    same_amount(&a->peers.drop, &b->peers.drop);
    same_amount(&a->peers.rise, &b->peers.rise);
    assert_int_equal(a->peers.min_cohort, b->peers.min_cohort);
    assert_int_equal(a->history.on, b->history.on);
    assert_int_equal(a->history.last, b->history.last);
    assert_int_equal(a->history.min_runs, b->history.min_runs);
    same_amount(&a->history.drop, &b->history.drop);
    same_amount(&a->history.rise, &b->history.rise);
}

UNUSED static void same_metric(const struct mu_metric *a, const struct mu_metric *b)
{
    same_text(a->name, b->name);
    same_number(a->value, b->value);
    assert_int_equal(a->n_samples, b->n_samples);
    assert_int_equal(a->samples != NULL, b->samples != NULL);
    for (size_t i = 0; i < a->n_samples; i++)
        same_number(a->samples[i], b->samples[i]);
    same_number(a->mad, b->mad);
    same_text(a->unit, b->unit);
    assert_int_equal(a->judgement, b->judgement);
    same_threshold(&a->th, &b->th);
    assert_int_equal(a->history.state, b->history.state);
    assert_int_equal(a->history.below, b->history.below);
    assert_int_equal(a->history.above, b->history.above);
    same_number(a->history.median, b->history.median);
    same_number(a->history.noise, b->history.noise);
    assert_int_equal(a->history.n, b->history.n);
    same_text(a->history.note, b->history.note);
    assert_int_equal(a->peers.state, b->peers.state);
    assert_int_equal(a->peers.below, b->peers.below);
    assert_int_equal(a->peers.above, b->peers.above);
    same_number(a->peers.median, b->peers.median);
    same_number(a->peers.noise, b->peers.noise);
    assert_int_equal(a->peers.n, b->peers.n);
    same_text(a->peers.group, b->peers.group);
    same_text(a->peers.note, b->peers.note);
}

UNUSED static void same_failures(const struct mu_failure *a, size_t n_a, const struct mu_failure *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        assert_int_equal(a[i].status, b[i].status);
        same_text(a[i].type, b[i].type);
        same_text(a[i].where, b[i].where);
        same_text(a[i].metric, b[i].metric);
        same_text(a[i].cause, b[i].cause);
        same_text(a[i].message, b[i].message);
    }
}

UNUSED static void same_step(const struct mu_step_result *a, const struct mu_step_result *b)
{
    assert_int_equal(a != NULL, b != NULL);
    if (!a)
        return;
    same_text(a->name, b->name);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->started_ms, b->started_ms);
    assert_int_equal(a->duration_ms, b->duration_ms);
    assert_int_equal(a->n_metrics, b->n_metrics);
    for (size_t i = 0; i < a->n_metrics; i++)
        same_metric(&a->metrics[i], &b->metrics[i]);
    same_failures(a->failures, a->n_failures, b->failures, b->n_failures);
    same_bytes(&a->log, &b->log);
    assert_int_equal(a->measured, b->measured);
    assert_int_equal(a->withheld, b->withheld);
    same_text(a->earlier, b->earlier);
}

UNUSED static void same_message(const struct mu_message *a, const struct mu_message *b)
{
    assert_int_equal(a->head.kind, b->head.kind);
    assert_int_equal(a->task, b->task);
    assert_int_equal(a->peer, b->peer);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->took_ms, b->took_ms);
    assert_int_equal(a->wall_ms, b->wall_ms);
    same_step(a->step, b->step);
    assert_int_equal(a->status, b->status);
    same_text(a->type, b->type);
    same_text(a->where, b->where);
    same_text(a->cause, b->cause);
    same_text(a->text, b->text);
    same_bytes(&a->plain, &b->plain);
    assert_int_equal(a->mark, b->mark);
    assert_int_equal(a->tries, b->tries);
    assert_int_equal(a->amount, b->amount);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->down[0], b->down[0]);
    assert_int_equal(a->down[1], b->down[1]);
    assert_int_equal(a->code, b->code);
}

/* ---- making ---- */

UNUSED static struct mu_threshold full_threshold(void)
{
    return (struct mu_threshold){
        .metric = strdup("score"), .unit = strdup("MiB/s \xff"), .has_min = true, .has_max = true, .min_open = true,
        .max_open = true, .min = -1.5, .max = INFINITY, .has_reference = true, .reference = 1e300,
        .lower = {MU_AMOUNT_PERCENT, 10}, .upper = {MU_AMOUNT_PLAIN, 0.1},
        .peers = {true, strdup("model"), {MU_AMOUNT_PLAIN, 3}, {MU_AMOUNT_PERCENT, 4}, 7},
        .history = {true, 11, 6, {MU_AMOUNT_PERCENT, 5}, {MU_AMOUNT_PLAIN, 8}}};
}

UNUSED static void full_metric(struct mu_metric *m)
{
    *m = (struct mu_metric){.name = strdup("score"), .value = 42.5, .samples = malloc(3 * sizeof(double)), .n_samples = 3,
                            .mad = 0.25, .unit = strdup("MiB/s"), .judgement = MU_MISSED, .th = full_threshold(),
                            .history = {MU_PEERS_NOT_JUDGED, true, false, 41, 2, 9, strdup("too few")},
                            .peers = {MU_PEERS_MISSED, false, true, 40, 3, 12, strdup("R650"), strdup("note")}};
    m->samples[0] = 1;
    m->samples[1] = 4.9e-324;
    m->samples[2] = -1.7e308;
}

UNUSED static struct mu_step_result *full_step(void)
{
    struct mu_step_result *s = mu_step_result_new("cpu " NOT_UTF8);
    assert_int_equal(mu_step_result_add_failure(s, MU_ST_TIMEOUT, "Timeout", "score", "it took too long", NOT_UTF8), 0);
    assert_int_equal(mu_step_result_add_failure(s, MU_ST_FAILED, NULL, NULL, "", "line\nline"), 0);
    assert_int_equal(mu_step_result_add_metric(s, "nan", NAN, NULL, NULL), 0);
    assert_int_equal(mu_step_result_add_metric(s, "inf", -INFINITY, NULL, NULL), 0);
    assert_int_equal(mu_step_result_add_metric(s, "score", 1, NULL, NULL), 0); /* room for one more is there */
    free(s->metrics[2].name);
    full_metric(&s->metrics[2]);
    s->status = MU_ST_ERROR;
    s->started_ms = -1700060320123;
    s->duration_ms = UINT64_MAX;
    mu_buf_add(&s->log, "raw\0bytes\xff", 10);
    s->measured = 3;
    s->withheld = true;
    s->earlier = strdup("40; 41");
    return s;
}

/* All is set that a message has; kind: one that a task posts. */
UNUSED static struct mu_message *full_message(int kind, size_t n_plain)
{
    struct mu_message *m = mu_message_new(kind);
    m->task = SIZE_MAX;
    m->peer = 70000;
    m->kind = MU_TASK_PAIR;
    m->number = UINT64_MAX - 1;
    m->took_ms = 1234567;
    m->wall_ms = 1700060320123;
    m->step = full_step();
    m->status = MU_ST_CANCELLED;
    m->type = strdup("CommandError");
    m->where = strdup("teardown");
    m->cause = strdup("cause " NOT_UTF8);
    m->text = strdup("");
    for (size_t i = 0; i < n_plain; i++)
        mu_buf_addc(&m->plain, (char)(i * 7));
    m->mark = MU_MARK_WITHHELD;
    m->tries = UINT32_MAX;
    m->amount = MU_CLAIM_RELEASE;
    m->first = true;
    m->down[0] = true;
    m->down[1] = true;
    m->code = MU_ELOST;
    return m;
}

UNUSED static void add_result(struct mu_buf *out, size_t n_plain)
{
    struct mu_buf notes = MU_BUF_INIT;
    struct mu_message *m = full_message(MU_MSG_STEP, n_plain), *end = mu_message_new(MU_MSG_DONE);
    mu_wire_add_note(&notes, m, 12, 13);
    mu_wire_add_note(&notes, end, 12, 13);
    mu_wire_add_result(out, &(const struct mu_wire_event){.index = 12, .task = MU_TASK_AGAIN, .delivery = 3}, &notes);
    mu_message_free(&m->head);
    mu_message_free(&end->head);
    mu_buf_free(&notes);
}

UNUSED static void add_line(struct mu_buf *out)
{
    const struct mu_field fields[] = {{"server", MU_FIELD_STR, {.str = "srv\xff"}}, {"exit", MU_FIELD_INT, {.i = INT64_MIN}},
                                      {"took", MU_FIELD_NUM, {.num = 2}}, {"ok", MU_FIELD_BOOL, {.b = true}},
                                      {"n", MU_FIELD_INT, {.i = 5}}};
    mu_wire_add_line(out, &(const struct mu_record){MU_WARNING, 1700060320123, "a\0b\xff", 4, fields, 5});
}

/* A fleet, a script and a past: of server 1 the step "cpu" has a metric with a history of 3, and "disk" one of 5. */
struct world {
    struct mu_inventory *inv;
    struct mu_server *servers[3];
    struct mu_rules *rules;
    struct mu_past *past;
};

static const char world_inventory[] =
    "{\"servers\": [\"a\", {\"id\": \"b\", \"address\": \"10.0.0.2\", \"port\": 2222, \"user\": \"ops\", \"key\": \"/keys/id\", "
    "\"ssh_args\": \"-J bastion\", \"vars\": {\"s\": \"te\\\"xt\", \"i\": -5, \"f\": 1.5, \"yes\": true, \"no\": false, "
    "\"list\": [1, {\"x\": null}], \"none\": null, \"api_token\": \"hush\", \"groups\": [\"dc1\", \"gpu\"]}}, "
    "{\"id\": \"c\", \"transport\": \"local\", \"vars\": {\"db_password\": 5}}]}";

static char word_score[] = "score", word_other[] = "other", word_lat[] = "lat", word_cpu[] = "cpu", word_disk[] = "disk",
            word_path[] = "x.lua";
static struct mu_rule cpu_rules[] = {
    {.th = {.metric = word_other, .has_max = true, .max = 1}},
    {.th = {.metric = word_score, .history = {true, 3, 2, {MU_AMOUNT_PERCENT, 5}, {MU_AMOUNT_NONE, 0}}}}};
static struct mu_rule disk_rules[] = {
    {.th = {.metric = word_lat, .history = {true, 5, 5, {MU_AMOUNT_NONE, 0}, {MU_AMOUNT_PLAIN, 1}}}}};
static struct mu_step world_steps[] = {{.name = word_cpu, .rules = cpu_rules, .n_rules = 2},
                                       {.name = word_disk, .rules = disk_rules, .n_rules = 1}};
static struct mu_script world_script = {.path = word_path, .steps = world_steps, .n_steps = 2};

UNUSED static void make_world(struct world *w)
{
    struct mu_err err = {0};
    assert_int_equal(mu_inventory_new(&w->inv), 0);
    if (mu_inventory_parse(w->inv, "world", world_inventory, strlen(world_inventory), &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < 3; i++)
        w->servers[i] = mu_inventory_at(w->inv, i);
    assert_int_equal(mu_rules_new(&w->rules, &world_script, w->servers, 3, &err), 0);
    w->past = mu_past_new();
    for (int i = 0; i < 5; i++)
        assert_int_equal(mu_past_add(w->past, "b", "cpu", "score", 50 - i, 10), 0);
    mu_past_add(w->past, "b", "cpu", "other", 1, 10);
    mu_past_add(w->past, "a", "cpu", "score", 9, 10);
    mu_past_add(w->past, "b", "disk", "lat", 0.5, 10);
    mu_past_add(w->past, "b", "disk", "lat", NAN, 10);
    assert_int_equal(mu_past_settle(w->past), 0);
}

UNUSED static void free_world(struct world *w)
{
    mu_past_free(w->past);
    mu_rules_free(w->rules);
    mu_inventory_free(w->inv);
}

UNUSED static struct mu_message *full_deal(enum mu_task_kind kind)
{
    struct mu_message *m = mu_message_new(MU_MSG_DEAL);
    m->kind = kind;
    m->task = 1;
    m->peer = 2;
    m->text = strdup("{\"node\": \"" NOT_UTF8 "\"}");
    m->repeat = mu_repeat_new(2, "behind its peers");
    m->repeat->steps[1] = true;
    m->verdict = calloc(1, sizeof *m->verdict);
    m->verdict->status = MU_ST_TIMEOUT;
    m->verdict->reason = strdup("muster: slow");
    struct mu_step_result *s = full_step();
    m->verdict->failures = s->failures;
    m->verdict->n_failures = s->n_failures;
    s->failures = NULL;
    s->n_failures = 0;
    mu_step_result_free(s);
    return m;
}

UNUSED static void add_task(struct mu_buf *out, const struct world *w, enum mu_task_kind kind)
{
    struct mu_message *deal = full_deal(kind);
    mu_wire_add_task(out, "20261126T000000Z-abcdef", deal, w->servers[1], w->servers[2], w->rules, &world_script, w->past,
                     "since it is so");
    mu_message_free(&deal->head);
    assert_false(out->failed);
}

#endif
