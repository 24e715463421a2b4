/* One request with all its tries: look up, exchange, follow redirects, pause, again. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "http/internal.h"

static void begin_try(struct mu_http_call *c);
static void begin_exchange(struct mu_http_call *c);

/* ---- the end of a try ---- */

static void end_exchange(struct mu_http_call *c)
{
    mu_timer_stop(c->step);
    mu_resolve_cancel(c->lookup);
    c->lookup = NULL;
    mu_http_transfer_close(c);
}

static void finish(struct mu_http_call *c, const struct mu_http_outcome *o, const struct mu_err *err)
{
    struct mu_http_response *r = &c->response;

    c->state = MU_HTTP_DONE;
    mu_timer_stop(c->limit);
    r->kind = o->kind;
    r->error = *err;
    r->retryable = mu_http_retryable(&c->retry, o);
    r->status = o->status;
    r->url = c->url.text;
    if (o->kind == MU_HTTP_OK || o->kind == MU_HTTP_STATUS) {
        r->fields = c->answer.fields;
        r->n_fields = c->answer.n_fields;
        r->body = c->answer.body;
        c->answer.fields = NULL;
        c->answer.n_fields = 0;
        c->answer.body = (struct mu_buf)MU_BUF_INIT;
    }
    if (mu_log_enabled(MU_DEBUG)) {
        struct mu_buf b = MU_BUF_INIT;
        mu_http_say_request(c, &b);
        if (r->status)
            mu_log(MU_DEBUG, "%s: status %d, %zu bytes in %llu ms.", mu_buf_cstr(&b), r->status, r->body.len,
                   (unsigned long long)(mu_clock_ms() - c->started_ms));
        else
            mu_log(MU_DEBUG, "%s", err->msg);
        mu_buf_free(&b);
    }
    c->done(c->arg, c);
}

/* A try is over: again, or done. */
static void conclude(struct mu_http_call *c, struct mu_http_outcome *o, struct mu_err *err)
{
    uint64_t delay_ms = 0;
    bool bad = o->kind == MU_HTTP_OK && o->status >= 400;
    /* Those who failed together ask a little apart: any number that differs between them will do. */
    double random = (double)(mu_clock_ns() % 10007) / 10007.0;
    bool again = mu_http_retry(&c->retry, c->response.tries, o, random, &delay_ms);

    if (bad || (again && o->kind == MU_HTTP_OK))
        mu_http_say_status(c, err);
    end_exchange(c);
    mu_timer_stop(c->limit);
    if (again) {
        mu_log(MU_INFO, "%s; trying again in %.1f s (%u of %u).", err->msg, (double)delay_ms / 1000.0, c->response.tries,
               c->retry.retries);
        c->state = MU_HTTP_PAUSE;
        mu_http_answer_free(&c->answer);
        mu_loop_update_time(c->http->loop);
        mu_timer_start(c->step, c->ctx, delay_ms);
        return;
    }
    if (bad && c->errors)
        o->kind = MU_HTTP_STATUS;
    else if (bad)
        mu_err_clear(err);
    if (o->kind != MU_HTTP_OK && c->response.tries > 1) {
        struct mu_err whole = *err;
        mu_err_set(err, whole.code, "%.460s (%u tries)", whole.msg, c->response.tries);
        mu_err_cause(err, "%s", whole.cause);
    }
    finish(c, o, err);
}

static void give_up(struct mu_http_call *c, enum mu_http_kind kind, bool lasting, const char *cause, const char *what)
{
    struct mu_http_outcome o = {.kind = kind, .sent = c->transfer.sent, .lasting = lasting, .retry_after_ms = -1};
    struct mu_err err = {0};
    mu_http_say_error(c, &err, kind, cause, what);
    conclude(c, &o, &err);
}

static void took_too_long(void *arg)
{
    struct mu_http_call *c = arg;
    char what[80];
    snprintf(what, sizeof what, "no answer within %g s", (double)c->timeout_ms / 1000.0);
    give_up(c, MU_HTTP_TIMEOUT, false, "no answer in time", what);
}

/* ---- redirects ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void refuse_redirect(struct mu_http_call *c, const char *why)
{
    struct mu_buf what = MU_BUF_INIT;
    mu_buf_addf(&what, "status %d redirects %s", c->answer.status, why);
    give_up(c, MU_HTTP_REDIRECTS, true, "redirect not followed", mu_buf_cstr(&what));
    mu_buf_free(&what);
}

static void follow(struct mu_http_call *c, const char *location)
{
    struct mu_http_url to = MU_HTTP_URL_INIT;
    struct mu_err err;
    int status = c->answer.status;

    if (c->redirects == c->max_redirects) {
        give_up(c, MU_HTTP_REDIRECTS, true, "too many redirects", "too many redirects (max_redirects)");
        return;
    }
    if (mu_http_url_follow(&to, &c->url, location, &err)) {
        struct mu_buf why = MU_BUF_INIT;
        mu_buf_addf(&why, "to where we do not go: %s", mu_http_tells_secret(c, location) ? err.cause : err.msg);
        refuse_redirect(c, mu_buf_cstr(&why));
        mu_buf_free(&why);
        return;
    }
    bool abroad = c->abroad || !mu_http_url_same_origin(&c->first, &to);
    bool as_get = (status == 303 && strcmp(c->method, "HEAD") != 0) ||
                  ((status == 301 || status == 302) && !strcmp(c->method, "POST"));
    const char *why = NULL;
    if (c->url.https && !to.https)
        why = "from https to http, where it could be read and changed on the way";
    else if (abroad && !as_get && !mu_http_read_only(c->method))
        why = "a request that changes something to another server: nothing is sent there";
    if (why) {
        mu_http_url_free(&to);
        refuse_redirect(c, why);
        return;
    }
    if (as_get) {
        strcpy(c->method, "GET");
        c->with_body = false;
    }
    c->abroad = abroad;
    c->redirects++;
    mu_http_url_free(&c->url);
    c->url = to;
    end_exchange(c);
    mu_http_answer_free(&c->answer);
    begin_exchange(c);
}

static void exchange_over(struct mu_http_call *c)
{
    struct mu_http_outcome o;
    struct mu_err err = {0};
    long status = 0;

    if (c->transfer.code == CURLE_OK)
        curl_easy_getinfo(c->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    c->answer.status = (int)status;
    mu_http_transfer_judge(c, &o, &err);
    const char *location = mu_http_answer_field(&c->answer, "location");
    if (o.kind == MU_HTTP_OK && is_redirect(o.status) && location && c->max_redirects)
        follow(c, location);
    else
        conclude(c, &o, &err);
}

/* ---- a try ---- */

static void exchange(struct mu_http_call *c, const struct mu_addr *addrs, size_t n)
{
    struct mu_err err;

    c->state = MU_HTTP_EXCHANGE;
    if (mu_http_transfer_open(c, addrs, n, &err))
        give_up(c, MU_HTTP_PROTOCOL, true, err.msg, err.msg);
}

static void looked_up(void *arg, const struct mu_addr *addrs, size_t n, const struct mu_err *err)
{
    struct mu_http_call *c = arg;

    c->lookup = NULL;
    mu_timer_stop(c->step);
    if (n) {
        exchange(c, addrs, n);
        return;
    }
    char what[500];
    const char *reason = strstr(err->cause, ": ");
    snprintf(what, sizeof what, "the name %s cannot be resolved: %s", c->url.host, reason ? reason + 2 : err->cause);
    give_up(c, MU_HTTP_RESOLVE, false, err->cause, what);
}

static void begin_exchange(struct mu_http_call *c)
{
    struct mu_err err;

    if (c->url.numeric) {
        exchange(c, NULL, 0);
        return;
    }
    c->state = MU_HTTP_LOOKUP;
    if (mu_resolve_start(&c->lookup, c->http->loop, c->ctx, c->url.host, c->url.port, looked_up, c, &err))
        give_up(c, MU_HTTP_RESOLVE, true, "name resolution failed", err.msg);
    else
        mu_timer_start(c->step, c->ctx, c->connect_timeout_ms);
}

static int begin_as_asked(struct mu_http_call *c)
{
    struct mu_err err;

    strcpy(c->method, c->req.method);
    c->with_body = c->req.body != NULL;
    c->abroad = false;
    c->redirects = 0;
    mu_http_url_free(&c->url);
    return mu_http_url_parse(&c->url, c->first.text, &err);
}

static void begin_try(struct mu_http_call *c)
{
    c->response.tries++;
    c->started_ms = mu_clock_ms();
    mu_loop_update_time(c->http->loop);
    mu_timer_start(c->limit, c->ctx, c->timeout_ms);
    begin_exchange(c);
}

static void on_step(void *arg)
{
    struct mu_http_call *c = arg;
    char what[80];

    switch (c->state) {
    case MU_HTTP_PAUSE:
        if (begin_as_asked(c)) {
            give_up(c, MU_HTTP_PROTOCOL, true, "out of memory", "out of memory");
            return;
        }
        begin_try(c);
        return;
    case MU_HTTP_BEGIN:
        begin_try(c);
        return;
    case MU_HTTP_LOOKUP:
        snprintf(what, sizeof what, "its name was not resolved within %g s", (double)c->connect_timeout_ms / 1000.0);
        give_up(c, MU_HTTP_RESOLVE, false, "name resolution timed out", what);
        return;
    case MU_HTTP_EXCHANGE:
        if (c->transfer.over)
            exchange_over(c);
        return;
    case MU_HTTP_DONE:
        return;
    }
}

/* ---- the door ---- */

int mu_http_start(struct mu_http_call **out, struct mu_http *http, struct mu_ctx *ctx, const struct mu_http_request *req,
                  mu_http_fn *done, void *arg, struct mu_err *err)
{
    struct mu_http_call *c = NULL;
    int rc;

    *out = NULL;
    rc = mu_http_check(req, err);
    if (rc)
        return rc;
    c = calloc(1, sizeof *c);
    if (!c)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *c = (struct mu_http_call){.http = http, .ctx = mu_ctx_ref(ctx), .done = done, .arg = arg, .retry = req->retry,
                               .timeout_ms = req->timeout_ms, .connect_timeout_ms = req->connect_timeout_ms,
                               .max_redirects = req->max_redirects, .errors = req->errors,
                               .answer = {.max_body = req->max_body}};
    http->calls++;
    c->step = mu_timer_new(http->loop, on_step, c);
    c->limit = mu_timer_new(http->loop, took_too_long, c);
    rc = c->step && c->limit ? mu_http_copy(&c->req, req, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = mu_http_url_parse(&c->first, req->url, err);
    if (!rc && begin_as_asked(c))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc) {
        mu_http_call_free(c);
        return rc;
    }
    mu_timer_start(c->step, c->ctx, 0);
    *out = c;
    return 0;
}

const struct mu_http_response *mu_http_result(const struct mu_http_call *c) { return &c->response; }

void mu_http_call_free(struct mu_http_call *c)
{
    if (!c)
        return;
    mu_http_transfer_close(c);
    mu_resolve_cancel(c->lookup);
    mu_timer_free(c->step);
    mu_timer_free(c->limit);
    for (size_t i = 0; i < c->response.n_fields; i++) {
        free(c->response.fields[i].name);
        free(c->response.fields[i].value);
    }
    free(c->response.fields);
    mu_buf_free(&c->response.body);
    mu_http_answer_free(&c->answer);
    mu_http_copy_free(&c->req);
    mu_http_url_free(&c->first);
    mu_http_url_free(&c->url);
    c->http->calls--;
    mu_ctx_unref(c->ctx);
    free(c);
}
