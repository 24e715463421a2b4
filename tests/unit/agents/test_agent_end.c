/* How an agent ends its tasks, beside a coordinator made by hand: when it is told to, when it is told that the run is over, when it
 * leaves, and when it is told nothing, since there is no contact. */
#include "agent_test.h"

/* ---- being told to end ---- */

#define SLOW                                                                                                                   \
    HEAD "return { setup = function(server) server:claim({ n = 1 }) end,\n"                                                    \
         "  steps = { { name = 'a', run = function(server) server:exec('exec sleep 1000') end } },\n"                          \
         "  teardown = function(server) server:release() end }"

static void until_claimed(struct desk *d)
{
    expect(d, MU_EVENT_STARTED);
    expect(d, MU_EVENT_CLAIM);
}

static void a_cancelled_run_is_told_to_its_end(void **state)
{
    struct desk *d = desk_ready(state, SLOW);
    put_task(d, 0);
    agent_start(d, 1, 5000);
    until_claimed(d);
    put_task(d, 1); /* not begun */
    put_brief(d, MU_BRIEF_CANCELLED);
    say(d, (struct mu_wire_word){.kind = MU_WORD_CANCEL, .grace_ms = 5000}, true);
    assert_null(expect(d, MU_EVENT_CLAIM)->text);
    struct mu_wire_event *e = expect(d, MU_EVENT_RESULT);
    assert_int_equal(part(e, MU_MSG_STEP)->step->status, MU_ST_CANCELLED);
    expect(d, MU_EVENT_IDLE);
    until_acknowledged(d, 1); /* taken after that, and not begun */
    expect(d, MU_EVENT_IDLE);
    assert_true(has_task(d, 0));
    say(d, (struct mu_wire_word){.kind = MU_WORD_KEPT, .index = 0, .delivery = 1}, false);
    until_acknowledged(d, 0);
    assert_false(is_waiting(d));
}

static void what_is_killed_is_told_at_once(void **state)
{
    struct desk *d =
        desk_ready(state, HEAD "return { setup = function(server) server:claim({ n = 1 }) end,\n"
                               "  steps = { { name = 'a', run = function(server) server:exec('exec sleep 1000') end } },\n"
                               "  teardown = function(server) server:exec('exec sleep 1000') end }");
    put_task(d, 0);
    agent_start(d, 1, 5000);
    until_claimed(d);
    say(d, (struct mu_wire_word){.kind = MU_WORD_KILL}, true);
    struct mu_wire_event *e = expect(d, MU_EVENT_RESULT);
    assert_non_null(part(e, MU_MSG_DONE));
    expect(d, MU_EVENT_IDLE);
}

static void a_task_that_is_dropped_ends_without_a_word(void **state)
{
    struct desk *d = desk_ready(state, SLOW);
    struct mu_buf now = MU_BUF_INIT;
    put_task(d, 0);
    put_task(d, 1);
    agent_start(d, 2, 5000);
    for (int i = 0; i < 4; i++)
        next_event(d); /* two that have begun and claimed */
    say(d, (struct mu_wire_word){.kind = MU_WORD_DROP, .index = 0, .delivery = 4}, false); /* not this one */
    turn_for_ms(d->b, 50);
    assert_true(has_task(d, 0));
    say(d, (struct mu_wire_word){.kind = MU_WORD_DROP, .index = 0, .delivery = 1}, false);
    until_acknowledged(d, 0);
    do { /* its teardown has run */
        turn_for_ms(d->b, 5);
        mu_buf_clear(&now);
        get_claim(d, 0, &now);
    } while (now.len);
    assert_null(expect(d, MU_EVENT_CLAIM)->text); /* which is told, since it is so */
    turn_for_ms(d->b, 50);
    assert_false(is_waiting(d));
    get_claim(d, 1, &now);
    assert_true(now.len > 0); /* the other one goes on */
    assert_true(has_task(d, 1));
    put_task(d, 2); /* and its place is free */
    struct mu_wire_event *e = expect(d, MU_EVENT_STARTED);
    assert_int_equal(e->index, 2);
    mu_buf_free(&now);
}

static void a_task_that_another_agent_is_at_is_left_to_that_one(void **state)
{
    ((struct desk *)*state)->ack_wait_ms = ACK_WAIT_MS;
    struct desk *d = desk_ready(state, SLOW);
    put_task(d, 0);
    agent_start(d, 1, 1000);
    expect(d, MU_EVENT_STARTED);
    expect(d, MU_EVENT_CLAIM);
    say(d, (struct mu_wire_word){.kind = MU_WORD_DROP, .index = 0, .delivery = 1, .code = MU_EEXIST}, false);
    assert_null(expect(d, MU_EVENT_CLAIM)->text);
    assert_true(has_task(d, 0));
    struct mu_wire_event *e = expect(d, MU_EVENT_STARTED); /* nobody was: it is handed out again */
    assert_int_equal(e->delivery, 2);
}

/* As if nats-server, which was killed, had forgotten that it had handed the task out. */
static void a_task_with_a_claim_that_is_news_is_left_to_whoever_claimed(void **state)
{
    ((struct desk *)*state)->ack_wait_ms = ACK_WAIT_MS;
    struct desk *d = desk_ready(state, SLOW);
    struct mu_buf now = MU_BUF_INIT;
    put_task(d, 0);
    put_claim(d, 0, "{\"n\":9}", MU_NATS_NONE, NULL, 0);
    agent_start(d, 1, 1000);
    assert_int_equal(expect(d, MU_EVENT_STARTED)->delivery, 1);
    struct mu_wire_event *e = expect(d, MU_EVENT_STARTED); /* it came once more: nobody is at it */
    assert_int_equal(e->delivery, 2);
    assert_string_equal(expect(d, MU_EVENT_CLAIM)->text, "{\"n\":9}");
    mu_buf_free(&now);
}

static void a_run_that_is_over_is_forgotten(void **state)
{
    struct desk *d = desk_ready(state, SLOW);
    put_task(d, 0);
    agent_start(d, 1, 5000);
    until_claimed(d);
    put_brief(d, MU_BRIEF_OVER);
    say(d, (struct mu_wire_word){.kind = MU_WORD_HAIL, .text = (char *)MUSTER_VERSION}, true); /* so that it looks now */
    until_acknowledged(d, 0);
    assert_false(is_waiting(d));
    put_brief(d, MU_BRIEF_OPEN); /* it is gone on with: letters are numbered on */
    put_task(d, 1);
    uint64_t before = d->last;
    assert_int_equal(expect(d, MU_EVENT_STARTED)->index, 1);
    assert_true(d->last > before);
}

/* A run that was cancelled is gone on with, while the acknowledgement of a former result is still missing. */
static void a_cancelled_run_may_be_gone_on_with(void **state)
{
    struct desk *d = desk_ready(state, SLOW);
    put_task(d, 0);
    agent_start(d, 1, 5000);
    until_claimed(d);
    put_brief(d, MU_BRIEF_CANCELLED);
    say(d, (struct mu_wire_word){.kind = MU_WORD_CANCEL, .grace_ms = 5000}, true);
    assert_null(expect(d, MU_EVENT_CLAIM)->text);
    expect(d, MU_EVENT_RESULT);
    expect(d, MU_EVENT_IDLE);
    put_brief(d, MU_BRIEF_OPEN);
    put_task(d, 1);
    assert_int_equal(expect(d, MU_EVENT_STARTED)->index, 1);
    expect(d, MU_EVENT_CLAIM);
    assert_true(has_task(d, 0));
    say(d, (struct mu_wire_word){.kind = MU_WORD_KEPT, .index = 0, .delivery = 1}, false);
    until_acknowledged(d, 0);
}

/* ---- leaving ---- */

static void a_drained_agent_ends_what_runs_and_gives_back_the_rest(void **state)
{
    struct desk *d = desk_ready(state, HEAD "return { steps = { { name = 'a', run = function(server)\n"
                                            "  muster.semaphore('gate', 1):acquire() return 1 end } } }");
    struct mu_nats_pull *pull = NULL;
    put_task(d, 0);
    agent_start(d, 1, 60000);
    expect(d, MU_EVENT_STARTED);
    uint64_t ticket = expect(d, MU_EVENT_ACQUIRE)->ticket;
    mu_agent_drain(d->agent);
    put_task(d, 1);
    struct mu_nats_job *job = take_elsewhere(d, &pull); /* nobody there wants it any more */
    assert_true(mu_nats_job_delivery(job) <= 2);        /* it may have been on its way */
    say(d, (struct mu_wire_word){.kind = MU_WORD_ANSWER, .ticket = ticket}, false);
    expect(d, MU_EVENT_LEAVE);
    expect(d, MU_EVENT_RESULT);
    assert_int_equal(atomic_load(&d->over), 0); /* it waits for that to be taken */
    say(d, (struct mu_wire_word){.kind = MU_WORD_KEPT, .index = 0, .delivery = 1}, false);
    agent_wait(d);
    assert_false(has_task(d, 0));
    mu_nats_job_free(job);
    mu_nats_pull_free(pull);
}

static void past_the_drain_timeout_tasks_go_back(void **state)
{
    struct desk *d = desk_ready(state, SLOW);
    struct mu_nats_pull *pull = NULL;
    struct mu_buf now = MU_BUF_INIT;
    put_task(d, 0);
    agent_start(d, 1, 200);
    until_claimed(d);
    mu_agent_drain(d->agent);
    agent_wait(d);
    get_claim(d, 0, &now); /* its teardown has run */
    assert_int_equal(now.len, 0);
    struct mu_nats_job *job = take_elsewhere(d, &pull); /* at once, not after the ack wait: it would be renewed until then */
    assert_int_equal(mu_nats_job_delivery(job), 2);
    mu_nats_job_free(job);
    mu_nats_pull_free(pull);
    turn_for_ms(d->b, 50);
    for (struct mu_list *l = d->heard.next; l != &d->heard; l = l->next) /* nothing of it became a result */
        assert_int_not_equal(mu_list_entry(l, struct heard, link)->e.kind, MU_EVENT_RESULT);
    mu_buf_free(&now);
}

static void the_second_time_it_leaves_at_once(void **state)
{
    struct desk *d =
        desk_ready(state, HEAD "return { setup = function(server) server:claim({ n = 1 }) end,\n"
                               "  steps = { { name = 'a', run = function(server) server:exec('exec sleep 1000') end } },\n"
                               "  teardown = function(server) server:exec('exec sleep 1000') end }");
    struct mu_nats_pull *pull = NULL;
    put_task(d, 0);
    agent_start(d, 1, 600000);
    until_claimed(d);
    mu_agent_drain(d->agent);
    mu_agent_drain(d->agent);
    agent_wait(d);
    struct mu_nats_job *job = take_elsewhere(d, &pull);
    assert_int_equal(mu_nats_job_delivery(job), 2);
    mu_nats_job_free(job);
    mu_nats_pull_free(pull);
}

/* ---- no contact ---- */

static void without_contact_tasks_end_and_are_told_no_more(void **state)
{
    struct desk *d = desk_ready(state, SLOW);
    d->ack_wait_ms = ACK_WAIT_MS;
    put_task(d, 0);
    agent_start(d, 1, 5000);
    until_claimed(d);
    server_signal(d->b, SIGSTOP);
    usleep((ACK_WAIT_MS + 2500) * 1000);
    server_signal(d->b, SIGCONT);
    /* It has its own task again, as anybody could, and begins it when the first one is over. */
    struct mu_wire_event *e = expect(d, MU_EVENT_STARTED);
    assert_true(e->delivery > 1);
    uint64_t delivery = e->delivery;
    while ((e = next_event(d))->kind != MU_EVENT_CLAIM)
        ;
    assert_int_equal(e->delivery, delivery);
    say(d, (struct mu_wire_word){.kind = MU_WORD_CANCEL, .grace_ms = 5000}, true);
    while ((e = next_event(d))->kind != MU_EVENT_RESULT)
        ;
    assert_int_equal(e->delivery, delivery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cancelled_run_is_told_to_its_end),
        TEST(a_cancelled_run_may_be_gone_on_with),
        TEST(what_is_killed_is_told_at_once),
        TEST(a_task_that_is_dropped_ends_without_a_word),
        TEST(a_task_that_another_agent_is_at_is_left_to_that_one),
        TEST(a_task_with_a_claim_that_is_news_is_left_to_whoever_claimed),
        TEST(a_run_that_is_over_is_forgotten),
        TEST(a_drained_agent_ends_what_runs_and_gives_back_the_rest),
        TEST(past_the_drain_timeout_tasks_go_back),
        TEST(the_second_time_it_leaves_at_once),
        TEST(without_contact_tasks_end_and_are_told_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
