#include "agents/roster.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agents/subjects.h"
#include "core/clock.h"

#define BEAT_MAX 65536 /* bytes */
#define TEXT_MAX 256
#define GROUPS_MAX 1024
#define AGENTS_MAX 10000

/* ---- writing ---- */

static void add_text(struct mu_buf *out, const char *name, const char *text)
{
    mu_buf_addf(out, "%s\"%s\":", out->data && out->data[out->len - 1] == '{' ? "" : ",", name);
    mu_buf_add_json(out, text ? text : "", text ? strlen(text) : 0);
}

void mu_roster_write(struct mu_buf *out, const struct mu_roster_agent *a)
{
    mu_buf_addc(out, '{');
    add_text(out, "id", a->id);
    add_text(out, "name", a->name);
    add_text(out, "host", a->host);
    add_text(out, "version", a->version);
    mu_buf_adds(out, ",\"groups\":[");
    for (size_t i = 0; a->groups && a->groups[i]; i++) {
        mu_buf_adds(out, i ? "," : "");
        mu_buf_add_json(out, a->groups[i], strlen(a->groups[i]));
    }
    mu_buf_addf(out, "],\"slots\":%u,\"in_flight\":%u,\"leaving\":%s}", a->slots, a->in_flight, a->leaving ? "true" : "false");
}

/* ---- reading ---- */

static void clear_agent(struct mu_roster_agent *a)
{
    for (size_t i = 0; a->groups && a->groups[i]; i++)
        free(a->groups[i]);
    free(a->groups);
    free(a->id);
    free(a->name);
    free(a->host);
    free(a->version);
    *a = (struct mu_roster_agent){0};
}

static char *text_of(const json_t *v)
{
    size_t len = json_string_length(v);
    return json_is_string(v) && len <= TEXT_MAX && strlen(json_string_value(v)) == len ? strdup(json_string_value(v)) : NULL;
}

/* False: there is none such. */
static bool number_of(const json_t *v, unsigned *out)
{
    json_int_t n = json_integer_value(v);
    *out = n >= 0 && n <= UINT_MAX ? (unsigned)n : 0;
    return json_is_integer(v) && n >= 0 && n <= UINT_MAX;
}

/* An agent's id is a part of subjects. */
static bool is_token(const char *id)
{
    size_t n = strlen(id);
    return n && n < MU_AGENT_ID_SIZE && !id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=")];
}

static bool read_groups(struct mu_roster_agent *a, const json_t *list)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > GROUPS_MAX || !(a->groups = calloc(n + 1, sizeof *a->groups)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!(a->groups[i] = text_of(json_array_get(list, i))))
            return false;
    return true;
}

static bool read_beat(struct mu_roster_agent *a, const json_t *beat)
{
    const json_t *leaving = json_object_get(beat, "leaving");
    return (a->id = text_of(json_object_get(beat, "id"))) && is_token(a->id) &&
           (a->name = text_of(json_object_get(beat, "name"))) && (a->host = text_of(json_object_get(beat, "host"))) && (a->version = text_of(json_object_get(beat, "version"))) &&
           read_groups(a, json_object_get(beat, "groups")) && number_of(json_object_get(beat, "slots"), &a->slots) &&
           number_of(json_object_get(beat, "in_flight"), &a->in_flight) && json_is_boolean(leaving) &&
           ((a->leaving = json_is_true(leaving)), true);
}

/* ---- the roster ---- */

/* Of two words of one agent the later holds, in whatever order they come. */
static struct mu_roster_agent *place(struct mu_roster *r, struct mu_roster_agent *a_take)
{
    for (size_t i = 0; i < r->n; i++) {
        struct mu_roster_agent *known = &r->items[i];
        if (strcmp(known->id, a_take->id) != 0)
            continue;
        if (known->heard_ms <= a_take->heard_ms) {
            clear_agent(known);
            *known = *a_take;
        } else {
            clear_agent(a_take);
        }
        return known;
    }
    struct mu_roster_agent *more = r->n < AGENTS_MAX ? realloc(r->items, (r->n + 1) * sizeof *more) : NULL;
    if (!more) {
        clear_agent(a_take);
        return NULL;
    }
    r->items = more;
    more[r->n] = *a_take;
    return &more[r->n++];
}

/* whose: the only id that may be in it; NULL: any. */
static struct mu_roster_agent *note(struct mu_roster *r, const void *bytes, size_t len, int64_t age_ms, const char *whose)
{
    struct mu_roster_agent a = {0};
    uint64_t now_ms = mu_clock_ms();
    json_t *beat = len <= BEAT_MAX ? json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    bool good = json_is_object(beat) && read_beat(&a, beat) && (!whose || !strcmp(a.id, whose));
    json_decref(beat);
    if (!good) {
        clear_agent(&a);
        return NULL;
    }
    age_ms = age_ms > 0 ? age_ms : 0;
    a.age_ms = age_ms;
    a.heard_ms = now_ms > (uint64_t)age_ms ? now_ms - (uint64_t)age_ms : 0;
    return place(r, &a);
}

struct mu_roster_agent *mu_roster_note(struct mu_roster *r, const void *bytes, size_t len, int64_t age_ms)
{
    return note(r, bytes, len, age_ms, NULL);
}

static int note_last(void *arg, const char *subject, const void *bytes, size_t len, uint64_t seq, int64_t age_ms)
{
    const char *id = strrchr(subject, '.');
    (void)seq;
    if (id)
        note(arg, bytes, len, age_ms, id + 1); /* what is no beat is nobody's */
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct mu_roster_agent *)a)->id, ((const struct mu_roster_agent *)b)->id);
}

int mu_roster_read(struct mu_roster *r, struct mu_nats *n, struct mu_err *err)
{
    struct mu_buf filter = MU_BUF_INIT;
    int rc = mu_nats_each_last(n, MU_STREAM_RUNS, mu_subject_agent(&filter, "*"), note_last, r, err);
    mu_buf_free(&filter);
    if (r->n)
        qsort(r->items, r->n, sizeof *r->items, by_id);
    return rc;
}

bool mu_roster_is_alive(const struct mu_roster_agent *a)
{
    /* The age by itself, too: a word may be older than this machine's clock. */
    return !a->leaving && a->age_ms < MU_BEAT_ALIVE_MS && mu_clock_ms() - a->heard_ms < MU_BEAT_ALIVE_MS;
}

void mu_roster_clear(struct mu_roster *r)
{
    for (size_t i = 0; i < r->n; i++)
        clear_agent(&r->items[i]);
    free(r->items);
    *r = (struct mu_roster){0};
}
