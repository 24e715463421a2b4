/* An agent beside a coordinator made by hand: what it writes, what it does when it is told something, and what when it is told
 * nothing. */
#include "agent_test.h"

#define HEAD "local muster = require 'muster'\n"

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
#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)
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
