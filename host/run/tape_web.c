#include "run/tape_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "run/tape_internal.h"

#define SHOWN 5
#define EXCERPT 200 /* bytes of a body in a message */
#define NOT_RECORDED "(not recorded)"

struct mu_tape_web {
    char method[8];
    char *url; /* without its query */
    char query[MU_TAPE_HASH], body[MU_TAPE_HASH]; /* "": none */
    char *text;                  /* "GET URL", with its query: for patterns; NULL in an entry */
    bool errors;                 /* as in the request */
    struct mu_http_retry retry;  /* likewise */
    struct mu_http_response made; /* by a pattern; what it holds is the entry's */
};

/* Of an entry: the request, and what it got; or a pattern, and what comes of one request like it after the other. */
struct mu_tape_web_entry {
    struct mu_tape_web asked;
    char *glob;
    struct answer {
        struct mu_http_response got;
        char *from;
    } * answers;
    size_t n_answers;
    bool unrecorded; /* the body */
};

/* ---- what was asked ---- */

static void clear(struct mu_tape_web *w)
{
    free(w->url);
    free(w->text);
    w->url = w->text = NULL;
}

struct mu_tape_web *mu_tape_web_new(struct mu_tapes *t, size_t i, const struct mu_http_request *req)
{
    struct mu_tape_web *w = calloc(1, sizeof *w);
    struct mu_tape *tape = mu_tape_of(t, i);
    size_t len = strcspn(req->url, "?#");
    const char *query = req->url[len] == '?' ? req->url + len + 1 : "";
    mu_tape_ready(t, i);
    if (!w || !(w->url = strndup(req->url, len)) || asprintf(&w->text, "%s %s", req->method, req->url) < 0) {
        mu_tape_web_free(w);
        return NULL;
    }
    w->errors = req->errors;
    w->retry = req->retry;
    snprintf(w->method, sizeof w->method, "%s", req->method);
    if (*query)
        mu_tape_hash(tape, query, strlen(query), w->query);
    if (req->body_len)
        mu_tape_hash(tape, req->body, req->body_len, w->body);
    return w;
}

void mu_tape_web_free(struct mu_tape_web *w)
{
    if (w)
        clear(w);
    free(w);
}

const char *mu_tape_web_name(const struct mu_tape_web *w, char *out, size_t size)
{
    snprintf(out, size, "%s %s", w->method, w->url);
    return out;
}

static bool same_but_body(const struct mu_tape_web *a, const struct mu_tape_web *b)
{
    return !strcmp(a->method, b->method) && !strcmp(a->url, b->url) && !strcmp(a->query, b->query);
}

static bool same(const struct mu_tape_web *a, const struct mu_tape_web *b)
{
    return same_but_body(a, b) && !strcmp(a->body, b->body);
}

/* ---- writing ---- */

/* What a server hands out to be shown again is as good as a password. */
static bool carries_credentials(const char *header)
{
    static const char *const words[] = {"cookie", "auth", "token", "secret", "password", "session", "credential", "api-key"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(header, words[i]))
            return true;
    return false;
}

static json_t *headers_of(const struct mu_http_response *r, const struct mu_http_call *call)
{
    json_t *headers = json_object();
    for (size_t i = 0; i < r->n_fields; i++) {
        const struct mu_http_field *f = &r->fields[i];
        bool hidden = carries_credentials(f->name) || mu_http_tells_secret(call, f->value);
        json_object_set_new(headers, f->name, hidden ? json_string(NOT_RECORDED) : mu_tape_text(f->value));
    }
    return headers;
}

/* Where it came from, when a redirect led there; its query may be as secret as that of the request. */
static void set_from(json_t *line, const struct mu_tape_web *asked, const struct mu_http_response *r, const struct mu_http_call *call)
{
    size_t len = r->url ? strcspn(r->url, "?#") : 0;
    if (!r->url || (strlen(asked->url) == len && !strncmp(asked->url, r->url, len)))
        return;
    char *from = mu_http_url_repeats_secret(call) ? strdup(NOT_RECORDED) : strndup(r->url, len);
    if (from)
        json_object_set_new(line, "from", mu_tape_text(from));
    free(from);
}

void mu_tapes_note_web(struct mu_tapes *t, size_t i, const struct mu_tape_web *asked, const struct mu_http_call *call)
{
    const struct mu_http_response *r = mu_http_result(call);
    json_t *line = json_object();
    json_object_set_new(line, "http", json_string(asked->method));
    json_object_set_new(line, "url", mu_tape_text(asked->url));
    if (asked->query[0])
        json_object_set_new(line, "query", json_string(asked->query));
    if (asked->body[0])
        json_object_set_new(line, "body", json_string(asked->body));
    json_object_set_new(line, "attempts", json_integer(r->tries));
    set_from(line, asked, r, call);
    if (r->status) {
        json_object_set_new(line, "status", json_integer(r->status));
        json_object_set_new(line, "headers", headers_of(r, call));
        if (!mu_http_repeats_secret(call)) {
            mu_tape_set_bytes(line, "response", &r->body);
        } else {
            json_object_set_new(line, "response_not_recorded", json_true());
            mu_log(MU_WARNING, "%s %s: the answer repeats a secret of the request, so it is not in the transcript.", asked->method,
                   asked->url);
        }
    }
    if (r->kind != MU_HTTP_OK) {
        json_t *error = json_object();
        json_object_set_new(error, "kind", json_string(mu_http_kind_name(r->kind)));
        json_object_set_new(error, "code", json_string(mu_code_name(r->error.code)));
        json_object_set_new(error, "message", mu_tape_text(r->error.msg));
        json_object_set_new(error, "cause", mu_tape_text(r->error.cause));
        json_object_set_new(error, "retryable", json_boolean(r->retryable));
        json_object_set_new(line, "error", error);
    }
    mu_tape_note(mu_tape_of(t, i), line);
}

/* ---- reading ---- */

static bool get_hash(const json_t *line, const char *name, char out[MU_TAPE_HASH])
{
    const json_t *hash = json_object_get(line, name);
    const char *text = json_string_value(hash);
    snprintf(out, MU_TAPE_HASH, "%s", text ? text : "");
    return !hash || (text && strlen(text) < MU_TAPE_HASH);
}

static bool get_headers(json_t *headers, struct mu_http_response *r)
{
    const char *name;
    json_t *value;
    if (headers && !json_is_object(headers))
        return false;
    r->fields = calloc(json_object_size(headers) + 1, sizeof *r->fields);
    json_object_foreach(headers, name, value) {
        const char *text = json_string_value(value);
        if (!r->fields || !text)
            return false;
        struct mu_http_field *f = &r->fields[r->n_fields++];
        f->name = strdup(name);
        f->value = strdup(text);
        if (!f->name || !f->value)
            return false;
    }
    return r->fields != NULL;
}

static bool get_kind(const json_t *error, struct mu_http_response *r)
{
    const char *kind = json_string_value(json_object_get(error, "kind"));
    if (!error)
        return true;
    r->retryable = json_is_true(json_object_get(error, "retryable"));
    for (int k = MU_HTTP_STATUS; kind && k <= MU_HTTP_PROTOCOL; k++)
        if (!strcmp(kind, mu_http_kind_name((enum mu_http_kind)k))) {
            r->kind = (enum mu_http_kind)k;
            return mu_tape_get_error(error, &r->error);
        }
    return false;
}

static bool get_answer(const json_t *line, struct answer *a)
{
    const char *from = json_string_value(json_object_get(line, "from"));
    const json_t *status = json_object_get(line, "status"), *attempts = json_object_get(line, "attempts");
    if (!json_is_object(line) || (status && !json_is_integer(status)) || (attempts && !json_is_integer(attempts)))
        return false;
    a->from = from ? strdup(from) : NULL;
    a->got.url = a->from;
    a->got.status = (int)json_integer_value(status);
    a->got.tries = attempts ? (unsigned)json_integer_value(attempts) : 1;
    return (!from || a->from) && get_headers(json_object_get(line, "headers"), &a->got) &&
           mu_tape_get_bytes(line, "response", &a->got.body) && get_kind(json_object_get(line, "error"), &a->got);
}

static bool get_request(const json_t *line, struct mu_tape_web_entry *e)
{
    const char *method = json_string_value(json_object_get(line, "http")), *url = json_string_value(json_object_get(line, "url"));
    if (!method || !url || strlen(method) >= sizeof e->asked.method)
        return false;
    snprintf(e->asked.method, sizeof e->asked.method, "%s", method);
    e->asked.url = strdup(url);
    e->unrecorded = json_is_true(json_object_get(line, "response_not_recorded"));
    return e->asked.url && get_hash(line, "query", e->asked.query) && get_hash(line, "body", e->asked.body);
}

struct mu_tape_web_entry *mu_tape_web_read(const json_t *line)
{
    struct mu_tape_web_entry *e = calloc(1, sizeof *e);
    const json_t *glob = json_object_get(line, "http_glob"), *answers = json_object_get(line, "answers");
    size_t n = glob ? json_array_size(answers) : 1;
    bool ok = e && n && (e->answers = calloc(n, sizeof *e->answers));
    if (ok && glob)
        ok = json_is_string(glob) && (e->glob = strdup(json_string_value(glob)));
    else if (ok)
        ok = get_request(line, e);
    for (size_t i = 0; ok && i < n; i++, e->n_answers = i)
        ok = get_answer(glob ? json_array_get(answers, i) : line, &e->answers[i]);
    if (ok)
        return e;
    mu_tape_web_entry_free(e);
    return NULL;
}

static void answer_free(struct answer *a)
{
    for (size_t i = 0; i < a->got.n_fields; i++) {
        free(a->got.fields[i].name);
        free(a->got.fields[i].value);
    }
    free(a->got.fields);
    mu_buf_free(&a->got.body);
    free(a->from);
}

void mu_tape_web_entry_free(struct mu_tape_web_entry *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_answers; i++)
        answer_free(&e->answers[i]);
    free(e->answers);
    free(e->glob);
    clear(&e->asked);
    free(e);
}

/* ---- finding ---- */

static void explain(const struct mu_tape *tape, const struct mu_tape_web *asked, struct mu_err *err)
{
    size_t used = 0, other = 0, n = 0;
    struct mu_buf all = MU_BUF_INIT;
    for (size_t i = 0; i < tape->n; i++) {
        const struct mu_tape_web_entry *e = tape->entries[i].web;
        if (!e)
            continue;
        if (n++ < SHOWN)
            mu_buf_addf(&all, "%s%s%s%.80s", n > 1 ? ", " : "", e->glob ? "" : e->asked.method, e->glob ? "" : " ", e->glob ? e->glob : e->asked.url);
        if (e->glob)
            continue;
        used += same(&e->asked, asked);
        other += !strcmp(e->asked.method, asked->method) && !strcmp(e->asked.url, asked->url) && !same(&e->asked, asked);
    }
    if (n > SHOWN)
        mu_buf_addf(&all, " and %zu more", n - SHOWN);
    if (used)
        mu_err_set(err, MU_ENOENT, "%s %.120s is in the transcript %zu time%s, and was asked once more", asked->method, asked->url, used,
                   used == 1 ? "" : "s");
    else if (other)
        mu_err_set(err, MU_ENOENT, "%s %.120s is in the transcript with another query or body", asked->method, asked->url);
    else
        mu_err_set(err, MU_ENOENT, "nothing is known of %s %.120s; there are answers to: %s", asked->method, asked->url,
                   n ? mu_buf_cstr(&all) : "no requests");
    mu_err_cause(err, "a request that is not in the transcript");
    mu_buf_free(&all);
}

/* Without a ? in it a pattern is about the URL without its query. */
static bool is_like(const struct mu_tape_web_entry *e, const struct mu_tape_web *asked)
{
    char *plain = strchr(e->glob, '?') ? NULL : strndup(asked->text, strcspn(asked->text, "?#"));
    bool like = mu_tape_like(e->glob, plain ? plain : asked->text);
    free(plain);
    return like;
}

/* What a server's body says, on a line, for a message. */
static void add_excerpt(struct mu_buf *what, const struct mu_buf *body)
{
    size_t n = body->len < EXCERPT ? body->len : EXCERPT;
    while (n && n < body->len && ((unsigned char)body->data[n] & 0xc0) == 0x80)
        n--; /* not half a character */
    mu_buf_adds(what, n ? ": " : "");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)body->data[i] > ' ')
            mu_buf_addc(what, body->data[i]);
        else if (what->data[what->len - 1] != ' ')
            mu_buf_addc(what, ' ');
    while (n && what->data[what->len - 1] == ' ')
        what->data[--what->len] = '\0';
    mu_buf_adds(what, n < body->len ? "…" : "");
}

/* As http/call.c would say it. */
static void set_error(struct mu_http_response *r, const struct mu_tape_web *asked)
{
    struct mu_buf what = MU_BUF_INIT;
    char tries[32] = "", cause[160];
    if (r->kind == MU_HTTP_STATUS) {
        mu_buf_addf(&what, "status %d", r->status);
        add_excerpt(&what, &r->body);
        snprintf(cause, sizeof cause, "status %d", r->status);
    } else {
        mu_buf_adds(&what, r->error.msg);
        snprintf(cause, sizeof cause, "%s", r->error.cause);
    }
    if (r->tries > 1)
        snprintf(tries, sizeof tries, " (%u tries)", r->tries);
    mu_err_set(&r->error, r->error.code ? r->error.code : MU_EIO, "%s %.120s: %s%s", asked->method, asked->url, mu_buf_cstr(&what), tries);
    mu_err_cause(&r->error, "HTTP: %s", cause);
    mu_buf_free(&what);
}

/* One try after the other, as a server's answers would have it; only nobody waits in between. */
static const struct mu_http_response *make(struct mu_tape_entry *entry, struct mu_tape_web *asked)
{
    struct mu_tape_web_entry *e = entry->web;
    struct mu_http_response *r = &asked->made;
    struct mu_http_outcome o;
    uint64_t delay_ms;
    unsigned tries = 0;
    do {
        *r = e->answers[entry->used + 1 < e->n_answers ? entry->used++ : e->n_answers - 1].got;
        o = (struct mu_http_outcome){.kind = r->kind, .status = r->status, .sent = r->kind == MU_HTTP_TIMEOUT, .retry_after_ms = -1};
    } while (mu_http_retry(&asked->retry, ++tries, &o, 0, &delay_ms));
    r->tries = tries;
    r->retryable = mu_http_retryable(&asked->retry, &o);
    if (r->kind == MU_HTTP_OK && r->status >= 400 && asked->errors)
        r->kind = MU_HTTP_STATUS;
    if (r->kind != MU_HTTP_OK)
        set_error(r, asked);
    return r;
}

const struct mu_http_response *mu_tapes_web_answer(struct mu_tapes *t, size_t i, struct mu_tape_web *asked,
                                                   struct mu_err *err)
{
    struct mu_tape *tape = mu_tape_of(t, i);
    mu_tape_read(tape);
    if (tape->problem.code) {
        *err = tape->problem;
        return NULL;
    }
    for (size_t j = 0; j < tape->n; j++) {
        struct mu_tape_entry *e = &tape->entries[j];
        if (!e->web || e->web->glob || e->used || !same(&e->web->asked, asked))
            continue;
        e->used = 1;
        if (!e->web->unrecorded)
            return &e->web->answers[0].got;
        mu_err_set(err, MU_ENOENT, "the answer to %s %.120s repeated a secret, and is not in the transcript", asked->method, asked->url);
        mu_err_cause(err, "an answer that is not in the transcript");
        return NULL;
    }
    for (size_t j = 0; j < tape->n; j++)
        if (tape->entries[j].web && tape->entries[j].web->glob && is_like(tape->entries[j].web, asked))
            return make(&tape->entries[j], asked);
    explain(tape, asked, err);
    return NULL;
}
