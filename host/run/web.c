#include "run/web.h"

#include "run/engine.h"
#include "run/tape_web.h"
#include "run/task.h"
#include "run/worker.h"

#define SHOWN_BODY 2000

static struct mu_tapes *tapes_of(const struct mu_fiber *f) { return f->worker->engine->tapes; }

static void done(void *arg, struct mu_http_call *call)
{
    struct mu_web_call *c = arg;
    if (c->asked)
        mu_tapes_note_web(tapes_of(c->fiber), c->fiber->task->remote.index, c->asked, call);
    mu_wait_done(&c->wait);
}

static void abandon(struct mu_wait *wait) { mu_web_close(mu_list_entry(wait, struct mu_web_call, wait)); }

/* What changes something is told instead of done. */
static void tell(const struct mu_http_request *req)
{
    struct mu_field dry = {"dry_run", MU_FIELD_BOOL, {.b = true}};
    struct mu_buf b = MU_BUF_INIT;
    mu_buf_addf(&b, "Would send %s ", req->method);
    mu_http_show_url(&b, req->url);
    if (req->body_len) {
        mu_buf_addc(&b, ' ');
        mu_buf_add(&b, req->body, req->body_len < SHOWN_BODY ? req->body_len : SHOWN_BODY);
        mu_buf_adds(&b, req->body_len < SHOWN_BODY ? "" : "…");
    }
    mu_log_text(MU_INFO, &dry, 1, mu_buf_cstr(&b), b.len);
    mu_buf_free(&b);
}

static int replay(struct mu_web_call *c, struct mu_err *err)
{
    char name[512];
    c->replayed = mu_tapes_web_answer(tapes_of(c->fiber), c->fiber->task->remote.index, c->asked, err);
    if (!c->replayed) {
        mu_tape_web_free(c->asked);
        c->asked = NULL;
        return err->code;
    }
    mu_log_fields(MU_DEBUG, &(struct mu_field){"request", MU_FIELD_STR, {.str = mu_tape_web_name(c->asked, name, sizeof name)}}, 1,
                  "Answered from the transcript.");
    c->wait.done = true;
    return 0;
}

int mu_web_start(struct mu_web_call *c, struct mu_fiber *f, const struct mu_http_request *req, struct mu_err *err)
{
    struct mu_worker *w = f->worker;
    *c = (struct mu_web_call){.wait = {.abandon = abandon}, .fiber = f};
    if (mu_tapes_replays(tapes_of(f)) || mu_tapes_records(tapes_of(f))) {
        int rc = mu_http_check(req, err);
        if (rc)
            return rc;
        if (!(c->asked = mu_tape_web_new(tapes_of(f), f->task->remote.index, req)))
            return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    if (mu_tapes_replays(tapes_of(f)))
        return replay(c, err);
    if (w->engine->dry_run && !mu_http_read_only(req->method)) {
        int rc = mu_http_check(req, err);
        if (rc)
            return rc;
        tell(req);
        c->dry = c->wait.done = true;
        return 0;
    }
    if (!w->http) {
        int rc = mu_http_new(&w->http, w->loop, err);
        if (rc)
            return rc;
    }
    return mu_http_start(&c->http, w->http, f->ctx, req, done, c, err);
}

void mu_web_close(struct mu_web_call *c)
{
    mu_http_call_free(c->http);
    c->http = NULL;
    mu_tape_web_free(c->asked);
    c->asked = NULL;
}

const struct mu_http_response *mu_web_result(const struct mu_web_call *c)
{
    return c->dry ? NULL : c->replayed ? c->replayed : mu_http_result(c->http);
}

bool mu_web_repeats_secret(const struct mu_web_call *c) { return c->http && mu_http_repeats_secret(c->http); }
bool mu_web_url_repeats_secret(const struct mu_web_call *c) { return c->http && mu_http_url_repeats_secret(c->http); }
