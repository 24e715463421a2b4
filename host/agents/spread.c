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

_Static_assert(sizeof(struct mu_spread_server) <= 80, "there may be a hundred thousand of them");

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

void mu_spread_take_down(struct mu_spread *s)
{
    mu_nats_pull_free(s->pull);
    mu_nats_listen_end(s->beats);
    mu_nats_listen_end(s->advice);
    mu_spread_free_letters(s);
    mu_nats_close(s->nats);
    mu_timer_free(s->again);
    mu_timer_free(s->tick);
    mu_spread_free_posts(s);
    mu_spread_free_looking(s);
    s->pull = NULL;
    s->beats = s->advice = NULL;
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
    if (!rc)
        mu_spread_tidy(s);
    if (!rc)
        rc = mu_nats_listen(&s->advice, s->nats, MU_SUBJECT_GIVEN_UP, mu_spread_given_up, s, err);
    mu_buf_free(&subject);
    if (rc)
        mu_spread_take_down(s);
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

static const struct mu_crew_ops ops = {.open = open_spread,
                                       .begin = begin,
                                       .room = room,
                                       .deal = mu_spread_deal,
                                       .done = done,
                                       .cancel = mu_spread_cancel,
                                       .kill = mu_spread_kill,
                                       .answer = mu_spread_answer,
                                       .kept = mu_spread_kept,
                                       .settled = mu_spread_settled,
                                       .end = mu_spread_end};

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
        mu_spread_take_down(s);
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
