/* web.h: an HTTP request of a task: over the worker's shared connections, or, in a dry run, only told of.
 *
 * Purpose: what stands between a binding and http/: the worker's mu_http, made at first use, and what a dry run sends.
 * Owner: a call lives in memory of its starter (a userdata) and is ended by mu_web_close().
 * Thread: the worker's.
 * Must not know: the Lua stack.
 */
#ifndef MU_RUN_WEB_H
#define MU_RUN_WEB_H

#include "http/http.h"
#include "run/fiber.h"

struct mu_web_call {
    struct mu_wait wait; /* await this */
    struct mu_http_call *http;
    bool dry; /* not sent: there is no response */
};

/* Begin; c needs no initialisation. Fails as mu_http_start() does; mu_web_close() is harmless then. */
int mu_web_start(struct mu_web_call *c, struct mu_fiber *f, const struct mu_http_request *req, struct mu_err *err);
void mu_web_close(struct mu_web_call *c); /* idempotent; ends it when it is under way */

#endif
