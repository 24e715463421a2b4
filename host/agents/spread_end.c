/* How a run's tasks end before their time, and how the run itself does. */
#include <stdlib.h>

#include "agents/brief.h"
#include "agents/spread_internal.h"
#include "core/clock.h"

#define LAST_MS 2000 /* at the end, for the last lines of the log */
#define QUIET_MS 300

/* Without waiting: the loop goes on. */
static void post_brief(struct mu_spread *s, enum mu_brief_state state);

void mu_spread_cancel(struct mu_crew *c, uint64_t until_ms)
{
    struct mu_spread *s = (struct mu_spread *)c;
    struct mu_buf filter = MU_BUF_INIT;
    uint64_t now = mu_clock_ms();
    const struct mu_wire_word w = {.kind = MU_WORD_CANCEL, .grace_ms = until_ms > now ? until_ms - now : 0};
    s->cancelled_ms = now;
    s->swept = false;
    post_brief(s, MU_BRIEF_CANCELLED);
    mu_spread_say(s, NULL, &w);
    mu_spread_purge(s, MU_STREAM_TASKS, mu_subject_tasks_of_run(&filter, s->run_id));
    mu_buf_free(&filter);
}

void mu_spread_kill(struct mu_crew *c)
{
    const struct mu_wire_word w = {.kind = MU_WORD_KILL};
    mu_spread_say((struct mu_spread *)c, NULL, &w);
}

static void brief_posted(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    (void)arg;
    (void)seq;
    if (rc)
        mu_log(MU_DEBUG, "That the run is cancelled could not be written down: %s", err ? err->msg : "");
}

static void post_brief(struct mu_spread *s, enum mu_brief_state state)
{
    struct mu_brief brief = {0};
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    struct mu_err err = {0};
    if (!mu_brief_make(&brief, s->home, s->bundle, s->config.level, &err)) {
        brief.state = state;
        mu_brief_write(&brief, &bytes);
        mu_subject_brief(&subject, s->run_id);
        if (!bytes.failed && !subject.failed)
            mu_nats_post(s->nats, mu_buf_cstr(&subject), NULL, bytes.data, bytes.len, MU_NATS_ANY, brief_posted, s);
    }
    mu_brief_clear(&brief);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

static void timed_out(void *arg)
{
    *(bool *)arg = true;
}

static bool is_anybody_busy(const struct mu_spread *s)
{
    for (size_t i = 0; i < s->n_agents; i++)
        if (!s->agents[i]->idle && mu_spread_is_alive(s, s->agents[i]))
            return true;
    return false;
}

/* For the last lines of agents' logs, which follow the results that ended the run: until each says that it has nothing
 * any more, or nothing comes for a moment. */
static void await_last(struct mu_spread *s)
{
    struct mu_timer *limit = mu_timer_new(s->home->loop, timed_out, &s->late);
    uint64_t until = mu_clock_ms() + LAST_MS;
    while (limit && s->connected && is_anybody_busy(s) && mu_clock_ms() < until) {
        unsigned before = s->n_letters;
        s->late = false;
        mu_timer_start(limit, NULL, QUIET_MS);
        while (!s->late && before == s->n_letters && is_anybody_busy(s))
            mu_loop_turn(s->home->loop, true);
        mu_spread_kept(&s->crew);
        if (s->late)
            break;
    }
    mu_timer_free(limit);
}

static void remove_all(struct mu_spread *s)
{
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};
    int rc = mu_spread_put_brief(s, MU_BRIEF_OVER, &err);
    if (!rc)
        rc = mu_nats_consumer_remove(s->nats, MU_STREAM_EVENTS, mu_subject_run_durable(&text, s->run_id), &err);
    if (!rc)
        rc = mu_nats_purge(s->nats, MU_STREAM_TASKS, mu_subject_tasks_of_run(&text, s->run_id), NULL, &err);
    if (!rc)
        rc = mu_nats_purge(s->nats, MU_STREAM_EVENTS, mu_subject_events(&text, s->run_id), NULL, &err);
    /* What agents of a run that was cut short still release is to be found when it is gone on with. */
    if (!rc && !s->cancelled_ms)
        rc = mu_nats_purge(s->nats, MU_STREAM_RUNS, mu_subject_claims(&text, s->run_id), NULL, &err);
    if (rc)
        mu_log(MU_WARNING, "What was in the queue of this run could not be removed: %s", err.msg);
    mu_buf_free(&text);
}

void mu_spread_end(struct mu_crew *c)
{
    struct mu_spread *s = (struct mu_spread *)c;
    if (!s->nats)
        return;
    if (s->begun) {
        mu_spread_kept(c);
        if (!s->cancelled_ms)
            await_last(s);
        s->over = true;
        mu_nats_pull_free(s->pull);
        s->pull = NULL;
        mu_spread_chores_end(s);
        if (s->connected)
            remove_all(s);
        else
            mu_log(
                MU_WARNING,
                "nats-server at %s is away: what is in the queue of this run stays there, and agents that have tasks "
                "of it go on until they know that it is over.",
                mu_nats_where(s->nats));
    }
    s->over = true;
    mu_spread_take_down(s);
}
