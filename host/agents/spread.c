#include "agents/spread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agents/brief.h"
#include "agents/spread_internal.h"
#include "core/clock.h"

#define AGENT_WAIT_MS 600000
#define LAST_MS 2000
#define QUIET_MS 300

_Static_assert(sizeof(struct mu_spread_server) <= 72, "there may be a hundred thousand of them");

/* ---- small things ---- */

uint32_t mu_spread_since_ms(const struct mu_spread *s)
{
    return (uint32_t)(mu_clock_ms() - s->born_ms);
}
void mu_spread_pause(void)
{
    usleep(10000);
}
void mu_spread_mail(struct mu_spread *s, struct mu_message *m)
{
    s->home->mail(s->home->run, &m->head);
}

const char *mu_spread_agent_name(const struct mu_spread *s, uint32_t i)
{
    return s->agents[i]->name ? s->agents[i]->name : s->agents[i]->id;
}

uint32_t mu_spread_agent_find(struct mu_spread *s, const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; i < s->n_agents; i++)
        if (!strcmp(s->agents[i]->id, id))
            return (uint32_t)i;
    if (!len || len >= MU_AGENT_ID_SIZE || s->n_agents >= INT16_MAX)
        return MU_SPREAD_NOBODY;
    struct mu_spread_agent **more = realloc(s->agents, (s->n_agents + 1) * sizeof *more), *a = calloc(1, sizeof *a);
    if (more)
        s->agents = more;
    if (!more || !a) {
        free(a);
        return MU_SPREAD_NOBODY;
    }
    memcpy(a->id, id, len + 1);
    mu_list_init(&a->pieces);
    a->idle = true;
    for (size_t i = 0; i < s->roster.n; i++)
        if (!strcmp(s->roster.items[i].id, id))
            a->name = strdup(s->roster.items[i].name);
    s->agents[s->n_agents] = a;
    return (uint32_t)s->n_agents++;
}

void mu_spread_say(struct mu_spread *s, const char *agent, const struct mu_wire_word *w)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    mu_wire_add_word(&bytes, w);
    mu_subject_word(&subject, s->run_id, agent);
    if (!bytes.failed && !subject.failed)
        mu_nats_say(s->nats, mu_buf_cstr(&subject), NULL, bytes.data, bytes.len);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

void mu_spread_log(struct mu_spread *s, size_t index, enum mu_level level, const char *fmt, ...)
{
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", s->home->servers[index]->id), *former = mu_ctx_enter(ctx);
    struct mu_buf text = MU_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    mu_buf_vaddf(&text, fmt, ap);
    va_end(ap);
    mu_log_text(level, NULL, 0, mu_buf_cstr(&text), text.len);
    mu_buf_free(&text);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
}

/* ---- the beginning ---- */

static int connect_to(struct mu_spread *s, struct mu_err *err)
{
    int rc = mu_nats_open(&s->nats, &s->config.nats, s->home->loop, mu_spread_state, s, err);
    if (!rc)
        rc = mu_subjects_ensure(s->nats, err);
    if (!rc)
        rc = mu_roster_read(&s->roster, s->nats, err);
    s->connected = !rc;
    return rc;
}

static void take_down(struct mu_spread *s)
{
    mu_nats_pull_free(s->pull);
    mu_nats_listen_end(s->beats);
    mu_spread_free_letters(s);
    mu_nats_close(s->nats);
    mu_timer_free(s->again);
    mu_timer_free(s->tick);
    mu_spread_free_posts(s);
    s->pull = NULL;
    s->beats = NULL;
    s->nats = NULL;
    s->again = s->tick = NULL;
}

static int open_spread(struct mu_crew *c, const struct mu_crew_home *home, struct mu_err *err)
{
    struct mu_spread *s = (struct mu_spread *)c;
    struct mu_buf subject = MU_BUF_INIT;
    s->home = home;
    s->n = home->n;
    s->run_id = home->engine->run_id;
    s->servers = calloc(home->n ? home->n : 1, sizeof *s->servers);
    for (size_t i = 0; s->servers && i < home->n; i++)
        s->servers[i].agent = s->servers[i].former_agent = s->servers[i].next = MU_SPREAD_NOBODY;
    s->again = mu_timer_new(home->loop, mu_spread_again, s);
    s->tick = mu_timer_new(home->loop, mu_spread_tick, s);
    int rc = s->servers && s->again && s->tick && home->n < MU_SPREAD_NOBODY
                 ? 0
                 : mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = connect_to(s, err);
    if (!rc)
        rc = mu_spread_choose_queues(s, err);
    if (!rc)
        rc = mu_spread_publish(s, err);
    if (!rc)
        rc = mu_nats_listen(&s->beats, s->nats, mu_subject_agent(&subject, "*"), mu_spread_beat, s, err);
    mu_buf_free(&subject);
    if (rc)
        take_down(s);
    return rc;
}

static int begin(struct mu_crew *c, struct mu_err *err)
{
    struct mu_spread *s = (struct mu_spread *)c;
    struct mu_buf bytes = MU_BUF_INIT;
    int rc = s->home->resumed ? mu_spread_look_back(s, err) : 0;
    if (!rc)
        rc = mu_spread_put_brief(s, MU_BRIEF_OPEN, err);
    if (!rc)
        rc = mu_spread_pull(s, err);
    if (rc)
        return rc;
    s->begun = true;
    s->resume_until_ms = s->home->resumed ? mu_clock_ms() + MU_SPREAD_RESUME_MS : 0;
    char text[128];
    snprintf(text, sizeof text, "%s %s", MUSTER_VERSION, s->run_id);
    const struct mu_wire_word hail = {.kind = MU_WORD_HAIL, .text = text};
    mu_wire_add_word(&bytes, &hail);
    mu_nats_say(s->nats, MU_SUBJECT_HAIL, NULL, bytes.data, bytes.len);
    mu_buf_free(&bytes);
    mu_spread_say(s, NULL, &hail);
    mu_spread_tick(s);
    return 0;
}

/* All are queued at once, if nobody says otherwise: who takes how many is the agents' to decide. */
static unsigned room(const struct mu_crew *c)
{
    (void)c;
    return UINT32_MAX;
}

static void done(struct mu_crew *c, const struct mu_message *m)
{
    (void)c;
    (void)m; /* the task was closed before its messages were mailed */
}

/* ---- the end ---- */

/* Without waiting: the loop goes on. */
static void post_brief(struct mu_spread *s, enum mu_brief_state state);

static void cancel(struct mu_crew *c, uint64_t until_ms)
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

static void kill_all(struct mu_crew *c)
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

static void end(struct mu_crew *c)
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
    }
    s->over = true;
    take_down(s);
}

static const struct mu_crew_ops ops = {.open = open_spread,
                                       .begin = begin,
                                       .room = room,
                                       .deal = mu_spread_deal,
                                       .done = done,
                                       .cancel = cancel,
                                       .kill = kill_all,
                                       .answer = mu_spread_answer,
                                       .kept = mu_spread_kept,
                                       .settled = mu_spread_settled,
                                       .end = end};

int mu_spread_new(struct mu_crew **out, const struct mu_spread_config *config, struct mu_err *err)
{
    struct mu_spread *s = calloc(1, sizeof *s);
    uint64_t random[1] = {0};
    *out = NULL;
    if (!s)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *s = (struct mu_spread){.crew.ops = &ops,
                            .config = *config,
                            .born_ms = mu_clock_ms(),
                            .born_wall_ms = mu_clock_wall_ms(),
                            .ready.first = MU_SPREAD_NOBODY,
                            .later.first = MU_SPREAD_NOBODY};
    if (!s->config.agent_wait_ms)
        s->config.agent_wait_ms = AGENT_WAIT_MS;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        random[0] = mu_clock_ns();
    snprintf(s->nonce, sizeof s->nonce, "%016llx", (unsigned long long)random[0]);
    mu_list_init(&s->posts);
    mu_list_init(&s->letters);
    mu_list_init(&s->chores);
    mu_list_init(&s->failing);
    mu_list_init(&s->looking);
    *out = &s->crew;
    return 0;
}

void mu_spread_free(struct mu_crew *c)
{
    struct mu_spread *s = (struct mu_spread *)c;
    if (!s)
        return;
    s->over = true;
    if (s->nats) { /* it ended before its end */
        mu_nats_pull_free(s->pull);
        s->pull = NULL;
        mu_spread_chores_end(s);
        take_down(s);
    }
    mu_spread_free_failing(s);
    mu_spread_free_permits(s);
    for (size_t i = 0; s->servers && i < s->n; i++) {
        mu_message_free(s->servers[i].deal ? &s->servers[i].deal->head : NULL);
        free(s->servers[i].trail);
    }
    for (size_t i = 0; i < s->n_agents; i++) {
        free(s->agents[i]->name);
        mu_buf_free(&s->agents[i]->piece);
        free(s->agents[i]);
    }
    for (size_t i = 0; i < s->n_queues; i++) {
        free(s->queues[i].group);
        free(s->queues[i].token);
    }
    free(s->agents);
    free(s->queues);
    free(s->servers);
    free(s->words);
    mu_buf_free(&s->task);
    mu_buf_free(&s->subject);
    mu_roster_clear(&s->roster);
    free(s);
}
