/* tape_web.h: HTTP requests in transcripts.
 *
 * Purpose: what a request is known by, its line, and the search for its answer. A line is
 *   {"http": "GET", "url": "https://host/path", "query": HASH, "body": HASH, "status": 200, "attempts": 1,
 *    "headers": {NAME: VALUE}, "response": TEXT, "from": URL, "error": {"kind": "timeout", "retryable": true, …}}
 *   What was asked is there without what may be secret: the URL's query and the body as hashes (tape.h), no headers, no
 *   credentials. Of an answer, headers that carry credentials are "(not recorded)", and so are values that repeat a secret of
 *   the request; a body that does is left out, and then cannot be replayed.
 *   Or, written by muster.testing, {"http_glob": "GET https://host/path*", "answers": [{"status": 200, …} …]}: what comes of any
 *   request like this, one after the other, the last again and again. Retries, and whether a status is an error, are as the
 *   request says.
 * Owner: a request is its maker's; answers live as long as the tapes. Thread: as tape.h. Must not know: Lua, libcurl.
 */
#ifndef MU_RUN_TAPE_WEB_H
#define MU_RUN_TAPE_WEB_H

#include "http/http.h"
#include "run/tape.h"

struct mu_tape_web;

/* NULL: no memory. i: the server's place, as for mu_tapes_note(). */
struct mu_tape_web *mu_tape_web_new(struct mu_tapes *t, size_t i, const struct mu_http_request *req);
void mu_tape_web_free(struct mu_tape_web *w); /* NULL allowed */
const char *mu_tape_web_name(const struct mu_tape_web *w, char *out, size_t size); /* "GET URL", without its query; out */
/* The call has ended. */
void mu_tapes_note_web(struct mu_tapes *t, size_t i, const struct mu_tape_web *asked, const struct mu_http_call *call);
/* The next answer; url is NULL in it where it came from the URL that was asked. NULL, and err, when there is none. It lives
 * as long as asked does, too. */
const struct mu_http_response *mu_tapes_web_answer(struct mu_tapes *t, size_t i, struct mu_tape_web *asked, struct mu_err *err);

#endif
