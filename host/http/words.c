/* What is said of a request: its name in messages, its errors, an excerpt of the answer. Never a secret. */
#include <string.h>

#include "http/internal.h"

#define EXCERPT_MAX 200

bool mu_http_tells_secret(const struct mu_http_call *c, const char *text)
{
    for (size_t i = 0; i < c->req.n_secrets; i++)
        if (strcasestr(text, c->req.secrets[i])) /* a host comes back in lower case */
            return true;
    return false;
}

/* A server can send us to an address that repeats a secret. One that the script wrote is its own affair. */
bool mu_http_url_repeats_secret(const struct mu_http_call *c)
{
    return c->redirects && mu_http_tells_secret(c, c->url.text);
}

void mu_http_say_request(const struct mu_http_call *c, struct mu_buf *out)
{
    mu_buf_addf(out, "%s ", c->method);
    if (mu_http_url_repeats_secret(c))
        mu_buf_adds(out, "(where a redirect led, not shown: it repeats a secret)");
    else
        mu_http_show_url(out, c->url.text);
}

static int code_of(enum mu_http_kind kind)
{
    switch (kind) {
    case MU_HTTP_RESOLVE:
        return MU_ERESOLVE;
    case MU_HTTP_CONNECT:
        return MU_EUNREACH;
    case MU_HTTP_TIMEOUT:
        return MU_ETIMEDOUT;
    case MU_HTTP_TOO_LARGE:
        return MU_ELIMIT;
    default:
        return MU_EIO;
    }
}

void mu_http_say_error(const struct mu_http_call *c, struct mu_err *err, enum mu_http_kind kind, const char *cause,
                       const char *what)
{
    struct mu_buf b = MU_BUF_INIT;
    mu_http_say_request(c, &b);
    /* What libcurl tells names the host at times. */
    mu_buf_addf(&b, ": %s", mu_http_url_repeats_secret(c) && mu_http_tells_secret(c, what) ? cause : what);
    mu_err_set(err, code_of(kind), "%s", mu_buf_cstr(&b));
    mu_err_cause(err, "HTTP: %s", cause);
    mu_buf_free(&b);
}

void mu_http_say_status(const struct mu_http_call *c, struct mu_err *err)
{
    struct mu_buf what = MU_BUF_INIT;
    char cause[24];
    mu_buf_addf(&what, "status %d", c->answer.status);
    if (c->answer.body.len) {
        mu_buf_adds(&what, ": ");
        mu_http_excerpt(c, &what);
    }
    snprintf(cause, sizeof cause, "status %d", c->answer.status);
    mu_http_say_error(c, err, MU_HTTP_STATUS, cause, mu_buf_cstr(&what));
    mu_buf_free(&what);
}

/* The length of the secret that is repeated at text, or 0. */
static size_t secret_at(const struct mu_http_copy *req, const char *text, size_t left)
{
    size_t longest = 0;
    for (size_t i = 0; i < req->n_secrets; i++) {
        size_t n = strlen(req->secrets[i]);
        if (n > longest && n <= left && !memcmp(text, req->secrets[i], n))
            longest = n;
    }
    return longest;
}

bool mu_http_repeats_secret(const struct mu_http_call *c)
{
    const struct mu_buf *body = &c->response.body;
    for (size_t i = 0; i < c->req.n_secrets; i++)
        if (body->len && memmem(body->data, body->len, c->req.secrets[i], strlen(c->req.secrets[i])))
            return true;
    return false;
}

void mu_http_excerpt(const struct mu_http_call *c, struct mu_buf *out)
{
    const struct mu_buf *body = c->response.body.len ? &c->response.body : &c->answer.body;
    size_t from = out->len, i = 0;
    bool space = false;

    while (i < body->len && out->len - from < EXCERPT_MAX) {
        const char *p = body->data + i;
        size_t n = secret_at(&c->req, p, body->len - i);
        if (!n && strchr(" \t\r\n", *p) && *p) {
            space = true;
            i++;
            continue;
        }
        if (space && out->len > from)
            mu_buf_addc(out, ' ');
        space = false;
        if (n)
            mu_buf_adds(out, "(secret)");
        else
            mu_buf_addc(out, *p ? *p : '?'); /* messages are C strings */
        i += n ? n : 1;
    }
    if (i == body->len)
        return;
    while (out->len > from && ((unsigned char)out->data[out->len - 1] & 0xc0) == 0x80) /* not half a character */
        out->len--;
    if (out->len > from && (unsigned char)out->data[out->len - 1] >= 0xc0)
        out->len--;
    if (out->data)
        out->data[out->len] = '\0';
    mu_buf_adds(out, "…");
}
