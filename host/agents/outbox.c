#include "agents/outbox.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/wire.h"
#include "core/clock.h"
#include "core/list.h"
#include "loop/mailbox.h"

#define COMPANY_MS 50     /* a line alone waits so long for others */
#define AGAIN_MS 250
#define AGAIN_MAX_MS 5000
#define FRAME 64          /* bytes of a letter that are not its content */
#define EVENT (-1)        /* in place of a line's level */
#define N_LEVELS MU_LEVEL_OFF

struct item {
    struct mu_list link, of_level; /* of_level: of lines alone */
    int level;
    uint64_t mark;
    size_t at;        /* so much of it has been sent */
    struct mu_buf bytes;
};

struct mu_outbox {
    struct mu_loop *loop;
    struct mu_outbox_way way;
    char *name;
    void (*stored_fn)(void *arg);
    void *arg;
    struct mu_mailbox *wake;
    struct mu_timer *timer;
    pthread_mutex_t lock; /* over what follows */
    struct mu_list items, lines[N_LEVELS];
    size_t bytes, line_bytes, n_events;
    unsigned long dropped[N_LEVELS];
    uint64_t mark;        /* of the last one appended */
    bool shut;
    /* ---- the loop's alone ---- */
    uint64_t letters, stored;
    struct mu_buf letter; /* the one under way; len 0: none */
    uint64_t letter_mark; /* what is stored when it is */
    bool flying;          /* posted, and not answered */
    bool held;
    unsigned tries;
};

static size_t cost(const struct item *it) { return sizeof *it + it->bytes.len; }

static void discard(struct mu_outbox *o, struct item *it)
{
    mu_list_remove(&it->link);
    o->bytes -= cost(it);
    if (it->level == EVENT) {
        o->n_events--;
    } else {
        mu_list_remove(&it->of_level);
        o->line_bytes -= cost(it);
    }
    mu_buf_free(&it->bytes);
    free(it);
}

/* ---- appending ---- */

static uint64_t append(struct mu_outbox *o, struct item *it, int level, struct mu_buf *event)
{
    *it = (struct item){.level = level, .bytes = *event};
    *event = (struct mu_buf)MU_BUF_INIT;
    pthread_mutex_lock(&o->lock);
    bool wake = mu_list_empty(&o->items) || (level == EVENT && !o->n_events);
    uint64_t mark = it->mark = ++o->mark;
    mu_list_push(&o->items, &it->link);
    o->bytes += cost(it);
    if (level == EVENT) {
        o->n_events++;
    } else {
        mu_list_push(&o->lines[level], &it->of_level);
        o->line_bytes += cost(it);
    }
    if (o->shut)
        discard(o, it);
    /* The oldest of the lowest level: what was wrong is told to the last. One that is being sent stays whole. */
    for (int l = 0; o->line_bytes > o->way.lines_max && l < N_LEVELS;) {
        struct item *oldest = mu_list_empty(&o->lines[l]) ? NULL : mu_list_entry(o->lines[l].next, struct item, of_level);
        if (oldest && oldest->at && oldest->of_level.next != &o->lines[l])
            oldest = mu_list_entry(oldest->of_level.next, struct item, of_level);
        if (!oldest || oldest->at) {
            l++;
            continue;
        }
        o->dropped[l]++;
        discard(o, oldest);
    }
    pthread_mutex_unlock(&o->lock);
    if (wake)
        mu_mailbox_nudge(o->wake);
    return mark;
}

uint64_t mu_outbox_put_take(struct mu_outbox *o, struct mu_buf *event)
{
    struct item *it;
    while (!(it = malloc(sizeof *it)))
        usleep(10000);
    return append(o, it, EVENT, event);
}

void mu_outbox_line_take(struct mu_outbox *o, enum mu_level level, struct mu_buf *event)
{
    struct item *it = event->failed || (unsigned)level >= N_LEVELS ? NULL : malloc(sizeof *it);
    if (it) {
        append(o, it, (int)level, event);
        return;
    }
    pthread_mutex_lock(&o->lock);
    o->dropped[(unsigned)level < N_LEVELS ? level : MU_ERROR]++;
    pthread_mutex_unlock(&o->lock);
    mu_buf_free(event);
}

/* ---- letters ---- */

/* In the place of lines that were dropped. Under the lock. */
static void tell_dropped(struct mu_outbox *o, struct mu_buf *body)
{
    struct mu_buf text = MU_BUF_INIT;
    unsigned long all = 0;
    for (int l = 0; l < N_LEVELS; l++)
        all += o->dropped[l];
    if (!all)
        return;
    mu_buf_addf(&text, "%lu line%s of the log %s dropped here, since more came than could be sent:", all, all == 1 ? "" : "s",
                all == 1 ? "was" : "were");
    const char *between = " ";
    for (int l = 0; l < N_LEVELS; l++) {
        if (o->dropped[l]) {
            mu_buf_addf(&text, "%s%lu of level %s", between, o->dropped[l], mu_level_name((enum mu_level)l));
            between = ", ";
        }
    }
    mu_buf_addc(&text, '.');
    struct mu_record record = {.level = MU_WARNING, .wall_ms = mu_clock_wall_ms(), .msg = mu_buf_cstr(&text), .msg_len = text.len};
    size_t before = body->len;
    mu_wire_add_line(body, &record);
    if (body->failed)
        body->len = before; /* with the next letter */
    else
        memset(o->dropped, 0, sizeof o->dropped);
    mu_buf_free(&text);
}

/* The content of the next letter: whole events, or a piece of a large one. Empty: there is none, or no memory. */
static bool gather(struct mu_outbox *o, struct mu_buf *body)
{
    size_t most = o->way.letter_max - FRAME;
    bool more = false;
    pthread_mutex_lock(&o->lock);
    struct item *first = mu_list_empty(&o->items) ? NULL : mu_list_entry(o->items.next, struct item, link);
    if (mu_buf_reserve(body, most))
        first = NULL;
    if (first && !first->at)
        tell_dropped(o, body);
    if (first && (first->at || first->bytes.len > most)) {
        if (!body->len) { /* else that goes first, alone */
            size_t left = first->bytes.len - first->at;
            size_t n = left < most ? left : most;
            mu_buf_add(body, first->bytes.data + first->at, n);
            first->at += n;
            more = n < left;
            o->letter_mark = more ? o->letter_mark : first->mark;
            if (!more)
                discard(o, first);
        }
        first = NULL;
    }
    while (first && body->len + first->bytes.len <= most) {
        mu_buf_add(body, first->bytes.data, first->bytes.len);
        o->letter_mark = first->mark;
        discard(o, first);
        first = mu_list_empty(&o->items) ? NULL : mu_list_entry(o->items.next, struct item, link);
    }
    pthread_mutex_unlock(&o->lock);
    return more;
}

static void send(struct mu_outbox *o);

static void answered(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    struct mu_outbox *o = arg;
    (void)seq;
    o->flying = false;
    if (rc && !o->shut) {
        unsigned shift = o->tries < 5 ? o->tries : 5;
        uint64_t pause = o->way.again_ms << shift;
        if (o->tries++ == 3)
            mu_log(MU_WARNING,
                   "What is to be told to the coordinator cannot be written to the queue: %s. It is kept, and tried again.",
                   err ? err->msg : "unknown error");
        mu_timer_start(o->timer, NULL, pause < AGAIN_MAX_MS ? pause : AGAIN_MAX_MS);
        return;
    }
    if (o->tries > 3 && !rc)
        mu_log(MU_INFO, "The queue takes what is to be told to the coordinator again.");
    o->tries = 0;
    mu_buf_clear(&o->letter);
    bool news = o->letter_mark > o->stored;
    o->stored = o->letter_mark;
    send(o);
    if (news)
        o->stored_fn(o->arg); /* last: it may look at what is under way */
}

static void post(struct mu_outbox *o)
{
    char id[512];
    if (o->held)
        return;
    snprintf(id, sizeof id, "%s.%" PRIu64, o->name, o->letters);
    o->flying = true;
    int rc = o->way.post(o->way.arg, id, o->letter.data, o->letter.len, answered, o);
    if (rc)
        answered(o, rc, 0, NULL);
}

/* What there is now. */
static void send(struct mu_outbox *o)
{
    struct mu_buf body = MU_BUF_INIT;
    if (o->flying || o->letter.len || o->held)
        return;
    struct mu_wire_letter l = {.more = gather(o, &body)};
    if (body.len) {
        l.number = ++o->letters;
        l.bytes = body.data;
        l.len = body.len;
        mu_wire_add_letter(&o->letter, &l);
        while (o->letter.failed) { /* its events are nowhere else */
            usleep(10000);
            mu_buf_clear(&o->letter);
            mu_wire_add_letter(&o->letter, &l);
        }
        post(o);
    } else if (!mu_outbox_is_empty(o)) {
        mu_timer_start(o->timer, NULL, AGAIN_MS); /* no memory */
    }
    mu_buf_free(&body);
}

static void timer_fired(void *arg)
{
    struct mu_outbox *o = arg;
    if (o->letter.len && !o->flying)
        post(o);
    else
        send(o);
}

static void woken(void *arg, struct mu_msg *msg)
{
    struct mu_outbox *o = arg;
    (void)msg;
    if (o->letter.len)
        return;
    pthread_mutex_lock(&o->lock);
    bool wait = !o->n_events && o->line_bytes < o->way.letter_max;
    pthread_mutex_unlock(&o->lock);
    if (wait)
        mu_timer_start(o->timer, NULL, COMPANY_MS);
    else
        send(o);
}

/* ---- the rest ---- */

int mu_outbox_new(struct mu_outbox **out, struct mu_loop *loop, const struct mu_outbox_way *way, const char *name, uint64_t letters,
                  void (*stored)(void *arg), void *arg, struct mu_err *err)
{
    struct mu_outbox *o = calloc(1, sizeof *o);
    if (!o)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *o = (struct mu_outbox){.loop = loop, .way = *way, .name = strdup(name), .stored_fn = stored, .arg = arg, .letters = letters};
    if (!o->way.letter_max || o->way.letter_max > MU_OUTBOX_LETTER_MAX)
        o->way.letter_max = MU_OUTBOX_LETTER_MAX;
    o->way.lines_max = o->way.lines_max ? o->way.lines_max : MU_OUTBOX_LINES_MAX;
    o->way.again_ms = o->way.again_ms ? o->way.again_ms : AGAIN_MS;
    pthread_mutex_init(&o->lock, NULL);
    mu_list_init(&o->items);
    for (int l = 0; l < N_LEVELS; l++)
        mu_list_init(&o->lines[l]);
    o->timer = mu_timer_new(loop, timer_fired, o);
    int rc = o->name && o->timer ? mu_mailbox_new(&o->wake, loop, woken, o, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc)
        mu_outbox_free(o);
    else
        *out = o;
    return rc;
}

void mu_outbox_hold(struct mu_outbox *o, bool hold)
{
    bool go = o->held && !hold;
    o->held = hold;
    if (go)
        mu_timer_start(o->timer, NULL, 0);
}

void mu_outbox_shut(struct mu_outbox *o)
{
    pthread_mutex_lock(&o->lock);
    o->shut = true;
    while (!mu_list_empty(&o->items))
        discard(o, mu_list_entry(o->items.next, struct item, link));
    memset(o->dropped, 0, sizeof o->dropped);
    pthread_mutex_unlock(&o->lock);
    if (!o->flying)
        mu_buf_clear(&o->letter);
}

void mu_outbox_free(struct mu_outbox *o)
{
    if (!o)
        return;
    mu_outbox_shut(o);
    mu_timer_free(o->timer);
    if (o->wake)
        mu_mailbox_free(o->wake, NULL);
    mu_buf_free(&o->letter);
    pthread_mutex_destroy(&o->lock);
    free(o->name);
    free(o);
}

uint64_t mu_outbox_stored(const struct mu_outbox *o) { return o->stored; }
uint64_t mu_outbox_letters(const struct mu_outbox *o) { return o->letters; }

size_t mu_outbox_bytes(struct mu_outbox *o)
{
    pthread_mutex_lock(&o->lock);
    size_t n = o->bytes;
    pthread_mutex_unlock(&o->lock);
    return n + o->letter.len;
}

bool mu_outbox_is_empty(struct mu_outbox *o) { return mu_outbox_bytes(o) == 0; }
