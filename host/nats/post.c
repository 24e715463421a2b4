/* Posts: messages that JetStream answers. libnats' own asynchronous publishing (3.4) has no bound in time for an answer, keeps
 * what was never answered, and blocks who publishes too fast; so an answer comes to a subject of ours, by the post's id. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/clock.h"
#include "nats/internal.h"

struct mu_nats_post_entry {
    mu_nats_post_fn *done;
    void *arg;
    uint64_t deadline_ms, generation;
    char subject[];
};

enum { WRONG_LAST_SEQUENCE = 10071 };

/* ---- in libnats' thread ---- */

static void read_answer(struct mu_nats_mail **out, uint64_t id, natsMsg *msg)
{
    json_t *root = NULL, *error;
    struct mu_nats_mail *m;
    char text[256];
    int len = natsMsg_GetDataLength(msg);

    if (natsMsg_IsNoResponders(msg)) {
        *out = m = mu_nats_mail_new(MU_NATS_ANSWER, id, "no stream takes it");
        if (m)
            m->rc = MU_EIO;
        return;
    }
    root = json_loadb(natsMsg_GetData(msg), len > 0 ? (size_t)len : 0, JSON_REJECT_DUPLICATES, NULL);
    error = json_object_get(root, "error");
    if (json_is_object(error)) {
        const char *said = json_string_value(json_object_get(error, "description"));

        mu_nats_plain(text, sizeof text, said ? said : "refused");
        *out = m = mu_nats_mail_new(MU_NATS_ANSWER, id, text);
        if (m)
            m->rc = json_integer_value(json_object_get(error, "err_code")) == WRONG_LAST_SEQUENCE ? MU_EEXIST : MU_EIO;
    } else if (json_is_integer(json_object_get(root, "seq"))) {
        *out = m = mu_nats_mail_new(MU_NATS_ANSWER, id, NULL);
        if (m)
            m->seq = (uint64_t)json_integer_value(json_object_get(root, "seq"));
    } else {
        *out = m = mu_nats_mail_new(MU_NATS_ANSWER, id, "the answer is not one of JetStream");
        if (m)
            m->rc = MU_EIO;
    }
    json_decref(root);
}

void mu_nats_on_answer(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
    struct mu_nats_link *l = arg;
    const char *dot = strrchr(natsMsg_GetSubject(msg), '.');
    struct mu_nats_mail *m = NULL;
    uint64_t id = dot ? strtoull(dot + 1, NULL, 10) : 0;

    (void)nc;
    (void)sub;
    if (id)
        read_answer(&m, id, msg);
    natsMsg_Destroy(msg);
    mu_nats_link_mail(l, m);
}

/* ---- in the loop ---- */

/* The post's end; e is freed. */
static void end_post(struct mu_nats *n, uint64_t id, int rc, uint64_t seq, const char *why)
{
    struct mu_nats_post_entry *e = n->ring[id % n->cap];
    struct mu_err err = {0};
    char subject[160];

    n->ring[id % n->cap] = NULL;
    while (n->oldest < n->next_post && !n->ring[n->oldest % n->cap])
        n->oldest++;
    if (rc)
        mu_err_set(&err, rc, "cannot put a message of %s into the queue at %s: %s",
                   mu_nats_plain(subject, sizeof subject, e->subject), n->where, why);
    e->done(e->arg, rc, seq, &err);
    free(e);
}

static void set_timer(struct mu_nats *n)
{
    uint64_t now = mu_clock_ms(), deadline;

    if (n->oldest == n->next_post) {
        mu_timer_stop(n->timer);
        return;
    }
    deadline = n->ring[n->oldest % n->cap]->deadline_ms;
    mu_loop_update_time(n->loop);
    mu_timer_start(n->timer, NULL, deadline > now ? deadline - now : 0);
}

static void on_timer(void *arg)
{
    struct mu_nats *n = arg;
    uint64_t now = mu_clock_ms();
    bool freed = false, *outer = n->freed;

    n->freed = &freed;
    while (n->oldest < n->next_post && n->ring[n->oldest % n->cap]->deadline_ms <= now) {
        end_post(n, n->oldest, MU_EIO, 0, n->connected ? "no answer within 5 s" : "the connection is lost");
        if (freed) {
            if (outer)
                *outer = true;
            return;
        }
    }
    n->freed = outer;
    set_timer(n);
}

static struct mu_nats_post_entry *find(const struct mu_nats *n, uint64_t id)
{
    return id >= n->oldest && id < n->next_post ? n->ring[id % n->cap] : NULL;
}

void mu_nats_posts_answer(struct mu_nats *n, const struct mu_nats_mail *m)
{
    if (find(n, m->id))
        end_post(n, m->id, m->rc, m->seq, m->text);
}

/* Permissions Violation for Publish to "muster.task.x": the server says no more than that. */
void mu_nats_posts_denied(struct mu_nats *n, const char *text)
{
    const char *from = strchr(text, '"'), *to = from ? strchr(from + 1, '"') : NULL;
    size_t len = to ? (size_t)(to - from - 1) : from ? strlen(from + 1) : 0;
    bool freed = false, *outer = n->freed, any = false;
    uint64_t end = n->next_post;
    char plain[300];

    n->freed = &freed;
    for (uint64_t id = n->oldest; from && strstr(text, "ublish") && id < end; id++) {
        struct mu_nats_post_entry *e = find(n, id);

        if (!e || strncmp(e->subject, from + 1, len) != 0 || e->subject[len])
            continue;
        any = true;
        end_post(n, id, MU_EPERM, 0, "these credentials may not");
        if (freed) {
            if (outer)
                *outer = true;
            return;
        }
    }
    n->freed = outer;
    if (!any)
        mu_log(MU_WARNING, "%s: %s", n->where, mu_nats_plain(plain, sizeof plain, text));
}

void mu_nats_posts_lost(struct mu_nats *n, uint64_t generation)
{
    bool freed = false, *outer = n->freed;
    uint64_t end = n->next_post;

    n->freed = &freed;
    for (uint64_t id = n->oldest; id < end; id++) {
        struct mu_nats_post_entry *e = find(n, id);

        if (!e || e->generation >= generation)
            continue;
        end_post(n, id, MU_EIO, 0, "the connection was lost, and it may be stored all the same");
        if (freed) {
            if (outer)
                *outer = true;
            return;
        }
    }
    n->freed = outer;
}

void mu_nats_posts_free(struct mu_nats *n)
{
    for (uint64_t id = n->oldest; id < n->next_post; id++)
        free(n->ring[id % n->cap]);
    free(n->ring);
    mu_timer_free(n->timer);
    if (n->freed)
        *n->freed = true;
}

/* Room for one more. */
static int grow(struct mu_nats *n)
{
    size_t cap = n->cap ? n->cap * 2 : 1024;
    struct mu_nats_post_entry **ring;

    if (n->cap && n->next_post - n->oldest < n->cap)
        return 0;
    ring = calloc(cap, sizeof *ring);
    if (!ring)
        return MU_ENOMEM;
    for (uint64_t id = n->oldest; id < n->next_post; id++)
        ring[id % cap] = n->ring[id % n->cap];
    free(n->ring);
    n->ring = ring;
    n->cap = cap;
    return 0;
}

static int make_message(natsMsg **out, struct mu_nats *n, const char *subject, const char *id, const void *bytes, size_t len,
                        uint64_t expected)
{
    char reply[sizeof n->link->inbox + 24], number[24];
    natsStatus s;

    *out = NULL;
    snprintf(reply, sizeof reply, "%s.%" PRIu64, n->link->inbox, n->next_post);
    s = natsMsg_Create(out, subject, reply, bytes, (int)len);
    if (s == NATS_OK && id)
        s = natsMsgHeader_Set(*out, "Nats-Msg-Id", id);
    if (s == NATS_OK && expected != MU_NATS_ANY) {
        snprintf(number, sizeof number, "%" PRIu64, expected);
        s = natsMsgHeader_Set(*out, "Nats-Expected-Last-Subject-Sequence", number);
    }
    if (s == NATS_OK)
        return 0;
    natsMsg_Destroy(*out);
    *out = NULL;
    return s == NATS_NO_MEMORY ? MU_ENOMEM : MU_EINVAL;
}

int mu_nats_post(struct mu_nats *n, const char *subject, const char *id, const void *bytes, size_t len, uint64_t expected,
                 mu_nats_post_fn *done, void *arg)
{
    struct mu_nats_post_entry *e = NULL;
    natsMsg *msg = NULL;
    int rc;

    if (len > INT32_MAX)
        return MU_EINVAL;
    if (!n->timer && !(n->timer = mu_timer_new(n->loop, on_timer, n)))
        return MU_ENOMEM;
    if ((rc = grow(n)) != 0)
        return rc;
    e = malloc(sizeof *e + strlen(subject) + 1);
    if (!e)
        return MU_ENOMEM;
    if ((rc = make_message(&msg, n, subject, id, bytes, len, expected)) != 0)
        goto out;
    e->done = done;
    e->arg = arg;
    e->deadline_ms = mu_clock_ms() + MU_NATS_ANSWER_MS;
    e->generation = n->generation;
    memcpy(e->subject, subject, strlen(subject) + 1);
    if ((rc = mu_nats_link_send(n->link, msg, n->next_post, e->deadline_ms, n->generation)) != 0)
        goto out;
    n->ring[n->next_post % n->cap] = e;
    e = NULL;
    if (n->oldest == n->next_post++)
        set_timer(n);
out:
    free(e);
    return rc;
}
