/* http.h: HTTP requests from a loop, with bounds, redirects and retries.
 *
 * Purpose: the only door to libcurl. One mu_http a worker holds its connections, which are kept alive and used again;
 *   a call is one request with all its tries.
 * Owner: a mu_http belongs to the worker and is freed after all calls, before the loop. A call belongs to whoever started
 *   it, from a successful start until mu_http_call_free(), which ends it when it is under way.
 * Thread: the loop's.
 * Must not know: Lua, tasks, what is asked for.
 *
 * What is fixed: HTTP/1.1 over http and https, also after redirects; certificates are verified, there is no switch; no
 * proxy is used, whatever the environment says (requests carry credentials, and those who set http_proxy for a package
 * manager did not mean them); no cookies, no .netrc, no compression. Names are looked up by loop/resolve.h: a lookup of
 * libcurl's own could not be ended early. A request that is not idempotent never goes over a used connection, since
 * libcurl sends it again by itself when that turns out dead.
 * SIGPIPE must be blocked or ignored in the thread.
 */
#ifndef MU_HTTP_HTTP_H
#define MU_HTTP_HTTP_H

#include "core/buf.h"
#include "http/retry.h"
#include "loop/loop.h"

#define MU_HTTP_HEADERS_MAX 256                    /* in an answer */
#define MU_HTTP_HEADER_BYTES_MAX ((size_t)64 << 10) /* likewise, all together */

struct mu_http;
int mu_http_new(struct mu_http **out, struct mu_loop *loop, struct mu_err *err);
/* Closes the kept connections. Every call must have been freed. NULL allowed. */
void mu_http_free(struct mu_http *http);

struct mu_http_header {
    const char *name, *value;
    bool secret; /* never in a message, also when the server repeats it */
};

/* Borrowed for the start call. */
struct mu_http_request {
    const char *method; /* GET HEAD OPTIONS PUT DELETE POST PATCH */
    const char *url;
    const struct mu_http_header *headers; /* no two with the same name, whatever the case */
    size_t n_headers;
    const char *user, *password; /* basic authentication; both or none */
    const char *token;           /* as a bearer; not together with user */
    const char *body;            /* may hold any bytes; NULL: none */
    size_t body_len;
    const char *ca_file;         /* PEM; these authorities and no others. NULL: the system's */
    uint64_t timeout_ms;         /* of each try */
    uint64_t connect_timeout_ms; /* lookup; and connection with handshake */
    size_t max_body;
    unsigned max_redirects; /* 0: a redirect is an answer like others */
    bool errors;            /* a status of 400 or more is an error: kind STATUS */
    struct mu_http_retry retry;
};

struct mu_http_field {
    char *name, *value; /* name in lower case; values of the same name joined by ", " */
};

struct mu_http_response {
    enum mu_http_kind kind;
    struct mu_err error; /* code 0 with OK; the cause is the same for every server */
    bool retryable;
    int status;          /* 0: no answer that can be used */
    struct mu_http_field *fields;
    size_t n_fields;
    struct mu_buf body;
    const char *url; /* where the answer came from in the end */
    unsigned tries;
};

struct mu_http_call;
typedef void mu_http_fn(void *arg, struct mu_http_call *call);

/* Check a request without sending it: 0, or MU_EINVAL with what is wrong. */
int mu_http_check(const struct mu_http_request *req, struct mu_err *err);
/* Begin. done is called once, from the loop in ctx (never from inside a call of this header), unless the call is freed
 * first. Fails with MU_EINVAL for what mu_http_check() refuses, and MU_ENOMEM. */
int mu_http_start(struct mu_http_call **out, struct mu_http *http, struct mu_ctx *ctx, const struct mu_http_request *req,
                  mu_http_fn *done, void *arg, struct mu_err *err);
/* Complete once done has been called; lives as long as the call. */
const struct mu_http_response *mu_http_result(const struct mu_http_call *call);
/* End it, on the wire too, when it is under way; done is not called any more. NULL allowed. */
void mu_http_call_free(struct mu_http_call *call);

/* A URL as it may be logged: cut, and without its query, which may hold what is secret. */
void mu_http_show_url(struct mu_buf *out, const char *text);
/* Text as it can stand in a path or a query: all but letters, digits and "-._~" as %XX. out has room for three times len;
 * returns how many were written. */
size_t mu_http_escape(char *out, const char *text, size_t len);
/* MU_EINVAL when one is not a URL, or url does not have the scheme, host and port of base: credentials are for those. */
int mu_http_within(const char *base, const char *url, struct mu_err *err);
/* The beginning of an answer's body on one line, for a message; what the request keeps secret is left out. */
void mu_http_excerpt(const struct mu_http_call *call, struct mu_buf *out);
bool mu_http_tells_secret(const struct mu_http_call *call, const char *text); /* whatever the case of its letters */
bool mu_http_repeats_secret(const struct mu_http_call *call);     /* the answer's body does */
bool mu_http_url_repeats_secret(const struct mu_http_call *call); /* the URL that a redirect led to does */

#endif
