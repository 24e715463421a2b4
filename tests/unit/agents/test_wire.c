/* What coordinator and agents write each other comes out as it went in. */
#include "wire_test.h"

#include <time.h>

#include "run/server_json.h"

static const int posted[] = {MU_MSG_STARTED, MU_MSG_STEP, MU_MSG_FAILURE, MU_MSG_UNENDED, MU_MSG_RETRIED, MU_MSG_MARK,
                             MU_MSG_SHARED, MU_MSG_ENDING, MU_MSG_FACTS, MU_MSG_KEEP, MU_MSG_ACQUIRE, MU_MSG_LEAVE,
                             MU_MSG_CLAIM};
#define N_POSTED (sizeof posted / sizeof *posted)

static void add_done(struct mu_buf *notes)
{
    struct mu_message *m = mu_message_new(MU_MSG_DONE);
    mu_wire_add_note(notes, m, 0, 0);
    mu_message_free(&m->head);
}

/* Write these and MU_MSG_DONE as a result, read it, compare. */
static void there_and_back(struct mu_message **list, size_t n)
{
    struct mu_buf notes = MU_BUF_INIT, out = MU_BUF_INIT;
    struct mu_wire_event e;
    struct mu_err err = {0};
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        mu_wire_add_note(&notes, list[i], list[i]->task, list[i]->peer);
    add_done(&notes);
    mu_wire_add_result(&out, &(const struct mu_wire_event){.index = 5}, &notes);
    assert_false(out.failed);
    if (mu_wire_read_event(&e, out.data, out.len, &at, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(at, out.len);
    assert_int_equal(e.kind, MU_EVENT_RESULT);
    struct mu_list *l = e.messages.next;
    for (size_t i = 0; i < n; i++, l = l->next)
        same_message(list[i], mu_list_entry(l, struct mu_wire_note, link)->m);
    assert_int_equal(mu_list_entry(l, struct mu_wire_note, link)->m->head.kind, MU_MSG_DONE);
    assert_ptr_equal(l->next, &e.messages);
    mu_wire_event_clear(&e);
    mu_buf_free(&notes);
    mu_buf_free(&out);
}

static void messages_with_everything(void **state)
{
    (void)state;
    struct mu_message *list[N_POSTED];
    for (size_t i = 0; i < N_POSTED; i++)
        list[i] = full_message(posted[i], 300);
    there_and_back(list, N_POSTED);
    for (size_t i = 0; i < N_POSTED; i++)
        mu_message_free(&list[i]->head);
}

static void messages_with_nothing(void **state)
{
    (void)state;
    struct mu_message *list[N_POSTED];
    for (size_t i = 0; i < N_POSTED; i++) {
        list[i] = mu_message_new(posted[i]);
        if (posted[i] == MU_MSG_STEP)
            list[i]->step = mu_step_result_new("cpu");
        if (posted[i] == MU_MSG_FAILURE) {
            list[i]->where = strdup("setup");
            list[i]->cause = strdup("x");
        }
        if (posted[i] == MU_MSG_FAILURE || posted[i] == MU_MSG_UNENDED || posted[i] == MU_MSG_FACTS ||
            posted[i] == MU_MSG_KEEP || posted[i] == MU_MSG_ACQUIRE)
            list[i]->text = strdup("t");
    }
    there_and_back(list, N_POSTED);
    for (size_t i = 0; i < N_POSTED; i++)
        mu_message_free(&list[i]->head);
}

static void an_artefact_of_megabytes(void **state)
{
    (void)state;
    struct mu_message *m = full_message(MU_MSG_KEEP, (size_t)5 << 20);
    there_and_back(&m, 1);
    mu_message_free(&m->head);
}

/* Arrays of a step have room for a power of two: what is added next must find it. */
static void a_step_that_was_read_takes_more(void **state)
{
    (void)state;
    for (size_t n = 0; n < 10; n++) {
        struct mu_buf notes = MU_BUF_INIT, out = MU_BUF_INIT;
        struct mu_wire_event e;
        size_t at = 0;
        struct mu_message *m = mu_message_new(MU_MSG_STEP);
        m->step = mu_step_result_new("cpu");
        for (size_t i = 0; i < n; i++) {
            mu_step_result_add_metric(m->step, "score", 1, NULL, NULL);
            mu_step_result_add_failure(m->step, MU_ST_FAILED, NULL, NULL, "c", "m");
        }
        mu_wire_add_note(&notes, m, 0, 0);
        add_done(&notes);
        mu_wire_add_result(&out, &(const struct mu_wire_event){.index = 5}, &notes);
        assert_int_equal(mu_wire_read_event(&e, out.data, out.len, &at, NULL), 0);
        struct mu_step_result *s = mu_list_entry(e.messages.next, struct mu_wire_note, link)->m->step;
        for (size_t i = n; i < 20; i++) {
            assert_int_equal(mu_step_result_add_metric(s, "more", 2, "s", NULL), 0);
            assert_int_equal(mu_step_result_add_failure(s, MU_ST_FAILED, "T", "more", "c", "m"), 0);
        }
        assert_int_equal(s->n_metrics, 20);
        assert_int_equal(s->n_failures, 20);
        mu_wire_event_clear(&e);
        mu_message_free(&m->head);
        mu_buf_free(&notes);
        mu_buf_free(&out);
    }
}

static void what_no_task_posts_is_not_written(void **state)
{
    (void)state;
    static const int others[] = {MU_MSG_DEAL, MU_MSG_CANCEL, MU_MSG_ANSWER, MU_MSG_EXITED, MU_MSG_PROMPT, MU_MSG_STEP};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct mu_buf out = MU_BUF_INIT;
        struct mu_message *m = mu_message_new(others[i]); /* a step without a result among them */
        mu_wire_add_note(&out, m, 0, 0);
        assert_true(out.failed);
        mu_message_free(&m->head);
        mu_buf_free(&out);
    }
}

static void events_and_lines(void **state)
{
    (void)state;
    static char text[] = "semaphore \xff";
    struct mu_buf out = MU_BUF_INIT;
    struct mu_wire_event e;
    size_t at = 0;
    for (int kind = MU_EVENT_STARTED; kind <= MU_EVENT_IDLE; kind++) {
        if (kind == MU_EVENT_RESULT)
            add_result(&out, 10);
        else if (kind == MU_EVENT_LINE)
            add_line(&out);
        else
            mu_wire_add_event(&out, &(const struct mu_wire_event){
                                        .kind = (enum mu_wire_event_kind)kind, .index = SIZE_MAX, .task = MU_TASK_MARK,
                                        .delivery = 4, .ticket = UINT64_MAX, .wall_ms = -1, .text = text, .limit = UINT32_MAX,
                                        .first = true, .held = true});
    }
    mu_wire_add_event(&out, &(const struct mu_wire_event){.kind = MU_EVENT_CLAIM});
    assert_false(out.failed);
    for (int kind = MU_EVENT_STARTED; kind <= MU_EVENT_IDLE; kind++) {
        assert_int_equal(mu_wire_read_event(&e, out.data, out.len, &at, NULL), 0);
        assert_int_equal(e.kind, kind);
        assert_int_equal(e.line != NULL, kind == MU_EVENT_LINE);
        assert_int_equal(mu_list_empty(&e.messages), kind != MU_EVENT_RESULT);
        if (kind == MU_EVENT_RESULT) {
            assert_int_equal(e.index, 12);
            assert_int_equal(e.task, MU_TASK_AGAIN);
            assert_int_equal(e.delivery, 3);
            assert_int_equal(mu_list_entry(e.messages.next, struct mu_wire_note, link)->m->task, 12);
            assert_int_equal(mu_list_entry(e.messages.next, struct mu_wire_note, link)->m->peer, 13);
        } else if (kind == MU_EVENT_LINE) {
            assert_int_equal(e.line->level, MU_WARNING);
            assert_int_equal(e.line->wall_ms, 1700060320123);
            assert_int_equal(e.line->msg.len, 4);
            assert_memory_equal(e.line->msg.data, "a\0b\xff", 4);
            const struct mu_field *f = e.line->fields;
            assert_int_equal(e.line->n_fields, 5);
            assert_true(f[0].type == MU_FIELD_STR && !strcmp(f[0].key, "server") && !strcmp(f[0].v.str, "srv\xff"));
            assert_true(f[1].type == MU_FIELD_INT && !strcmp(f[1].key, "exit") && f[1].v.i == INT64_MIN);
            assert_true(f[2].type == MU_FIELD_NUM && f[2].v.num == 2);
            assert_true(f[3].type == MU_FIELD_BOOL && f[3].v.b);
            assert_true(f[4].type == MU_FIELD_INT && f[4].v.i == 5);
        } else {
            assert_int_equal(e.index, SIZE_MAX);
            assert_int_equal(e.task, MU_TASK_MARK);
            assert_int_equal(e.delivery, 4);
            assert_int_equal(e.ticket, UINT64_MAX);
            assert_int_equal(e.wall_ms, -1);
            assert_string_equal(e.text, text);
            assert_int_equal(e.limit, UINT32_MAX);
            assert_true(e.first && e.held);
        }
        mu_wire_event_clear(&e);
    }
    assert_int_equal(mu_wire_read_event(&e, out.data, out.len, &at, NULL), 0);
    assert_true(!e.text && !e.index && !e.delivery && !e.ticket && !e.limit && !e.first && !e.held);
    mu_wire_event_clear(&e);
    assert_int_equal(mu_wire_read_event(&e, out.data, out.len, &at, NULL), MU_ENOENT);
    mu_wire_event_clear(&e);
    mu_buf_free(&out);
}

static void letters_and_words(void **state)
{
    (void)state;
    static char text[] = "no such";
    struct mu_buf out = MU_BUF_INIT;
    struct mu_wire_letter l;
    struct mu_wire_word w;
    size_t at = 0;
    mu_wire_add_letter(&out, &(const struct mu_wire_letter){UINT64_MAX, true, "ab\0c", 4});
    assert_int_equal(mu_wire_read_letter(&l, out.data, out.len, NULL), 0);
    assert_true(l.number == UINT64_MAX && l.more && l.len == 4);
    assert_memory_equal(l.bytes, "ab\0c", 4);
    assert_in_range((uintptr_t)l.bytes, (uintptr_t)out.data, (uintptr_t)(out.data + out.len)); /* borrowed */
    mu_buf_clear(&out);
    mu_wire_add_letter(&out, &(const struct mu_wire_letter){1, false, NULL, 0});
    assert_int_equal(mu_wire_read_letter(&l, out.data, out.len, NULL), 0);
    assert_true(l.number == 1 && !l.more && !l.len);
    mu_buf_clear(&out);
    for (int kind = MU_WORD_HAIL; kind <= MU_WORD_KILL; kind++)
        mu_wire_add_word(&out, &(const struct mu_wire_word){(enum mu_wire_word_kind)kind, 7, 8, 9, UINT64_MAX, MU_ELOST, text});
    mu_wire_add_word(&out, &(const struct mu_wire_word){.kind = MU_WORD_ANSWER});
    for (int kind = MU_WORD_HAIL; kind <= MU_WORD_KILL; kind++) {
        assert_int_equal(mu_wire_read_word(&w, out.data, out.len, &at, NULL), 0);
        assert_int_equal(w.kind, kind);
        assert_true(w.index == 7 && w.delivery == 8 && w.ticket == 9 && w.grace_ms == UINT64_MAX && w.code == MU_ELOST);
        assert_string_equal(w.text, text);
        mu_wire_word_clear(&w);
    }
    assert_int_equal(mu_wire_read_word(&w, out.data, out.len, &at, NULL), 0);
    assert_true(!w.code && !w.text);
    mu_wire_word_clear(&w);
    assert_int_equal(mu_wire_read_word(&w, out.data, out.len, &at, NULL), MU_ENOENT);
    mu_buf_free(&out);
}

/* ---- tasks ---- */

static void is_server_b(const struct mu_server *s)
{
    static const char *const names[] = {"f", "groups", "i", "list", "no", "none", "s", "yes"};
    assert_string_equal(s->id, "b");
    assert_string_equal(s->address, "10.0.0.2");
    assert_int_equal(s->port, 2222);
    assert_string_equal(s->user, "ops");
    assert_string_equal(s->key, "/keys/id");
    assert_string_equal(s->ssh_args, "-J bastion");
    assert_false(s->local);
    assert_int_equal(s->n_vars, 8); /* a secret is not there at all */
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(s->vars[i].name, names[i]);
    assert_true(mu_server_var(s, "f")->type == MU_VAR_NUM && mu_server_var(s, "f")->num == 1.5);
    assert_true(mu_server_var(s, "i")->type == MU_VAR_INT && mu_server_var(s, "i")->i == -5);
    assert_true(mu_server_var(s, "yes")->type == MU_VAR_BOOL && mu_server_var(s, "yes")->i == 1);
    assert_true(mu_server_var(s, "no")->type == MU_VAR_BOOL && mu_server_var(s, "no")->i == 0);
    assert_true(mu_server_var(s, "s")->type == MU_VAR_STR);
    assert_string_equal(mu_server_var(s, "s")->str, "te\"xt");
    assert_true(mu_server_var(s, "list")->type == MU_VAR_JSON);
    assert_string_equal(mu_server_var(s, "list")->str, "[1,{\"x\":null}]");
    assert_string_equal(mu_server_var(s, "none")->str, "null");
}

static void read_task(struct mu_wire_task *t, const struct mu_buf *b)
{
    struct mu_err err = {0};
    if (mu_wire_read_task(t, b->data, b->len, &err))
        fail_msg("%s", err.msg);
}

static void tasks_with_everything(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    for (int kind = MU_TASK_RUN; kind <= MU_TASK_AFTER_ALL; kind++) {
        struct mu_buf out = MU_BUF_INIT;
        struct mu_wire_task t;
        struct mu_message *deal = full_deal((enum mu_task_kind)kind);
        size_t n;
        add_task(&out, &w, (enum mu_task_kind)kind);
        assert_null(memmem(out.data, out.len, "hush", 4)); /* no secret leaves */
        read_task(&t, &out);
        assert_string_equal(t.run_id, "20261126T000000Z-abcdef");
        assert_int_equal(t.kind, kind);
        assert_int_equal(t.index, 1);
        assert_int_equal(t.peer, 2);
        assert_int_equal(mu_inventory_count(t.servers), kind == MU_TASK_PAIR ? 2 : 1);
        is_server_b(mu_inventory_at(t.servers, 0));
        assert_non_null(mu_inventory_group(t.servers, "dc1"));
        assert_int_equal(mu_inventory_group(t.servers, "gpu")->n_members, 1);
        if (kind == MU_TASK_PAIR) {
            assert_string_equal(mu_inventory_at(t.servers, 1)->id, "c");
            assert_true(mu_inventory_at(t.servers, 1)->local);
            assert_null(mu_server_var(mu_inventory_at(t.servers, 1), "db_password"));
        }
        assert_int_equal(t.verdict->status, MU_ST_TIMEOUT);
        assert_string_equal(t.verdict->reason, "muster: slow");
        same_failures(t.verdict->failures, t.verdict->n_failures, deal->verdict->failures, deal->verdict->n_failures);
        assert_string_equal(t.repeat->why, "behind its peers");
        assert_true(t.repeat->n == 2 && !t.repeat->steps[0] && t.repeat->steps[1]);
        assert_string_equal(t.claim, deal->text);
        assert_string_equal(t.past_why, "since it is so");
        const double *v = mu_past_find(t.past, "b", "cpu", "score", &n); /* as many as its rule looks at */
        assert_true(n == 3 && v[0] == 50 && v[1] == 49 && v[2] == 48);
        v = mu_past_find(t.past, "b", "disk", "lat", &n);
        assert_true(n == 2 && v[0] == 0.5 && isnan(v[1]));
        assert_null(mu_past_find(t.past, "b", "cpu", "other", &n)); /* no rule looks at it */
        assert_null(mu_past_find(t.past, "a", "cpu", "score", &n));
        mu_wire_task_clear(&t);
        mu_message_free(&deal->head);
        mu_buf_free(&out);
    }
    free_world(&w);
}

static void tasks_with_nothing(void **state)
{
    (void)state;
    struct world w;
    struct mu_buf out = MU_BUF_INIT;
    struct mu_wire_task t;
    struct mu_message *deal = mu_message_new(MU_MSG_DEAL);
    make_world(&w);
    mu_wire_add_task(&out, "r", deal, w.servers[2], NULL, NULL, NULL, NULL, NULL);
    read_task(&t, &out);
    assert_true(!t.verdict && !t.repeat && !t.claim && !t.past && !t.past_why && !t.index && !t.peer && t.kind == MU_TASK_RUN);
    assert_string_equal(mu_inventory_at(t.servers, 0)->id, "c");
    mu_wire_task_clear(&t);
    mu_buf_clear(&out);
    deal->kind = MU_TASK_BEFORE_ALL; /* about none */
    mu_wire_add_task(&out, "r", deal, NULL, NULL, NULL, NULL, NULL, NULL);
    read_task(&t, &out);
    assert_null(t.servers);
    mu_wire_task_clear(&t);
    mu_message_free(&deal->head);
    mu_buf_free(&out);
    free_world(&w);
}

/* Ansible says groups elsewhere than in variables, and variables may have names that are fields of ours. */
static void a_server_of_ansible_stays_in_its_groups(void **state)
{
    (void)state;
    static const char ini[] = "[dc1]\nsrv1 ansible_host=10.0.0.9 ansible_port=2200 ansible_user=ops user=somebody rack=r1\n"
                              "[gpu:children]\ndc1\n";
    struct mu_inventory *inv = NULL;
    struct mu_buf out = MU_BUF_INIT;
    struct mu_wire_task t;
    struct mu_err err = {0};
    struct mu_message *deal = mu_message_new(MU_MSG_DEAL);
    assert_int_equal(mu_inventory_new(&inv), 0);
    if (mu_inventory_parse(inv, "hosts.ini", ini, strlen(ini), &err))
        fail_msg("%s", err.msg);
    assert_true(mu_inventory_at(inv, 0)->grouped);
    mu_wire_add_task(&out, "r", deal, mu_inventory_at(inv, 0), NULL, NULL, NULL, NULL, NULL);
    read_task(&t, &out);
    const struct mu_server *s = mu_inventory_at(t.servers, 0);
    assert_int_equal(mu_inventory_group(t.servers, "dc1")->n_members, 1);
    assert_int_equal(mu_inventory_group(t.servers, "gpu")->n_members, 1);
    assert_string_equal(s->address, "10.0.0.9");
    assert_int_equal(s->port, 2200);
    assert_string_equal(s->user, "ops");
    assert_string_equal(mu_server_var(s, "user")->str, "somebody");
    assert_string_equal(mu_server_var(s, "rack")->str, "r1");
    mu_wire_task_clear(&t);
    mu_message_free(&deal->head);
    mu_buf_free(&out);
    mu_inventory_free(inv);
}

/* What is no UTF-8 cannot be written as JSON: that is told, and nothing half is sent. */
static void a_server_that_is_no_text_is_told(void **state)
{
    (void)state;
    struct world w;
    struct mu_buf out = MU_BUF_INIT;
    struct mu_message *deal = mu_message_new(MU_MSG_DEAL);
    make_world(&w);
    assert_int_equal(mu_server_set(w.servers[0], "site", "fra", NULL), 0);
    mu_server_var(w.servers[0], "site")->str[0] = '\xff';
    mu_wire_add_task(&out, "r", deal, w.servers[0], NULL, NULL, NULL, NULL, NULL);
    assert_true(out.failed);
    mu_message_free(&deal->head);
    mu_buf_free(&out);
    free_world(&w);
}

/* A past that is known, and has nothing of the server, is none that is unknown: the verdicts' words differ. */
static void an_empty_past_stays_one(void **state)
{
    (void)state;
    struct world w;
    struct mu_buf out = MU_BUF_INIT;
    struct mu_wire_task t;
    struct mu_message *deal = mu_message_new(MU_MSG_DEAL);
    size_t n = 1;
    make_world(&w);
    deal->task = 2;
    mu_wire_add_task(&out, "r", deal, w.servers[2], NULL, w.rules, &world_script, w.past, NULL);
    read_task(&t, &out);
    assert_non_null(t.past);
    assert_null(mu_past_find(t.past, "c", "cpu", "score", &n));
    assert_int_equal(n, 0);
    mu_wire_task_clear(&t);
    mu_message_free(&deal->head);
    mu_buf_free(&out);
    free_world(&w);
}

/* ---- sizes ---- */

static struct mu_message *typical_step(const char *name)
{
    struct mu_threshold th = {0};
    struct mu_message *m = mu_message_new(MU_MSG_STEP);
    m->step = mu_step_result_new(name);
    m->wall_ms = m->step->started_ms = 1700060320123;
    m->step->duration_ms = 61042;
    assert_int_equal(mu_threshold_parse(&th, ">= 50 MiB/s", NULL), 0);
    mu_step_result_add_metric(m->step, "read_bandwidth", 51.25, NULL, &th);
    mu_step_result_add_samples(m->step, "write_bandwidth", (const double[]){1, 2, 3.5}, 3, NULL, &th);
    mu_step_result_add_metric(m->step, "latency", 0.125, "ms", NULL);
    mu_threshold_clear(&th);
    return m;
}

/* So that a fleet's results stay small; the processor's time is told, not judged. */
static void a_typical_result_is_small(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    struct mu_message *steps[] = {typical_step("storage"), typical_step("network")}, *done = mu_message_new(MU_MSG_DONE);
    struct mu_buf notes = MU_BUF_INIT, out = MU_BUF_INIT;
    clock_t start = clock(), middle, end;
    for (int i = 0; i < ROUNDS; i++) {
        mu_buf_clear(&notes);
        mu_buf_clear(&out);
        mu_wire_add_note(&notes, steps[0], 70000, 0);
        mu_wire_add_note(&notes, steps[1], 70000, 0);
        mu_wire_add_note(&notes, done, 70000, 0);
        mu_wire_add_result(&out, &(const struct mu_wire_event){.index = 70000, .delivery = 1}, &notes);
    }
    middle = clock();
    for (int i = 0; i < ROUNDS; i++) {
        struct mu_wire_event e;
        size_t at = 0;
        assert_int_equal(mu_wire_read_event(&e, out.data, out.len, &at, NULL), 0);
        mu_wire_event_clear(&e);
    }
    end = clock();
    print_message("a result of 2 steps with 3 metrics each: %zu bytes, written in %.2f us, read in %.2f us\n", out.len,
                  1e6 * (double)(middle - start) / CLOCKS_PER_SEC / ROUNDS,
                  1e6 * (double)(end - middle) / CLOCKS_PER_SEC / ROUNDS);
    assert_in_range(out.len, 200, 1500);
    mu_message_free(&steps[0]->head);
    mu_message_free(&steps[1]->head);
    mu_message_free(&done->head);
    mu_buf_free(&notes);
    mu_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_with_everything),
        cmocka_unit_test(messages_with_nothing),
        cmocka_unit_test(an_artefact_of_megabytes),
        cmocka_unit_test(a_step_that_was_read_takes_more),
        cmocka_unit_test(what_no_task_posts_is_not_written),
        cmocka_unit_test(events_and_lines),
        cmocka_unit_test(letters_and_words),
        cmocka_unit_test(tasks_with_everything),
        cmocka_unit_test(tasks_with_nothing),
        cmocka_unit_test(a_server_of_ansible_stays_in_its_groups),
        cmocka_unit_test(a_server_that_is_no_text_is_told),
        cmocka_unit_test(an_empty_past_stays_one),
        cmocka_unit_test(a_typical_result_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
