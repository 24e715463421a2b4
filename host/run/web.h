/* web.h: an HTTP request of a task: over the worker's shared connections; in a dry run only told of; in a replay
 *   answered from the transcript.
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
    struct mu_tape_web *asked; /* what is to be recorded, or was looked for; NULL: nothing */
    const struct mu_fiber *fiber; /* of the wait */
    const struct mu_http_response *replayed; /* from a transcript */
};

/* Begin; c needs no initialisation. Fails as mu_http_start() does; mu_web_close() is harmless then. */
int mu_web_start(struct mu_web_call *c, struct mu_fiber *f, const struct mu_http_request *req, struct mu_err *err);
/* When the wait is over, until it is closed. In a replay url is NULL where it is the one that was asked. NULL: a dry run. */
const struct mu_http_response *mu_web_result(const struct mu_web_call *c);
bool mu_web_repeats_secret(const struct mu_web_call *c);     /* as mu_http_repeats_secret() */
bool mu_web_url_repeats_secret(const struct mu_web_call *c); /* as mu_http_url_repeats_secret() */
void mu_web_close(struct mu_web_call *c); /* idempotent; ends it when it is under way */

#endif
