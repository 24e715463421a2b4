#include "run/web.h"

#include "run/engine.h"
#include "run/tape.h"
#include "run/worker.h"

#define SHOWN_BODY 2000

static void done(void *arg, struct mu_http_call *call)
{
    (void)call;
    mu_wait_done(&((struct mu_web_call *)arg)->wait);
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

int mu_web_start(struct mu_web_call *c, struct mu_fiber *f, const struct mu_http_request *req, struct mu_err *err)
{
    struct mu_worker *w = f->worker;
    *c = (struct mu_web_call){.wait = {.abandon = abandon}};
    if (mu_tapes_replays(w->engine->tapes))
        return mu_err_set(err, MU_ESTATE, "a replay sends nothing, and HTTP requests are in no transcript: %s", req->method);
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
}
