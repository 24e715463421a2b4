/* The coordinator's side of a run, with agents that are made by hand and a real nats-server. */
#include "tests/unit/agents/hands.h"

/* ---- plain runs ---- */

static void a_thousand_servers_by_three_agents(void **state)
{
    struct play *p = play_up(state, 1000);
    struct hand *h[3];
    size_t kept = 0;

    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"h1-aaaaaa", "h2-bbbbbb", "h3-cccccc"};
        h[i] = hand_up(p, names[i], NULL, 1000, true, 0);
    }
    play_begin(p, false);
    assert_true(p->crew->ops->room(p->crew) >= 1000);
    for (size_t i = 0; i < 1000; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, p->n_done == 1000);
    PLAY_UNTIL(p, h[0]->n_kept + h[1]->n_kept + h[2]->n_kept == 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(p->done[i], 1);
        assert_string_equal(p->came[i], "step:a done ");
        assert_in_range(p->worker[i], MU_CREW_ELSEWHERE, MU_CREW_ELSEWHERE + 2);
    }
    assert_int_equal(p->n_started, 1000);
    for (int i = 0; i < 3; i++)
        kept += h[i]->n_kept;
    assert_int_equal(kept, 1000);
    play_end(p);
    assert_int_equal(n_tasks(p), 0);
    assert_int_equal(count(p, MU_STREAM_EVENTS, "muster.event.>"), 0);
    for (int i = 0; i < 3; i++)
        hand_down(h[i]);
}

/* AGAIN and MARK come while the message of the task before is still there. */
static void follow(struct play *p, const struct mu_message *m)
{
    if (m->kind == MU_TASK_RUN || (m->kind == MU_TASK_AGAIN && p->done[m->task] == 2))
        deal(p, MU_TASK_AGAIN, m->task);
    else if (m->kind == MU_TASK_AGAIN)
        deal(p, MU_TASK_MARK, m->task);
}

static void one_task_of_a_server_after_the_other(void **state)
{
    struct play *p = play_up(state, 50);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 1000, true, 0);

    play_begin(p, false);
    p->on_done = follow;
    for (size_t i = 0; i < 50; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, p->n_done == 200);
    for (size_t i = 0; i < 50; i++)
        assert_string_equal(p->came[i], "step:a done step:a done step:a done mark:it is marked done ");
    PLAY_UNTIL(p, h->n_kept == 200);
    play_end(p);
    hand_down(h);
}

/* The word that it is kept does not arrive: the message is removed, or the next could never be put. */
static void a_former_task_that_stays_is_removed(void **state)
{
    struct play *p = play_up(state, 2);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 1000, true, 0);

    play_begin(p, false);
    p->on_done = follow;
    h->deaf = true;
    deal(p, MU_TASK_RUN, 0);
    PLAY_UNTIL(p, p->n_done == 4);
    assert_string_equal(p->came[0], "step:a done step:a done step:a done mark:it is marked done ");
    play_end(p);
    hand_down(h);
}

static void results_are_acknowledged_when_they_are_kept(void **state)
{
    struct play *p = play_up(state, 1);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 10, false, 0);
    struct mu_buf bytes = MU_BUF_INIT;

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 0);
    PLAY_UNTIL(p, h->n_jobs == 1);
    p->keeps_not = true;
    add_line(&bytes, MU_INFO, "s0", "before");
    add_event(&bytes, MU_EVENT_STARTED, &h->jobs[0]);
    add_result(&bytes, &h->jobs[0], 0);
    add_line(&bytes, MU_INFO, "s0", "Server finished");
    write_letter(h, bytes.data, bytes.len, false);
    mu_buf_clear(&bytes);
    add_line(&bytes, MU_WARNING, "s0", "after it");
    write_letter(h, bytes.data, bytes.len, false);
    PLAY_UNTIL(p, p->n_done == 1);
    play_for_ms(p, 100);
    assert_said("info|s0|h1-aaaaaa|before\n");
    assert_false(was_said("Server finished") || was_said("after it"));
    assert_int_equal(h->n_kept, 0);
    assert_int_equal(count(p, MU_STREAM_EVENTS, "muster.event.>"), 1); /* the last of the two that wait */
    p->keeps_not = false;
    PLAY_UNTIL(p, h->n_kept == 1);
    assert_said("info|s0|h1-aaaaaa|before\ninfo|s0|h1-aaaaaa|Server finished\nwarning|s0|h1-aaaaaa|after it\n");
    play_end(p);
    mu_buf_free(&bytes);
    hand_down(h);
}

static void a_large_result_comes_in_pieces(void **state)
{
    struct play *p = play_up(state, 2);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 10, false, 0);
    struct mu_buf bytes = MU_BUF_INIT;
    size_t piece = 200 << 10;

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 0);
    deal(p, MU_TASK_RUN, 1);
    PLAY_UNTIL(p, h->n_jobs == 2);
    add_result(&bytes, &h->jobs[0], (size_t)16 << 20); /* more letters than are held at once */
    for (size_t at = 0; at < bytes.len; at += piece)
        write_letter(h, bytes.data + at, bytes.len - at < piece ? bytes.len - at : piece, at + piece < bytes.len);
    write_result(h, &h->jobs[1]);
    PLAY_UNTIL(p, p->n_done == 2);
    assert_string_equal(p->came[h->jobs[0].index], "step:a done ");
    PLAY_UNTIL(p, h->n_kept == 2);
    play_end(p);
    mu_buf_free(&bytes);
    hand_down(h);
}

/* An agent that could not hear that the run was over wrote on: the next run removes that, but nothing of one that is open. */
static void what_a_run_left_behind_is_removed_by_the_next(void **state)
{
    struct play *p = play_up(state, 1);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 1, true, 0);
    struct mu_buf subject = MU_BUF_INIT, bytes = MU_BUF_INIT;

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 0);
    PLAY_UNTIL(p, h->n_kept == 1);
    struct mu_brief open = {0};
    assert_int_equal(mu_nats_last(p->b->n, MU_STREAM_RUNS, mu_subject_brief(&subject, RUN), &bytes, NULL, NULL), 0);
    assert_int_equal(mu_brief_read(&open, bytes.data, bytes.len, NULL), 0);
    mu_brief_clear(&open);
    mu_nats_put(p->b->n, mu_subject_brief(&subject, "other"), bytes.data, bytes.len, MU_NATS_ANY, NULL, NULL);
    mu_nats_put(p->b->n, mu_subject_event(&subject, "other", "h1"), "x", 1, MU_NATS_ANY, NULL, NULL);
    mu_nats_put(p->b->n, mu_subject_event(&subject, "unknown", "h1"), "x", 1, MU_NATS_ANY, NULL, NULL);
    play_end(p);
    write_letter(h, "late", 4, false);
    TURN_UNTIL(p->b, h->n_stored == h->letters);
    assert_int_equal(count(p, MU_STREAM_EVENTS, "muster.event.>"), 3);
    p->engine.run_id = "next";
    play_begin(p, false);
    assert_int_equal(count(p, MU_STREAM_EVENTS, "muster.event.>"), 1);
    assert_int_equal(count(p, MU_STREAM_EVENTS, "muster.event.other.>"), 1);
    play_end(p);
    mu_buf_free(&subject);
    mu_buf_free(&bytes);
    hand_down(h);
}

/* ---- which queue ---- */

static void servers_go_to_the_agents_of_their_groups(void **state)
{
    struct play *p = play_up(state, 40);
    struct hand *any = hand_up(p, "h1-aaaaaa", NULL, 100, true, 0), *dc1 = hand_up(p, "h2-bbbbbb", "dc1", 100, true, 0);

    play_begin(p, false);
    for (size_t i = 0; i < 40; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, p->n_done == 40);
    assert_int_equal(any->n_jobs, 36);
    assert_int_equal(dc1->n_jobs, 4);
    play_end(p);
    hand_down(any);
    hand_down(dc1);
}

static void nobody_to_do_it_is_said_at_once(void **state)
{
    struct play *p = play_up(state, 30);
    struct mu_err err;

    play_open(p, false, &err);
    assert_int_equal(err.code, MU_ENOENT);
    assert_non_null(strstr(err.msg, "no agent answers at nats://"));
    assert_non_null(strstr(err.msg, "start `muster agent --nats nats://"));
    play_crash(p);
    beat(p, "h1-aaaaaa", "dc1");
    beat_at(p, "old-cccccc", "old", "0.0.1", NULL, false);
    beat_at(p, "gone-dddddd", "gone", MUSTER_VERSION, NULL, true);
    play_open(p, false, &err);
    assert_int_equal(err.code, MU_ENOENT);
    assert_non_null(strstr(err.msg, "no agent serves 27 of the 30 servers, s[0-8,10-18,20-28]: start"));
    assert_said("warning|||An agent of another version takes nothing of this run, which is muster " MUSTER_VERSION "'s: old (0.0.1).");
    play_crash(p);
}

/* ---- twice ---- */

static void what_an_earlier_delivery_says_is_left_out(void **state)
{
    struct play *p = play_up(state, 1);
    struct hand *a = begin_with_one(p), *b;

    write_started(a, &a->jobs[0]);
    PLAY_UNTIL(p, p->n_started == 1);
    b = pass_on(p, a, 0);
    assert_int_equal(b->jobs[0].delivery, 2);
    write_started(b, &b->jobs[0]);
    PLAY_UNTIL(p, p->n_started == 2);
    assert_said("warning|s0||Server s0 is run again by agent h2-bbbbbb: h1-aaaaaa, which had it, was lost (delivery 2)");
    write_result(a, &a->jobs[0]);
    write_result(a, &a->jobs[0]);
    PLAY_UNTIL(p, was_said("left out"));
    assert_int_equal(p->n_done, 0);
    assert_said("warning|s0||What agent h1-aaaaaa found is left out (delivery 1): server s0 was handed to agent h2-bbbbbb then (delivery 2)");
    write_result(b, &b->jobs[0]);
    PLAY_UNTIL(p, p->n_done == 1);
    assert_int_equal(p->worker[0], MU_CREW_ELSEWHERE + 1);
    PLAY_UNTIL(p, b->n_kept == 1);
    write_result(a, &a->jobs[0]); /* once more, after the end: not even told */
    play_for_ms(p, 100);
    assert_int_equal(p->n_done, 1);
    assert_int_equal(times_said("left out"), 1);
    play_end(p);
    hand_down(a);
    hand_down(b);
}

/* The first one's result comes before the second has begun: it counts, and the second is told to stop. */
static void who_begins_after_the_result_is_told_to_stop(void **state)
{
    struct play *p = play_up(state, 1);
    struct hand *a = begin_with_one(p), *b;

    write_started(a, &a->jobs[0]);
    b = pass_on(p, a, 0);
    write_result(a, &a->jobs[0]);
    PLAY_UNTIL(p, p->n_done == 1);
    write_started(b, &b->jobs[0]);
    PLAY_UNTIL(p, b->n_dropped == 1);
    write_result(b, &b->jobs[0]);
    PLAY_UNTIL(p, was_said("server s0 has its result already"));
    assert_int_equal(p->done[0], 1);
    assert_int_equal(p->worker[0], MU_CREW_ELSEWHERE);
    play_end(p);
    assert_int_equal(n_tasks(p), 0);
    hand_down(a);
    hand_down(b);
}

static void a_task_handed_out_too_often_is_an_error_with_its_history(void **state)
{
    struct play *p = play_up(state, 2);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 1, false, 0);
    struct mu_buf claim = MU_BUF_INIT;

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 1);
    for (unsigned i = 0; i < MU_MAX_DELIVER; i++) {
        PLAY_UNTIL(p, h->n_jobs == i + 1);
        assert_int_equal(h->jobs[i].delivery, i + 1);
        if (i + 1 == MU_MAX_DELIVER)
            break;
        if (i != 1) /* one that was lost before it could say anything */
            write_started(h, &h->jobs[i]);
        mu_nats_job_give_back_free(h->jobs[i].job);
        h->jobs[i].job = NULL;
        mu_nats_pull_want(h->pull, 1);
    }
    mu_nats_put(h->n, mu_subject_claim(&claim, RUN, 1), "1.1\n\"vm-7\"", 10, MU_NATS_ANY, NULL, NULL);
    struct mu_wire_event e = {.kind = MU_EVENT_EXHAUSTED, .index = 1, .task = MU_TASK_RUN, .delivery = MU_MAX_DELIVER};
    h->jobs[4].told = true;
    write_event(h, &e);
    PLAY_UNTIL(p, p->n_done == 1);
    assert_non_null(strstr(p->came[1], "failure:given up after 5 deliveries: each agent that had it was lost before it had a result; "
                                       "h1-aaaaaa had it from 20"));
    assert_int_equal(p->done[1], 1);
    assert_said("(delivery 1), h1-aaaaaa had it from");
    assert_said("(delivery 4)");
    assert_string_equal(p->claims[1], "\"vm-7\""); /* what nobody told of is known all the same */
    PLAY_UNTIL(p, h->n_kept == 1);
    play_end(p);
    mu_buf_free(&claim);
    hand_down(h);
}

static void a_task_that_an_agent_cannot_run_is_an_error(void **state)
{
    struct play *p = play_up(state, 2);
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, 2, false, 0);
    struct mu_wire_event e = {.kind = MU_EVENT_REFUSED, .task = MU_TASK_RUN, .delivery = 1, .text = (char *)"no module 'x'"};

    play_begin(p, false);
    deal(p, MU_TASK_RUN, 0);
    deal(p, MU_TASK_MARK, 1);
    PLAY_UNTIL(p, h->n_jobs == 2);
    h->jobs[0].told = h->jobs[1].told = true;
    e.index = 0;
    write_event(h, &e);
    e.index = 1;
    e.task = MU_TASK_MARK;
    write_event(h, &e);
    PLAY_UNTIL(p, p->n_done == 2);
    assert_string_equal(p->came[0], "failure:agent h1-aaaaaa cannot run it: no module 'x' done ");
    assert_string_equal(p->came[1], "mark failed:agent h1-aaaaaa cannot run it: no module 'x' done ");
    PLAY_UNTIL(p, h->n_kept == 2);
    play_end(p);
    hand_down(h);
}

/* ---- hostile, or broken ---- */

static void letters_that_make_no_sense_are_left_out(void **state)
{
    struct play *p = play_up(state, 3);
    struct hand *h = begin_with_one(p);
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT, notes = MU_BUF_INIT;

    assert_int_equal(mu_nats_put(h->n, mu_subject_event(&subject, RUN, h->id), "garbage", 7, MU_NATS_ANY, NULL, NULL), 0);
    write_letter(h, "garbage", 7, false);
    struct work far = {.index = 1000000, .kind = MU_TASK_RUN, .delivery = 1}, other = h->jobs[0];
    add_event(&bytes, MU_EVENT_STARTED, &far);
    add_result(&bytes, &far, 0);
    other.kind = MU_TASK_MARK; /* no such task is open */
    add_result(&bytes, &other, 0);
    write_letter(h, bytes.data, bytes.len, false);
    /* A result that speaks of another server. */
    struct mu_wire_event e = {.kind = MU_EVENT_RESULT, .index = h->jobs[1].index, .task = MU_TASK_RUN, .delivery = 1};
    mu_list_init(&e.messages);
    struct work wrong = h->jobs[1];
    wrong.index = h->jobs[2].index;
    add_note(&notes, &wrong, MU_MSG_STEP, "a");
    wrong.index = h->jobs[1].index;
    add_note(&notes, &wrong, MU_MSG_DONE, NULL);
    mu_buf_clear(&bytes);
    mu_wire_add_result(&bytes, &e, &notes);
    h->jobs[1].told = true;
    write_letter(h, bytes.data, bytes.len, false);
    write_result(h, &h->jobs[2]);
    PLAY_UNTIL(p, p->n_done == 2);
    assert_string_equal(p->came[h->jobs[1].index], "failure:what agent h1-aaaaaa found cannot be read: it speaks of something else done ");
    assert_string_equal(p->came[h->jobs[2].index], "step:a done ");
    assert_string_equal(p->came[h->jobs[0].index], "");
    assert_said("A letter of agent h1-aaaaaa cannot be read, and is left out: ");
    assert_said("What agent h1-aaaaaa wrote cannot be read, and is left out: ");
    play_end(p);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
    mu_buf_free(&notes);
    hand_down(h);
}

/* ---- permits and claims ---- */

static void ask_permit(struct hand *h, size_t job, uint64_t ticket, bool held)
{
    struct mu_wire_event e = {.kind = MU_EVENT_ACQUIRE, .index = h->jobs[job].index, .delivery = h->jobs[job].delivery, .ticket = ticket,
                              .text = (char *)"api", .limit = 1, .held = held};
    write_event(h, &e);
}

static void permits_are_given_in_turn_and_come_back(void **state)
{
    struct play *p = play_up(state, 3);
    struct hand *h = begin_with_one(p), *b;

    for (size_t i = 0; i < 3; i++) {
        write_started(h, &h->jobs[i]);
        ask_permit(h, i, 10 + i, false);
    }
    PLAY_UNTIL(p, h->answers.len);
    assert_string_equal(h->answers.data, "10:0 ");
    ask_permit(h, 0, 10, false); /* asked anew: held, and answered again; waiting: nothing */
    ask_permit(h, 1, 11, false);
    PLAY_UNTIL(p, h->answers.len > 5);
    assert_string_equal(h->answers.data, "10:0 10:0 ");
    struct mu_wire_event leave = {.kind = MU_EVENT_LEAVE, .index = h->jobs[0].index, .delivery = 1, .ticket = 10};
    write_event(h, &leave);
    PLAY_UNTIL(p, strstr(mu_buf_cstr(&h->answers), "11:0"));
    /* The one that holds it is lost: its server is run by somebody else. */
    b = pass_on(p, h, 1);
    write_started(b, &b->jobs[0]);
    PLAY_UNTIL(p, strstr(mu_buf_cstr(&h->answers), "12:0"));
    ask_permit(b, 0, 10, false); /* another agent's tickets are others */
    write_result(h, &h->jobs[2]); /* with its permit */
    PLAY_UNTIL(p, b->answers.len);
    assert_string_equal(b->answers.data, "10:0 ");
    play_end(p);
    hand_down(h);
    hand_down(b);
}

static void tell_claim(struct hand *h, size_t job, const char *data, uint64_t change)
{
    struct mu_wire_event e = {.kind = MU_EVENT_CLAIM, .index = h->jobs[job].index, .delivery = h->jobs[job].delivery, .ticket = change, .text = (char *)data};
    write_event(h, &e);
}

static void claims_are_those_of_the_latest_change(void **state)
{
    struct play *p = play_up(state, 1);
    struct hand *a = begin_with_one(p), *b;

    write_started(a, &a->jobs[0]);
    tell_claim(a, 0, "\"vm-1\"", 5);
    PLAY_UNTIL(p, p->n_claims == 1);
    assert_string_equal(p->claims[0], "\"vm-1\"");
    b = pass_on(p, a, 0);
    write_started(b, &b->jobs[0]);
    tell_claim(b, 0, NULL, 8);
    PLAY_UNTIL(p, p->n_claims == 2);
    assert_null(p->claims[0]);
    tell_claim(a, 0, "\"vm-2\"", 6); /* it was late */
    write_result(b, &b->jobs[0]);
    PLAY_UNTIL(p, p->n_done == 1);
    play_for_ms(p, 50);
    assert_int_equal(p->n_claims, 2);
    play_end(p);
    hand_down(a);
    hand_down(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thousand_servers_by_three_agents, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(one_task_of_a_server_after_the_other, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_former_task_that_stays_is_removed, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(results_are_acknowledged_when_they_are_kept, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_large_result_comes_in_pieces, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(what_a_run_left_behind_is_removed_by_the_next, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(servers_go_to_the_agents_of_their_groups, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(nobody_to_do_it_is_said_at_once, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(what_an_earlier_delivery_says_is_left_out, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(who_begins_after_the_result_is_told_to_stop, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_task_handed_out_too_often_is_an_error_with_its_history, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(a_task_that_an_agent_cannot_run_is_an_error, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(letters_that_make_no_sense_are_left_out, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(permits_are_given_in_turn_and_come_back, bed_setup, play_down),
        cmocka_unit_test_setup_teardown(claims_are_those_of_the_latest_change, bed_setup, play_down),
    };
    return cmocka_run_group_tests_name("spread", tests, NULL, NULL);
}
