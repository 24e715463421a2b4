/* An agent beside a coordinator made by hand: what it writes of the tasks that it takes, what it cannot run, claims and questions.
 * How tasks end, and how it leaves: test_agent_end.c. */
#include "agent_test.h"

/* ---- a task that goes well ---- */

static void a_result_is_kept_until_it_is_taken(void **state)
{
    struct desk *d = desk_ready(state, HEAD "return { steps = { { name = 'cpu', run = function(server)\n"
                                            "  muster.log.info('measuring')\n"
                                            "  return { score = tonumber(server:exec('echo 41').stdout) } end } } }");
    d->ack_wait_ms = ACK_WAIT_MS;
    put_task(d, 1);
    agent_start(d, 2, 5000);
    struct mu_wire_event *e = expect(d, MU_EVENT_STARTED);
    assert_int_equal(e->index, 1);
    assert_int_equal(e->delivery, 1);
    e = expect(d, MU_EVENT_RESULT);
    assert_int_equal(e->index, 1);
    assert_int_equal(e->delivery, 1);
    assert_int_equal(e->task, MU_TASK_RUN);
    struct mu_message *step = part(e, MU_MSG_STEP), *ending = part(e, MU_MSG_ENDING), *done = part(e, MU_MSG_DONE);
    assert_non_null(step);
    assert_int_equal(step->task, 1);
    assert_string_equal(step->step->metrics[0].name, "score");
    assert_true(step->step->metrics[0].value == 41);
    assert_non_null(ending);
    assert_non_null(done);
    assert_int_equal(done->task, 1);
    assert_int_equal(done->number, ending->took_ms);
    turn_for_ms(d->b, ACK_WAIT_MS + 500); /* meanwhile it renews */
    assert_true(has_task(d, 1));
    assert_false(is_waiting(d));
    say(d, (struct mu_wire_word){.kind = MU_WORD_KEPT, .index = 1, .delivery = 2}, false); /* not this one */
    turn_for_ms(d->b, 100);
    assert_true(has_task(d, 1));
    say(d, (struct mu_wire_word){.kind = MU_WORD_KEPT, .index = 1, .delivery = 1}, false);
    until_acknowledged(d, 1);
    mu_agent_drain(d->agent);
    agent_wait(d);
}

static void lines_come_in_order_around_the_result(void **state)
{
    struct desk *d = desk_ready(state, HEAD "return { steps = { { name = 'cpu', run = function(server)\n"
                                            "  muster.log.info('measuring') return 1 end } } }");
    char seen[256] = "";
    put_task(d, 0);
    agent_start(d, 2, 5000);
    while (!strstr(seen, "idle")) {
        mu_loop_turn(d->b->loop, true);
        while (!mu_list_empty(&d->heard)) {
            struct heard *h = mu_list_entry(d->heard.next, struct heard, link);
            if (h->e.kind == MU_EVENT_LINE) {
                const char *text = mu_buf_cstr(&h->e.line->msg);
                bool server = false;
                for (size_t i = 0; i < h->e.line->n_fields; i++)
                    server = server ||
                             (!strcmp(h->e.line->fields[i].key, "server_id") && !strcmp(h->e.line->fields[i].v.str, "srv0"));
                assert_true(server);
                strcat(seen, !strncmp(text, "measuring", 9)          ? "measuring "
                             : !strncmp(text, "Server finished", 15) ? "finished "
                                                                     : "");
            } else {
                strcat(seen, h->e.kind == MU_EVENT_STARTED  ? "started "
                             : h->e.kind == MU_EVENT_RESULT ? "result "
                             : h->e.kind == MU_EVENT_IDLE   ? "idle "
                                                            : "? ");
            }
            let_go(h);
        }
    }
    assert_string_equal(seen, "started measuring result finished idle ");
}

/* ---- what cannot be run ---- */

static void a_bundle_that_is_not_what_its_name_says_is_refused(void **state)
{
    struct desk *d = desk_up(state, "return { steps = { { name = 'a', run = function() return 1 end } } }");
    put_bundle(d, true);
    put_brief(d, MU_BRIEF_OPEN);
    put_task(d, 0);
    put_task(d, 1);
    agent_start(d, 2, 5000);
    for (int i = 0; i < 2; i++) {
        struct mu_wire_event *e = expect(d, MU_EVENT_REFUSED);
        assert_int_equal(e->delivery, 1);
        assert_non_null(strstr(e->text, "bundle"));
        assert_null(strchr(e->text, '\n'));
        assert_true(has_task(d, e->index));
        say(d, (struct mu_wire_word){.kind = MU_WORD_KEPT, .index = e->index, .delivery = 1}, false);
        until_acknowledged(d, e->index);
    }
}

static void a_script_that_does_not_load_here_is_refused(void **state)
{
    struct desk *d = desk_up(state, HEAD "assert(os.getenv('MUSTER_TEST_ELSEWHERE') == nil, 'not on this machine')\n"
                                         "return { steps = { { name = 'a', run = function() return 1 end } } }");
    put_bundle(d, false);
    put_brief(d, MU_BRIEF_OPEN);
    put_task(d, 3);
    setenv("MUSTER_TEST_ELSEWHERE", "1", 1);
    agent_start(d, 1, 5000);
    struct mu_wire_event *e = expect(d, MU_EVENT_REFUSED);
    unsetenv("MUSTER_TEST_ELSEWHERE");
    assert_int_equal(e->index, 3);
    assert_non_null(strstr(e->text, "does not load here"));
    assert_non_null(strstr(e->text, "not on this machine"));
}

static void the_last_delivery_is_not_run(void **state)
{
    struct desk *d = desk_ready(state, "return { steps = { { name = 'a', run = function() return 1 end } } }");
    put_task(d, 2);
    give_back_so_often(d, MU_MAX_DELIVER - 1);
    agent_start(d, 1, 5000);
    struct mu_wire_event *e = expect(d, MU_EVENT_EXHAUSTED);
    assert_int_equal(e->index, 2);
    assert_int_equal(e->delivery, MU_MAX_DELIVER);
    say(d, (struct mu_wire_word){.kind = MU_WORD_KEPT, .index = 2, .delivery = MU_MAX_DELIVER}, false);
    until_acknowledged(d, 2);
}

/* ---- claims ---- */

#define CLAIMS                                                                                                                 \
    HEAD "return { setup = function(server) if not server:claimed() then server:claim({ n = 1 }) end server:update_claim({ n " \
         "= 2 }) end,\n"                                                                                                       \
         "  steps = { { name = 'a', run = function(server) return muster.run.attempt end } },\n"                               \
         "  teardown = function(server) if server:claimed() then server:release() end end }"

static void claims_are_in_the_queue_before_they_count(void **state)
{
    struct desk *d = desk_ready(state, CLAIMS);
    struct mu_buf now = MU_BUF_INIT;
    put_task(d, 0);
    agent_start(d, 1, 5000);
    expect(d, MU_EVENT_STARTED);
    struct mu_wire_event *e = expect(d, MU_EVENT_CLAIM);
    assert_int_equal(e->index, 0);
    assert_string_equal(e->text, "{\"n\":1}");
    e = expect(d, MU_EVENT_CLAIM);
    assert_string_equal(e->text, "{\"n\":2}");
    e = expect(d, MU_EVENT_CLAIM);
    assert_null(e->text);
    expect(d, MU_EVENT_RESULT);
    assert_true(get_claim(d, 0, &now) > 0); /* a release is there, and is empty */
    assert_int_equal(now.len, 0);
    mu_buf_free(&now);
}

static void who_takes_over_finds_the_claim_and_locks_the_other_out(void **state)
{
    struct desk *d = desk_ready(state, CLAIMS);
    struct mu_buf now = MU_BUF_INIT;
    uint64_t seq = 0, taken;
    put_task(d, 1);
    give_back_so_often(d, 1);
    put_claim(d, 1, "{\"n\":7}", MU_NATS_NONE, &seq, 0); /* by whoever had it */
    agent_start(d, 1, 5000);
    struct mu_wire_event *e = expect(d, MU_EVENT_STARTED);
    assert_int_equal(e->delivery, 2);
    e = expect(d, MU_EVENT_CLAIM); /* is told, since nobody may know of it */
    assert_int_equal(e->delivery, 2);
    assert_string_equal(e->text, "{\"n\":7}");
    put_claim(d, 1, "{\"n\":8}", seq, NULL, MU_EEXIST);
    e = expect(d, MU_EVENT_CLAIM); /* teardown before setup */
    assert_null(e->text);
    e = expect(d, MU_EVENT_CLAIM);
    assert_string_equal(e->text, "{\"n\":1}");
    expect(d, MU_EVENT_CLAIM);
    expect(d, MU_EVENT_CLAIM);
    e = expect(d, MU_EVENT_RESULT);
    assert_true(part(e, MU_MSG_STEP)->step->metrics[0].value == 2);
    taken = get_claim(d, 1, &now);
    assert_true(taken > seq);
    mu_buf_free(&now);
}

/* One that was under way for long, when a later one has the server: it touches nothing, and leaves the task to that one. */
static void a_delivery_that_comes_late_does_not_begin(void **state)
{
    struct desk *d = *state;
    d->ack_wait_ms = ACK_WAIT_MS;
    desk_ready(state, CLAIMS);
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT, now = MU_BUF_INIT;
    mu_subject_claim(&subject, RUN, 1);
    mu_fence_write(&bytes, 1000000, 1, "{\"n\":7}"); /* a task behind all that there are */
    OK(d->b, mu_nats_put(d->b->n, subject.data, bytes.data, bytes.len, MU_NATS_NONE, NULL, &d->b->err));
    put_task(d, 1);
    agent_start(d, 1, 5000);
    assert_int_equal(expect(d, MU_EVENT_STARTED)->delivery, 1);
    assert_int_equal(expect(d, MU_EVENT_STARTED)->delivery, 2); /* after the ack wait, and nothing but that */
    assert_true(has_task(d, 1));
    get_claim(d, 1, &now);
    assert_string_equal(mu_buf_cstr(&now), "{\"n\":7}");
    mu_buf_free(&now);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

/* Somebody else changes the claim while a task has it: that one has the server now. */
static void who_was_locked_out_changes_nothing(void **state)
{
    struct desk *d = desk_ready(
        state, HEAD "return { setup = function(server) server:claim({ n = 1 })\n"
                    "  muster.semaphore('gate', 1):acquire() end,\n"
                    "  steps = { { name = 'a', run = function(server) server:update_claim({ n = 2 }) return 1 end } } }");
    struct mu_buf now = MU_BUF_INIT;
    put_task(d, 0);
    agent_start(d, 1, 5000);
    expect(d, MU_EVENT_STARTED);
    expect(d, MU_EVENT_CLAIM);
    uint64_t ticket = expect(d, MU_EVENT_ACQUIRE)->ticket;
    uint64_t seq = get_claim(d, 0, &now);
    put_claim(d, 0, "{\"n\":9}", seq, NULL, 0);
    say(d, (struct mu_wire_word){.kind = MU_WORD_ANSWER, .ticket = ticket}, false);
    expect(d, MU_EVENT_LEAVE);
    turn_for_ms(d->b, 300);
    assert_false(is_waiting(d)); /* what it came to is no result: the other one has the server, and the message */
    assert_true(has_task(d, 0));
    mu_buf_clear(&now);
    get_claim(d, 0, &now);
    assert_string_equal(now.data, "{\"n\":9}");
    mu_buf_free(&now);
}

/* ---- questions ---- */

static void questions_are_asked_anew_and_answered_once(void **state)
{
    struct desk *d = desk_ready(state, HEAD "return { steps = { { name = 'a', run = function(server)\n"
                                            "  local permit <close> = muster.semaphore('gate', 2):acquire()\n"
                                            "  muster.semaphore('other', 1):acquire()\n"
                                            "  return 1 end } } }");
    put_task(d, 2);
    agent_start(d, 1, 5000);
    expect(d, MU_EVENT_STARTED);
    struct mu_wire_event *e = expect(d, MU_EVENT_ACQUIRE);
    uint64_t first = e->ticket;
    assert_string_equal(e->text, "gate");
    assert_int_equal(e->limit, 2);
    assert_int_equal(e->index, 2);
    assert_false(e->held);
    say(d, (struct mu_wire_word){.kind = MU_WORD_HAIL, .text = (char *)MUSTER_VERSION}, true);
    e = expect(d, MU_EVENT_ACQUIRE);
    assert_int_equal(e->ticket, first);
    assert_false(e->held);
    say(d, (struct mu_wire_word){.kind = MU_WORD_ANSWER, .ticket = first}, false);
    e = expect(d, MU_EVENT_ACQUIRE);
    uint64_t second = e->ticket;
    assert_true(second != first);
    assert_string_equal(e->text, "other");
    say(d, (struct mu_wire_word){.kind = MU_WORD_HAIL, .text = (char *)MUSTER_VERSION}, true);
    e = expect(d, MU_EVENT_ACQUIRE);
    assert_int_equal(e->ticket, first);
    assert_true(e->held);
    e = expect(d, MU_EVENT_ACQUIRE);
    assert_int_equal(e->ticket, second);
    assert_false(e->held);
    say(d, (struct mu_wire_word){.kind = MU_WORD_ANSWER, .ticket = second, .code = MU_EINVAL, .text = (char *)"not for you"},
        false);
    e = expect(d, MU_EVENT_LEAVE);
    assert_int_equal(e->ticket, first);
    e = expect(d, MU_EVENT_RESULT);
    assert_non_null(strstr(part(e, MU_MSG_STEP)->step->failures[0].message, "not for you"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_result_is_kept_until_it_is_taken),
        TEST(lines_come_in_order_around_the_result),
        TEST(a_bundle_that_is_not_what_its_name_says_is_refused),
        TEST(a_script_that_does_not_load_here_is_refused),
        TEST(the_last_delivery_is_not_run),
        TEST(claims_are_in_the_queue_before_they_count),
        TEST(who_takes_over_finds_the_claim_and_locks_the_other_out),
        TEST(a_delivery_that_comes_late_does_not_begin),
        TEST(who_was_locked_out_changes_nothing),
        TEST(questions_are_asked_anew_and_answered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
