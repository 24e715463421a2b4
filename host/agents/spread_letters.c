/* What agents write: letters in the order of their numbers, events of several letters put together, and the lines of
 * their logs, which wait until the results before them are committed. Letters are acknowledged when all that they
 * brought is committed. */
#include <stdlib.h>
#include <string.h>

#include "agents/spread_internal.h"
#include "core/clock.h"

#define EVENT_MAX ((size_t)64 << 20) /* bytes of one event: a result with all that it keeps */

static struct mu_spread_letter *letter_of(struct mu_list *l)
{
    return mu_list_entry(l, struct mu_spread_letter, link);
}

/* ---- letters ---- */

static void want_another(struct mu_spread *s, struct mu_spread_letter *l)
{
    if (s->pull && l->pull == s->pulls)
        mu_nats_pull_want(s->pull, 1);
    l->pull = 0;
}

static void acknowledge(struct mu_spread *s, struct mu_spread_letter *l)
{
    mu_list_remove(&l->link);
    want_another(s, l);
    mu_nats_job_ack_free(l->job);
    mu_buf_free(&l->whole);
    free(l);
}

static void forget(struct mu_spread_letter *l)
{
    mu_list_remove(&l->link);
    mu_nats_job_free(l->job);
    mu_buf_free(&l->whole);
    free(l);
}

/* The event is whole, or will never be: its letters are acknowledged with the others. */
static void end_pieces(struct mu_spread *s, struct mu_spread_agent *a)
{
    struct mu_list *l;
    mu_buf_free(&a->piece);
    while ((l = mu_list_pop(&a->pieces)))
        mu_list_push(&s->letters, l);
}

/* They come again. */
static void forget_pieces(struct mu_spread_agent *a)
{
    if (!mu_list_empty(&a->pieces))
        a->last = a->first_piece - 1;
    mu_buf_free(&a->piece);
    while (!mu_list_empty(&a->pieces))
        forget(letter_of(a->pieces.next));
}

/* ---- lines ---- */

static void write_line(struct mu_spread *s, uint32_t agent, const struct mu_wire_line *line)
{
    struct mu_field stack[32], *fields = stack;
    if (line->level < MU_TRACE || line->level > MU_ERROR)
        return;
    if (line->n_fields + 1 > sizeof stack / sizeof *stack && !(fields = calloc(line->n_fields + 1, sizeof *fields)))
        return;
    size_t n = 0;
    for (size_t i = 0; i < line->n_fields; i++)
        if (strcmp(line->fields[i].key, "agent") != 0) /* that is known better here */
            fields[n++] = line->fields[i];
    fields[n++] = (struct mu_field){.key = "agent", .type = MU_FIELD_STR, .v.str = mu_spread_agent_name(s, agent)};
    const struct mu_record record = {.level = line->level,
                                     .wall_ms = line->wall_ms,
                                     .msg = mu_buf_cstr(&line->msg),
                                     .msg_len = line->msg.len,
                                     .fields = fields,
                                     .n_fields = n};
    mu_log_record(&record);
    if (fields != stack)
        free(fields);
}

/* Those of a letter that waited. */
static void write_lines(struct mu_spread *s, struct mu_spread_letter *l)
{
    size_t len = l->whole.len, at = l->lines_at;
    const void *bytes = l->whole.data;
    struct mu_wire_letter read;
    struct mu_wire_event e;
    if (at == SIZE_MAX)
        return;
    l->lines_at = SIZE_MAX;
    if (!bytes) {
        const void *job = mu_nats_job_bytes(l->job, &len);
        if (mu_wire_read_letter(&read, job, len, NULL))
            return;
        bytes = read.bytes;
        len = read.len;
    }
    while (mu_wire_read_event(&e, bytes, len, &at, NULL) == 0) {
        if (e.kind == MU_EVENT_LINE)
            write_line(s, l->agent, e.line);
        mu_wire_event_clear(&e);
    }
}

/* ---- events ---- */

static void take_claim(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    struct mu_spread_server *v = &s->servers[e->index];
    mu_spread_has(s, agent, e);
    if (e->ticket <= v->claimed)
        return; /* whoever changed it later said so before */
    /* Also that of one who does not count: the queue took it, so it is what is claimed. */
    v->claimed = e->ticket;
    s->dirty = true;
    s->swept = false;
    s->home->claim_is(s->home->run, e->index, e->text);
}

static void refused(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    const char *why = e->text && *e->text ? e->text : "it does not say why";
    if (mu_spread_counts(s, agent, e))
        mu_spread_fail(s, e->index, agent, e->delivery, why, "agent %s cannot run it: %s",
                       mu_spread_agent_name(s, agent), why);
    else
        mu_spread_drop(s, agent, e->index, e->delivery, mu_spread_is_open(s, e));
}

static void take_event(struct mu_spread *s, uint32_t agent, struct mu_wire_event *e)
{
    if (e->kind != MU_EVENT_LINE)
        s->agents[agent]->idle = e->kind == MU_EVENT_IDLE;
    if (e->kind != MU_EVENT_IDLE && e->kind != MU_EVENT_LINE && e->index >= s->home->n)
        return;
    switch (e->kind) {
    case MU_EVENT_STARTED:
        mu_spread_started(s, agent, e);
        break;
    case MU_EVENT_RESULT:
        mu_spread_result(s, agent, e);
        break;
    case MU_EVENT_LINE:
        write_line(s, agent, e->line);
        break;
    case MU_EVENT_CLAIM:
        take_claim(s, agent, e);
        break;
    case MU_EVENT_ACQUIRE:
        mu_spread_acquire(s, agent, e);
        break;
    case MU_EVENT_LEAVE:
        mu_spread_leave(s, agent, e->ticket);
        break;
    case MU_EVENT_EXHAUSTED:
        mu_spread_exhausted(s, agent, e);
        break;
    case MU_EVENT_REFUSED:
        refused(s, agent, e);
        break;
    case MU_EVENT_IDLE:
        break;
    }
}

static void take_events(struct mu_spread *s, struct mu_spread_letter *l, const void *bytes, size_t len)
{
    struct mu_err err = {0};
    struct mu_wire_event e;
    size_t at = 0, before = 0;
    int rc;
    while ((rc = mu_wire_read_event(&e, bytes, len, &at, &err)) == 0) {
        if (e.kind == MU_EVENT_LINE && s->dirty)
            l->lines_at = l->lines_at == SIZE_MAX ? before : l->lines_at;
        else
            take_event(s, l->agent, &e);
        mu_wire_event_clear(&e);
        before = at;
    }
    if (rc != MU_ENOENT)
        mu_log(MU_WARNING, "What agent %s wrote cannot be read, and is left out: %s", mu_spread_agent_name(s, l->agent),
               err.msg);
}

/* False: it is not the next one, and comes again. */
static bool is_next(struct mu_spread *s, struct mu_spread_agent *a, uint64_t number)
{
    if (number == a->last + 1 || (!a->last && s->home->resumed))
        return true;
    if (a->gap && a->gap <= s->pulls) { /* they came anew since, from the first: it does not exist */
        end_pieces(s, a);
        return true;
    }
    a->gap = s->pulls + 1;
    s->to_renew = true;
    mu_timer_start(s->tick, NULL, 0);
    return false;
}

static void take_letter(struct mu_spread *s, struct mu_spread_letter *l, const struct mu_wire_letter *read)
{
    struct mu_spread_agent *a = s->agents[l->agent];
    a->last = read->number;
    a->gap = 0;
    if (!read->more && mu_list_empty(&a->pieces)) {
        mu_list_push(&s->letters, &l->link);
        take_events(s, l, read->bytes, read->len);
        return;
    }
    if (mu_list_empty(&a->pieces))
        a->first_piece = read->number;
    mu_buf_add(&a->piece, read->bytes, read->len);
    mu_list_push(&a->pieces, &l->link);
    want_another(s, l); /* else one event of many letters would wait for itself */
    if (a->piece.failed || a->piece.len > EVENT_MAX) {
        mu_log(MU_ERROR, "What agent %s wrote is too large, or memory is short: it is left out", mu_spread_agent_name(s, l->agent));
        end_pieces(s, a);
    } else if (!read->more) {
        l->whole = a->piece;
        a->piece = (struct mu_buf)MU_BUF_INIT;
        end_pieces(s, a);
        take_events(s, l, l->whole.data, l->whole.len);
        if (l->lines_at == SIZE_MAX)
            mu_buf_free(&l->whole);
    }
}

void mu_spread_letter(void *arg, struct mu_nats_job *job)
{
    struct mu_spread *s = arg;
    struct mu_spread_letter *l = calloc(1, sizeof *l);
    const char *id = strrchr(mu_nats_job_subject(job), '.');
    struct mu_wire_letter read;
    struct mu_err err = {0};
    size_t len;
    const void *bytes = mu_nats_job_bytes(job, &len);
    if (!l) {
        mu_nats_job_free(job); /* it comes again */
        return;
    }
    *l = (struct mu_spread_letter){.job = job, .lines_at = SIZE_MAX, .pull = s->pulls};
    mu_list_init(&l->link);
    s->n_letters++;
    s->stirred_ms = mu_clock_ms();
    l->agent = s->to_renew || s->renews ? MU_SPREAD_NOBODY : mu_spread_agent_find(s, id ? id + 1 : "");
    if (l->agent == MU_SPREAD_NOBODY) { /* it comes again */
        want_another(s, l);
        forget(l);
        return;
    }
    struct mu_spread_agent *a = s->agents[l->agent];
    mu_spread_heard(s, l->agent);
    if (mu_wire_read_letter(&read, bytes, len, &err)) {
        mu_log(MU_WARNING, "A letter of agent %s cannot be read, and is left out: %s",
               mu_spread_agent_name(s, l->agent), err.msg);
        acknowledge(s, l);
    } else if (read.number <= a->last && (mu_list_empty(&a->pieces) || read.number < a->first_piece)) {
        mu_list_push(&s->letters, &l->link); /* a duplicate: acknowledged when the first one's content is committed */
    } else if (read.number > a->last && is_next(s, a, read.number)) {
        take_letter(s, l, &read);
    } else {
        want_another(s, l);
        forget(l);
    }
    mu_spread_settle_soon(s);
}

/* ---- what is committed ---- */

void mu_spread_kept(struct mu_crew *c)
{
    struct mu_spread *s = (struct mu_spread *)c;
    struct mu_list *l;
    s->dirty = false;
    while ((l = s->letters.next) != &s->letters) {
        write_lines(s, letter_of(l));
        acknowledge(s, letter_of(l));
    }
    mu_spread_say_words(s);
}

void mu_spread_forget_pieces(struct mu_spread *s)
{
    for (size_t i = 0; i < s->n_agents; i++)
        forget_pieces(s->agents[i]);
}

void mu_spread_free_letters(struct mu_spread *s)
{
    struct mu_list *l;
    mu_spread_forget_pieces(s);
    while ((l = s->letters.next) != &s->letters)
        forget(letter_of(l));
}
