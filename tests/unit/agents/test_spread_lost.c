/* The coordinator's side of a run when something is lost: agents, the coordinator itself, nats-server, patience. */
#include "tests/unit/agents/hands.h"

/* ---- the coordinator ---- */

static struct hand *up(struct play *p, const char *id, unsigned wants, bool works) { return hand_up(p, id, NULL, wants, works, 0); }

/* Some have a result that was committed, some one that was not, some are at work, some in the queue. */
static void a_run_is_gone_on_with(void **state)
{
    struct play *p = play_up(state, 100);
    struct hand *h = up(p, "h1-aaaaaa", 60, false), *b;

    play_begin(p, false);
    for (size_t i = 0; i < 100; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, h->n_jobs == 60);
    for (size_t i = 0; i < 60; i++)
        write_started(h, &h->jobs[i]);
    PLAY_UNTIL(p, p->n_started == 60);
    for (size_t i = 0; i < 20; i++)
        write_result(h, &h->jobs[i]);
    PLAY_UNTIL(p, h->n_kept == 20);
    p->keeps_not = true;
    for (size_t i = 20; i < 40; i++)
        write_result(h, &h->jobs[i]);
    PLAY_UNTIL(p, p->n_done == 40);
    PLAY_UNTIL(p, h->n_stored == 100);
    play_crash(p);
    for (size_t i = 40; i < 50; i++) /* the agent goes on meanwhile */
        write_result(h, &h->jobs[i]);
    TURN_UNTIL(p->b, h->n_stored == 110);
    assert_int_equal(n_tasks(p), 80);

    /* What was committed stays; the rest did not happen. */
    p->keeps_not = false;
    p->n_done = 0;
    play_begin(p, true);
    for (size_t i = 0; i < 100; i++)
        if (p->done[i] && h->jobs[i].job == NULL && h->jobs[i].index == i)
            assert_int_equal(p->done[i], 1);
    for (size_t i = 20; i < 60; i++)
        p->done[h->jobs[i].index] = 0;
    for (size_t i = 0; i < 100; i++)
        if (!p->done[i])
            deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, p->n_done == 30); /* those that were not committed, and those that were written meanwhile */
    PLAY_UNTIL(p, h->n_kept == 50);
    for (size_t i = 50; i < 60; i++)
        write_result(h, &h->jobs[i]);
    PLAY_UNTIL(p, p->n_done == 40);
    b = up(p, "h2-bbbbbb", 100, true);
    PLAY_UNTIL(p, p->n_done == 80);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(p->done[i], 1);
    PLAY_UNTIL(p, h->n_kept == 60 && b->n_kept == 40);
    assert_int_equal(b->n_jobs, 40);
    assert_int_equal(h->n_hails, 2);
    play_end(p);
    assert_int_equal(n_tasks(p), 0);
    hand_down(h);
    hand_down(b);
}

/* The result of the server's own task was committed, but its agent was not told: its message is not the one that is dealt now. */
static void a_task_of_another_kind_is_not_taken_for_the_one_dealt(void **state)
{
    struct play *p = play_up(state, 2);
    struct hand *h = begin_with_one(p);

    for (size_t i = 0; i < 2; i++) {
        write_started(h, &h->jobs[i]);
        write_result(h, &h->jobs[i]);
    }
    p->keeps_not = true; /* it is, but there is no time for saying so */
    PLAY_UNTIL(p, p->n_done == 2);
    play_crash(p);
    p->keeps_not = false;
    h->deaf = true; /* the message of server 0 stays */
    play_begin(p, true);
    deal(p, MU_TASK_MARK, 0);
    mu_nats_pull_want(h->pull, 1);
    PLAY_UNTIL(p, h->n_jobs == 3);
    assert_int_equal(h->jobs[2].kind, MU_TASK_MARK);
    write_started(h, &h->jobs[2]);
    write_result(h, &h->jobs[2]);
    PLAY_UNTIL(p, p->n_done == 3);
    assert_string_equal(p->came[0], "step:a done mark:it is marked done ");
    assert_false(was_said("left out")); /* that of an earlier process of the run comes again, that is all */
    play_end(p);
    hand_down(h);
}

/* With fewer at a time than before: a result of one that is not dealt yet cannot be taken in, and it is run again later. */
static void a_result_that_comes_before_its_server_is_dealt(void **state)
{
    struct play *p = play_up(state, 2);
    struct hand *h = begin_with_one(p);

    play_crash(p);
    play_begin(p, true);
    deal(p, MU_TASK_RUN, h->jobs[0].index);
    write_result(h, &h->jobs[1]);
    PLAY_UNTIL(p, h->n_dropped == 1);
    write_result(h, &h->jobs[0]);
    PLAY_UNTIL(p, p->n_done == 1);
    deal(p, MU_TASK_RUN, h->jobs[1].index);
    mu_nats_pull_want(h->pull, 1);
    PLAY_UNTIL(p, h->n_jobs == 3);
    assert_int_equal(h->jobs[2].index, h->jobs[1].index);
    write_result(h, &h->jobs[2]);
    PLAY_UNTIL(p, p->n_done == 2);
    assert_int_equal(p->done[0], 1);
    assert_int_equal(p->done[1], 1);
    play_end(p);
    hand_down(h);
}

static void permits_that_are_held_count_after_a_crash(void **state)
{
    struct play *p = play_up(state, 3);
    struct hand *h = begin_with_one(p);
    struct mu_wire_event e = {.kind = MU_EVENT_ACQUIRE, .delivery = 1, .text = (char *)"api", .limit = 1};

    for (size_t i = 0; i < 3; i++)
        write_started(h, &h->jobs[i]);
    e.index = h->jobs[0].index;
    e.ticket = 1;
    write_event(h, &e);
    PLAY_UNTIL(p, h->answers.len);
    play_crash(p);
    play_begin(p, true);
    for (size_t i = 0; i < 3; i++)
        deal(p, MU_TASK_RUN, i);
    e.index = h->jobs[1].index; /* somebody who waits is heard before the one who holds */
    e.ticket = 2;
    write_event(h, &e);
    e.index = h->jobs[0].index;
    e.ticket = 1;
    e.held = true;
    write_event(h, &e);
    PLAY_UNTIL(p, strcmp(mu_buf_cstr(&h->answers), "1:0 1:0 ") == 0);
    play_for_ms(p, 3200); /* from then on those who wait are heard, too */
    e.index = h->jobs[1].index;
    e.ticket = 2;
    e.held = false;
    write_event(h, &e);
    play_for_ms(p, 100);
    assert_string_equal(h->answers.data, "1:0 1:0 ");
    write_result(h, &h->jobs[0]);
    PLAY_UNTIL(p, strcmp(mu_buf_cstr(&h->answers), "1:0 1:0 2:0 ") == 0);
    play_end(p);
    hand_down(h);
}

static void what_is_claimed_is_known_after_a_crash(void **state)
{
    struct play *p = play_up(state, 3);
    struct hand *h = up(p, "h1-aaaaaa", 3, false);
    struct mu_buf subject = MU_BUF_INIT;

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 0);
    PLAY_UNTIL(p, h->n_jobs == 1);
    play_crash(p);
    mu_nats_put(h->n, mu_subject_claim(&subject, RUN, 0), "1.1\n\"vm-7\"", 10, MU_NATS_ANY, NULL, NULL);
    mu_nats_put(h->n, mu_subject_claim(&subject, RUN, 1), "", 0, MU_NATS_ANY, NULL, NULL);
    p->claims[1] = strdup("\"vm-8\"");
    play_begin(p, true);
    assert_string_equal(p->claims[0], "\"vm-7\"");
    assert_null(p->claims[1]);
    assert_int_equal(p->n_claims, 2);
    play_end(p);
    mu_buf_free(&subject);
    hand_down(h);
}

/* ---- agents ---- */

static void a_queue_that_nobody_serves_is_waited_for_and_given_up(void **state)
{
    struct play *p = play_up(state, 20);
    struct hand *any = up(p, "h1-aaaaaa", 100, true);

    beat(p, "h2-bbbbbb", "dc1");
    p->spread.agent_wait_ms = 1500;
    play_begin(p, false);
    for (size_t i = 0; i < 20; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, p->n_done == 18);
    beat_at(p, "h2-bbbbbb", "h2-bbbbbb", MUSTER_VERSION, "dc1", true); /* it leaves */
    PLAY_UNTIL(p, was_said("No agent"));
    assert_said("No agent of group dc1 is left, and 2 tasks of this run wait for one: start `muster agent --nats nats://");
    PLAY_UNTIL(p, p->n_done == 20);
    assert_string_equal(p->came[9], "failure:no agent of group dc1 took it within 1.5s done ");
    assert_string_equal(p->came[19], "failure:no agent of group dc1 took it within 1.5s done ");
    PLAY_UNTIL(p, n_tasks(p) == 0);
    play_end(p);
    hand_down(any);
}

static void a_dead_agent_is_told_of_and_its_servers_are_run_by_another(void **state)
{
    struct play *p = play_up(state, 2);
    struct hand *a = hand_up(p, "h1-aaaaaa", NULL, 2, false, 2000), *b;

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 0);
    deal(p, MU_TASK_RUN, 1);
    PLAY_UNTIL(p, a->n_jobs == 2);
    write_started(a, &a->jobs[0]);
    write_started(a, &a->jobs[1]);
    PLAY_UNTIL(p, p->n_started == 2);
    b = hand_up(p, "h2-bbbbbb", NULL, 10, true, 2000); /* a is heard of no more, and does not renew */
    PLAY_UNTIL(p, p->n_done == 2);
    assert_int_equal(b->jobs[0].delivery, 2);
    assert_int_equal(times_said("which had it, was lost (delivery 2)"), 2);
    play_end(p);
    hand_down(a);
    hand_down(b);
}

/* Also the last one that was to have it dies, and cannot say that it is too many. */
static void the_last_delivery_may_be_lost_as_well(void **state)
{
    struct play *p = play_up(state, 1);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 6, false, 1000); /* one more is wanted: that is when it is seen */

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 0);
    for (unsigned i = 1; i < MU_MAX_DELIVER; i++) {
        PLAY_UNTIL(p, h->n_jobs == i);
        write_started(h, &h->jobs[i - 1]);
        PLAY_UNTIL(p, p->n_started == i);
        mu_nats_job_give_back_free(h->jobs[i - 1].job);
        h->jobs[i - 1].job = NULL;
    }
    PLAY_UNTIL(p, p->n_done == 1); /* when nobody acknowledges the fifth */
    assert_int_equal(h->n_jobs, MU_MAX_DELIVER);
    assert_non_null(strstr(p->came[0], "failure:given up after 5 deliveries: each agent that had it was lost before it had a result; "
                                       "h1-aaaaaa had it from "));
    play_end(p);
    assert_int_equal(n_tasks(p), 0);
    hand_down(h);
}

/* ---- nats-server ---- */

static void nats_server_may_go_and_come_back(void **state)
{
    struct play *p = play_up(state, 600);
    struct hand *h = up(p, "h1-aaaaaa", 50, true);
    struct bed *b = p->b;

    play_begin(p, false);
    for (size_t i = 0; i < 600; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, p->n_done == 50);
    server_kill(b);
    PLAY_UNTIL(p, was_said("was lost"));
    assert_said("The connection to nats-server at nats://");
    server_start(b, NULL);
    PLAY_UNTIL(p, was_said("nats-server is there again"));
    mu_nats_pull_want(h->pull, 600);
    PLAY_UNTIL(p, p->n_done == 600);
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(p->done[i], 1);
    play_end(p);
    hand_down(h);
}

/* ---- patience ---- */

static void an_interrupt_cancels_the_run_everywhere(void **state)
{
    struct play *p = play_up(state, 30);
    struct hand *a = up(p, "h1-aaaaaa", 2, false), *b = up(p, "h2-bbbbbb", 2, false);
    struct mu_buf subject = MU_BUF_INIT, bytes = MU_BUF_INIT;
    struct mu_brief brief = {0};
    struct mu_err err;

    play_begin(p, false);
    for (size_t i = 0; i < 30; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, a->n_jobs == 2 && b->n_jobs == 2);
    for (size_t i = 0; i < 2; i++) {
        write_started(a, &a->jobs[i]);
        write_started(b, &b->jobs[i]);
    }
    PLAY_UNTIL(p, p->n_started == 4);
    PLAY_UNTIL(p, n_tasks(p) == 30);
    p->crew->ops->cancel(p->crew, mu_clock_ms() + 15000);
    PLAY_UNTIL(p, a->n_cancels == 1 && b->n_cancels == 1);
    PLAY_UNTIL(p, n_tasks(p) == 0);
    play_for_ms(p, 700);
    assert_false(p->crew->ops->settled(p->crew));
    struct mu_wire_event idle = {.kind = MU_EVENT_IDLE};
    for (size_t i = 0; i < 2; i++) {
        write_result(a, &a->jobs[i]);
        write_result(b, &b->jobs[i]);
    }
    write_event(a, &idle);
    PLAY_UNTIL(p, p->n_done == 4);
    play_for_ms(p, 50);
    assert_false(p->crew->ops->settled(p->crew));
    mu_nats_put(b->n, mu_subject_claim(&subject, RUN, 7), "1.1\n\"vm-7\"", 10, MU_NATS_ANY, NULL, NULL);
    write_event(b, &idle);
    PLAY_UNTIL(p, p->crew->ops->settled(p->crew));
    assert_string_equal(p->claims[7], "\"vm-7\""); /* somebody is to clean up after it */
    p->crew->ops->kill(p->crew);
    PLAY_UNTIL(p, a->n_kills == 1 && b->n_kills == 1);
    play_end(p);
    assert_int_equal(mu_nats_last(p->b->n, MU_STREAM_RUNS, mu_subject_brief(&subject, RUN), &bytes, NULL, &err), 0);
    assert_int_equal(mu_brief_read(&brief, bytes.data, bytes.len, &err), 0);
    assert_int_equal(brief.state, MU_BRIEF_OVER);
    mu_brief_clear(&brief);
    mu_buf_free(&subject);
    mu_buf_free(&bytes);
    hand_down(a);
    hand_down(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_gone_on_with, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_task_of_another_kind_is_not_taken_for_the_one_dealt, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_result_that_comes_before_its_server_is_dealt, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(permits_that_are_held_count_after_a_crash, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(what_is_claimed_is_known_after_a_crash, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_queue_that_nobody_serves_is_waited_for_and_given_up, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_dead_agent_is_told_of_and_its_servers_are_run_by_another, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(the_last_delivery_may_be_lost_as_well, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(nats_server_may_go_and_come_back, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(an_interrupt_cancels_the_run_everywhere, bed_setup, play_down),
    };
    return cmocka_run_group_tests_name("spread_lost", tests, NULL, NULL);
}
