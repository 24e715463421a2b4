/* Before anything is dealt: which queue each server's tasks go to, and what agents need to know of the run. Each of
 * these waits. */
#include <stdlib.h>
#include <string.h>

#include "agents/brief.h"
#include "agents/spread_internal.h"
#include "core/clock.h"
#include "core/nodeset.h"

#define PIECE_MAX ((size_t)256 << 10)
/* A bundle that was put so lately is there whole until long after the run */
#define FRESH_MS ((int64_t)24 * 3600 * 1000)
#define QUEUES_MAX UINT16_MAX

/* ---- queues ---- */

static bool serves(const struct mu_roster_agent *a, const char *group)
{
    if (strcmp(a->version, MUSTER_VERSION) != 0)
        return false;
    for (size_t i = 0; group && a->groups && a->groups[i]; i++)
        if (!strcmp(a->groups[i], group))
            return true;
    return !group && (!a->groups || !a->groups[0]);
}

bool mu_spread_queue_is_served(const struct mu_spread *s, const struct mu_spread_queue *q)
{
    for (size_t i = 0; i < s->roster.n; i++)
        if (mu_roster_is_alive(&s->roster.items[i]) && serves(&s->roster.items[i], q->group))
            return true;
    return false;
}

static int add_queue(struct mu_spread *s, const char *group, struct mu_err *err)
{
    struct mu_buf token = MU_BUF_INIT;
    for (size_t i = 0; i < s->n_queues; i++)
        if (group && s->queues[i].group ? !strcmp(group, s->queues[i].group) : group == s->queues[i].group)
            return 0;
    struct mu_spread_queue *more =
        s->n_queues < QUEUES_MAX ? realloc(s->queues, (s->n_queues + 1) * sizeof *more) : NULL;
    if (!more)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    s->queues = more;
    struct mu_spread_queue *q = &s->queues[s->n_queues++];
    mu_subject_queue(&token, group);
    *q = (struct mu_spread_queue){
        .group = group ? strdup(group) : NULL, .token = mu_buf_take(&token), .alive_ms = mu_clock_ms()};
    return q->token && (q->group || !group) ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
}

/* Those that somebody serves. */
static int make_queues(struct mu_spread *s, struct mu_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->roster.n && !rc; i++) {
        const struct mu_roster_agent *a = &s->roster.items[i];
        if (!mu_roster_is_alive(a) || strcmp(a->version, MUSTER_VERSION) != 0)
            continue;
        if (serves(a, NULL))
            rc = add_queue(s, NULL, err);
        for (size_t k = 0; a->groups && a->groups[k] && !rc; k++)
            rc = add_queue(s, a->groups[k], err);
    }
    return rc;
}

struct choice {
    const struct mu_spread *s;
    const struct mu_server *other; /* is to be in it as well; NULL: nobody */
    const char *name;              /* of the group that is looked for in the other */
    size_t len;
    size_t queue;
};

static int is_in(void *arg, const char *name, size_t len)
{
    struct choice *c = arg;
    return len == c->len && !memcmp(name, c->name, len);
}

static int choose(void *arg, const char *name, size_t len)
{
    struct choice *c = arg;
    for (size_t i = 0; i < c->s->n_queues; i++) {
        const char *group = c->s->queues[i].group;
        if (!group || strlen(group) != len || memcmp(group, name, len) != 0)
            continue;
        c->name = name;
        c->len = len;
        if (c->other && mu_server_each_group(c->other, is_in, c) != 1)
            continue;
        c->queue = i;
        return 1;
    }
    return 0;
}

static size_t queue_of(const struct mu_spread *s, const struct mu_server *server, const struct mu_server *other)
{
    struct choice c = {.s = s, .other = other, .queue = SIZE_MAX};
    mu_server_each_group(server, choose, &c);
    for (size_t i = 0; i < s->n_queues && c.queue == SIZE_MAX && !other; i++)
        if (!s->queues[i].group)
            c.queue = i;
    return c.queue;
}

uint16_t mu_spread_queue_of_pair(const struct mu_spread *s, size_t first, size_t second)
{
    size_t q = queue_of(s, s->home->servers[first], s->home->servers[second]);
    return q == SIZE_MAX ? s->servers[first].home_queue : (uint16_t)q;
}

static void warn_of_versions(const struct mu_spread *s)
{
    struct mu_buf who = MU_BUF_INIT;
    size_t n = 0;
    for (size_t i = 0; i < s->roster.n; i++) {
        const struct mu_roster_agent *a = &s->roster.items[i];
        if (!mu_roster_is_alive(a) || !strcmp(a->version, MUSTER_VERSION))
            continue;
        mu_buf_adds(&who, n++ ? ", " : "");
        mu_buf_add_escaped(&who, a->name, strlen(a->name));
        mu_buf_adds(&who, " (");
        mu_buf_add_escaped(&who, a->version, strlen(a->version));
        mu_buf_adds(&who, ")");
    }
    if (n)
        mu_log(MU_WARNING, "%s of another version take%s nothing of this run, which is muster %s's: %s.",
               n == 1 ? "An agent" : "Agents", n == 1 ? "s" : "", MUSTER_VERSION, mu_buf_cstr(&who));
    mu_buf_free(&who);
}

static int nobody(struct mu_spread *s, const char **names, size_t n, struct mu_err *err)
{
    struct mu_buf folded = MU_BUF_INIT, shown = MU_BUF_INIT;
    mu_nodeset_fold(&folded, names, n);
    mu_buf_add_escaped(&shown, mu_buf_cstr(&folded), folded.len);
    if (shown.len > 200)
        mu_buf_clear(&shown);
    int rc = !s->n_queues
                 ? mu_err_set(err, MU_ENOENT, "no agent answers at %s: start `muster agent --nats %s` near the servers",
                              mu_nats_where(s->nats), mu_nats_where(s->nats))
                 : mu_err_set(err, MU_ENOENT,
                              "no agent serves %zu of the %zu servers%s%s: start `muster agent --nats %s` near "
                              "them, with --groups for one of their groups or without, for any",
                              n, s->home->n, shown.len ? ", " : "", mu_buf_cstr(&shown), mu_nats_where(s->nats));
    mu_buf_free(&folded);
    mu_buf_free(&shown);
    return rc;
}

int mu_spread_choose_queues(struct mu_spread *s, struct mu_err *err)
{
    int rc = make_queues(s, err);
    if (rc)
        return rc;
    const char **names = calloc(s->home->n ? s->home->n : 1, sizeof *names);
    size_t n = 0;
    if (!names)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    warn_of_versions(s);
    for (size_t i = 0; i < s->home->n; i++) {
        size_t q = queue_of(s, s->home->servers[i], NULL);
        s->servers[i].home_queue = s->servers[i].queue = (uint16_t)q;
        if (q == SIZE_MAX)
            names[n++] = s->home->servers[i]->id;
    }
    if (n)
        rc = nobody(s, names, n, err);
    free(names);
    return rc;
}

const char *mu_spread_queue_filter(struct mu_spread *s, const struct mu_spread_queue *q, struct mu_buf *out)
{
    mu_subject_task(out, q->token, s->run_id, 0);
    if (out->len && !out->failed) { /* of any server instead */
        out->data[--out->len] = '\0';
        mu_buf_addc(out, '*');
    }
    return mu_buf_cstr(out);
}

/* ---- what agents need to know ---- */

static int age_of(void *arg, const char *subject, const void *bytes, size_t len, uint64_t seq, int64_t age_ms)
{
    (void)subject;
    (void)bytes;
    (void)len;
    (void)seq;
    *(int64_t *)arg = age_ms;
    return 0;
}

/* The empty piece is put last of all: where it is, and lately, the others are. */
static bool is_published(struct mu_spread *s, size_t pieces)
{
    struct mu_buf subject = MU_BUF_INIT;
    int64_t age_ms = INT64_MAX;
    mu_subject_bundle(&subject, s->bundle, pieces);
    int rc = mu_nats_each_last(s->nats, MU_STREAM_RUNS, mu_buf_cstr(&subject), age_of, &age_ms, NULL);
    mu_buf_free(&subject);
    return !rc && age_ms < FRESH_MS;
}

int mu_spread_publish(struct mu_spread *s, struct mu_err *err)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    int rc = mu_bundle_make(&bytes, s->bundle, s->home->engine->script, s->config.library_dir, err);
    struct mu_brief brief = {0};
    if (!rc) /* better to hear now what cannot be told to agents than after before_all */
        rc = mu_brief_make(&brief, s->home, s->bundle, s->config.level, err);
    mu_brief_clear(&brief);
    size_t most = mu_nats_max_payload(s->nats) / 2;
    most = most < PIECE_MAX ? most : PIECE_MAX;
    size_t pieces = (bytes.len + most - 1) / most;
    if (!rc && is_published(s, pieces))
        pieces = SIZE_MAX;
    for (size_t i = 0; !rc && pieces != SIZE_MAX && i <= pieces; i++) {
        size_t at = i * most, len = i == pieces ? 0 : bytes.len - at < most ? bytes.len - at : most;
        mu_subject_bundle(&subject, s->bundle, i);
        rc = mu_nats_put(s->nats, mu_buf_cstr(&subject), bytes.data + (len ? at : 0), len, MU_NATS_ANY, NULL, err);
    }
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
    return rc;
}

int mu_spread_put_brief(struct mu_spread *s, int state, struct mu_err *err)
{
    struct mu_brief brief = {0};
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    int rc = mu_brief_make(&brief, s->home, s->bundle, s->config.level, err);
    if (!rc) {
        brief.state = (enum mu_brief_state)state;
        mu_brief_write(&brief, &bytes);
        mu_subject_brief(&subject, s->run_id);
        rc = bytes.failed || subject.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
    }
    if (!rc && bytes.len > mu_nats_max_payload(s->nats))
        rc = mu_err_set(
            err, MU_ELIMIT,
            "what agents are to know of the run is %zu bytes, and %s takes at most %zu: before_all is to return "
            "less, or its max_payload is to be raised",
            bytes.len, mu_nats_where(s->nats), mu_nats_max_payload(s->nats));
    if (!rc)
        rc = mu_nats_put(s->nats, mu_buf_cstr(&subject), bytes.data, bytes.len, MU_NATS_ANY, NULL, err);
    mu_brief_clear(&brief);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
    return rc;
}

/* ---- a run that is gone on with ---- */

/* The subject's queue: the fourth token. */
static size_t queue_in(const struct mu_spread *s, const char *subject)
{
    const char *at = subject;
    for (int i = 0; at && i < 3; i++)
        at = (at = strchr(at, '.')) ? at + 1 : NULL;
    size_t len = at ? strcspn(at, ".") : 0;
    for (size_t i = 0; len && i < s->n_queues; i++)
        if (strlen(s->queues[i].token) == len && !memcmp(s->queues[i].token, at, len))
            return i;
    return SIZE_MAX;
}

static int note_task(void *arg, const char *subject)
{
    struct mu_spread *s = arg;
    const char *last = strrchr(subject, '.');
    size_t queue = queue_in(s, subject), index = last ? strtoul(last + 1, NULL, 10) : SIZE_MAX;
    if (queue == SIZE_MAX || index >= s->n) { /* nobody serves it any more */
        mu_spread_purge(s, MU_STREAM_TASKS, subject);
    } else {
        s->servers[index].queue = (uint16_t)queue;
        mu_spread_set(&s->servers[index], MU_SPREAD_PRESENT, true);
    }
    return 0;
}

/* What each of these tasks is, is looked at when its server is dealt (spread_tasks.c). */
int mu_spread_look_back(struct mu_spread *s, struct mu_err *err)
{
    struct mu_buf filter = MU_BUF_INIT;
    mu_subject_tasks_of_run(&filter, s->run_id);
    int rc = mu_nats_each_subject(s->nats, MU_STREAM_TASKS, mu_buf_cstr(&filter), note_task, s, err);
    mu_buf_free(&filter);
    return rc ? rc : mu_spread_sweep_now(s, err);
}
