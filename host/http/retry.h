/* retry.h: what became of one try of an HTTP request, and whether and when it is tried again.
 *
 * Purpose: the whole retry policy as plain functions of plain data, to be tested without a network or a clock.
 * Owner: plain data, copied by assignment. Thread: any.
 * Must not know: sockets, libcurl, loops, who asks.
 */
#ifndef MU_HTTP_RETRY_H
#define MU_HTTP_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a request went. OK and STATUS: an answer came (STATUS: one of 400 or more). The rest: none that can be used. */
enum mu_http_kind {
    MU_HTTP_OK,
    MU_HTTP_STATUS,
    MU_HTTP_RESOLVE,   /* the name */
    MU_HTTP_CONNECT,   /* no connection, or it was lost */
    MU_HTTP_TIMEOUT,   /* of the connection or of the try */
    MU_HTTP_TLS,       /* handshake, certificate, CA file */
    MU_HTTP_TOO_LARGE, /* body or headers */
    MU_HTTP_REDIRECTS, /* too many, or to where we do not go */
    MU_HTTP_PROTOCOL   /* not HTTP, or something that we could not do */
};
const char *mu_http_kind_name(enum mu_http_kind kind); /* "too_large" */

#define MU_HTTP_BACKOFF_MAX_MS 30000
#define MU_HTTP_RETRY_AFTER_MAX_MS 60000
#define MU_HTTP_STATUSES_MAX 16

struct mu_http_retry {
    unsigned retries;    /* tries after the first */
    uint64_t backoff_ms; /* before the first retry; doubles */
    bool idempotent;     /* doing it twice does what doing it once does */
    int statuses[MU_HTTP_STATUSES_MAX]; /* to be retried */
    size_t n_statuses;
    bool named; /* the statuses are the caller's own choice: they hold for every method */
};

struct mu_http_outcome {
    enum mu_http_kind kind;
    int status;             /* of OK and STATUS */
    bool sent;              /* the request, or a part of it, may have reached the server */
    bool lasting;           /* the same will come again: a certificate that is not accepted, a file that is not there */
    int64_t retry_after_ms; /* as the server asked; -1: it did not */
};

/* Whether GET, HEAD, PUT, DELETE, OPTIONS. */
bool mu_http_idempotent(const char *method);
/* Whether GET, HEAD, OPTIONS: nothing is changed by it. */
bool mu_http_read_only(const char *method);
/* Would asking again make sense at all, whoever does it? */
bool mu_http_retryable(const struct mu_http_retry *policy, const struct mu_http_outcome *o);
/* After `tries` tries: is there to be another, and after how long? random is in [0, 1): it spreads those who failed
 * together. */
bool mu_http_retry(const struct mu_http_retry *policy, unsigned tries, const struct mu_http_outcome *o, double random,
                   uint64_t *delay_ms);

#endif
