/* url.h: URLs taken apart, put together, and followed, as HTTP requests need them.
 *
 * Purpose: one place that says which URLs we go to: http and https only, a host, no credentials in it.
 *   What else is done with URLs, http.h shows.
 * Owner: a url owns its texts; MU_HTTP_URL_INIT or zeroed memory is an empty one, mu_http_url_free() ends it.
 * Thread: any. Must not know: connections, requests.
 */
#ifndef MU_HTTP_URL_H
#define MU_HTTP_URL_H

#include <stdbool.h>

#include "core/err.h"

struct mu_http_url {
    char *text; /* normalised, without a fragment */
    char *host; /* without the brackets of an IPv6 address */
    int port;
    bool https;
    bool numeric; /* the host is an address: nothing to look up */
};

#define MU_HTTP_URL_INIT {0}

/* Returns 0, MU_EINVAL with what is wrong, or MU_ENOMEM; then url is empty. */
int mu_http_url_parse(struct mu_http_url *url, const char *text, struct mu_err *err);
/* Where `location` leads from base, as an answer's Location says it. Returns as mu_http_url_parse(). */
int mu_http_url_follow(struct mu_http_url *url, const struct mu_http_url *base, const char *location, struct mu_err *err);
/* The same scheme, host and port: where what is meant for one may go to the other. */
bool mu_http_url_same_origin(const struct mu_http_url *a, const struct mu_http_url *b);
void mu_http_url_free(struct mu_http_url *url); /* back to empty */

#endif
