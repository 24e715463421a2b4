#include "run/tape_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "run/tape_internal.h"

#define SHOWN 5
#define NOT_RECORDED "(not recorded)"

struct mu_tape_web {
    char method[8];
    char *url; /* without its query */
    char query[MU_TAPE_HASH], body[MU_TAPE_HASH]; /* "": none */
};

/* Of an entry: the request, and what it got. */
struct mu_tape_web_entry {
    struct mu_tape_web asked;
    struct mu_http_response answer;
    char *from;
    bool unrecorded; /* the body */
};

/* ---- what was asked ---- */

static void clear(struct mu_tape_web *w)
{
    free(w->url);
    w->url = NULL;
}

struct mu_tape_web *mu_tape_web_new(struct mu_tapes *t, size_t i, const struct mu_http_request *req)
{
    struct mu_tape_web *w = calloc(1, sizeof *w);
    struct mu_tape *tape = mu_tape_of(t, i);
    size_t len = strcspn(req->url, "?#");
    const char *query = req->url[len] == '?' ? req->url + len + 1 : "";
    mu_tape_ready(t, i);
    if (!w || !(w->url = strndup(req->url, len))) {
        mu_tape_web_free(w);
        return NULL;
    }
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

struct mu_tape_web_entry *mu_tape_web_read(const json_t *line)
{
    struct mu_tape_web_entry *e = calloc(1, sizeof *e);
    const char *method = json_string_value(json_object_get(line, "http")), *url = json_string_value(json_object_get(line, "url"));
    const char *from = json_string_value(json_object_get(line, "from"));
    const json_t *status = json_object_get(line, "status"), *attempts = json_object_get(line, "attempts");
    bool ok = e && method && url && strlen(method) < sizeof e->asked.method && (!status || json_is_integer(status)) &&
              (!attempts || json_is_integer(attempts));
    if (ok) {
        snprintf(e->asked.method, sizeof e->asked.method, "%s", method);
        e->asked.url = strdup(url);
        e->from = from ? strdup(from) : NULL;
        e->answer.url = e->from;
        e->answer.status = (int)json_integer_value(status);
        e->answer.tries = attempts ? (unsigned)json_integer_value(attempts) : 1;
        e->unrecorded = json_is_true(json_object_get(line, "response_not_recorded"));
        ok = e->asked.url && (!from || e->from) && get_hash(line, "query", e->asked.query) && get_hash(line, "body", e->asked.body) &&
             get_headers(json_object_get(line, "headers"), &e->answer) && mu_tape_get_bytes(line, "response", &e->answer.body) &&
             get_kind(json_object_get(line, "error"), &e->answer);
    }
    if (ok)
        return e;
    mu_tape_web_entry_free(e);
    return NULL;
}

void mu_tape_web_entry_free(struct mu_tape_web_entry *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->answer.n_fields; i++) {
        free(e->answer.fields[i].name);
        free(e->answer.fields[i].value);
    }
    free(e->answer.fields);
    mu_buf_free(&e->answer.body);
    free(e->from);
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
        used += same(&e->asked, asked);
        other += !strcmp(e->asked.method, asked->method) && !strcmp(e->asked.url, asked->url) && !same(&e->asked, asked);
        if (n++ < SHOWN)
            mu_buf_addf(&all, "%s%s %.80s", n > 1 ? ", " : "", e->asked.method, e->asked.url);
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

const struct mu_http_response *mu_tapes_web_answer(struct mu_tapes *t, size_t i, const struct mu_tape_web *asked,
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
        if (!e->web || e->used || !same(&e->web->asked, asked))
            continue;
        e->used = 1;
        if (!e->web->unrecorded)
            return &e->web->answer;
        mu_err_set(err, MU_ENOENT, "the answer to %s %.120s repeated a secret, and is not in the transcript", asked->method, asked->url);
        mu_err_cause(err, "an answer that is not in the transcript");
        return NULL;
    }
    explain(tape, asked, err);
    return NULL;
}
