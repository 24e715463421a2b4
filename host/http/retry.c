#include "http/retry.h"

#include <string.h>

const char *mu_http_kind_name(enum mu_http_kind kind)
{
    static const char *const names[] = {"ok",  "status",    "resolve",   "connect", "timeout",
                                        "tls", "too_large", "redirects", "protocol"};
    return names[kind];
}

static bool one_of(const char *method, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(method, *list))
            return true;
    return false;
}

bool mu_http_idempotent(const char *method)
{
    static const char *const list[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", NULL};
    return one_of(method, list);
}

bool mu_http_read_only(const char *method)
{
    static const char *const list[] = {"GET", "HEAD", "OPTIONS", NULL};
    return one_of(method, list);
}

static bool has_status(const struct mu_http_retry *policy, int status)
{
    for (size_t i = 0; i < policy->n_statuses; i++)
        if (policy->statuses[i] == status)
            return true;
    return false;
}

bool mu_http_retryable(const struct mu_http_retry *policy, const struct mu_http_outcome *o)
{
    if (o->lasting)
        return false;
    switch (o->kind) {
    case MU_HTTP_OK:
    case MU_HTTP_STATUS:
        return has_status(policy, o->status) || o->status == 408 || o->status == 429 || o->status == 502 ||
               o->status == 503 || o->status == 504;
    case MU_HTTP_RESOLVE:
    case MU_HTTP_CONNECT:
    case MU_HTTP_TIMEOUT:
    case MU_HTTP_TLS:
        return true;
    default:
        return false;
    }
}

static bool tried_again(const struct mu_http_retry *policy, const struct mu_http_outcome *o)
{
    if (o->kind == MU_HTTP_OK || o->kind == MU_HTTP_STATUS)
        return has_status(policy, o->status) && (policy->idempotent || policy->named);
    return mu_http_retryable(policy, o) && (policy->idempotent || !o->sent);
}

bool mu_http_retry(const struct mu_http_retry *policy, unsigned tries, const struct mu_http_outcome *o, double random,
                   uint64_t *delay_ms)
{
    if (tries > policy->retries || !tried_again(policy, o))
        return false;
    uint64_t step = policy->backoff_ms;
    for (unsigned i = 1; i < tries && step < MU_HTTP_BACKOFF_MAX_MS; i++)
        step *= 2;
    if (step > MU_HTTP_BACKOFF_MAX_MS)
        step = MU_HTTP_BACKOFF_MAX_MS;
    uint64_t jitter = (uint64_t)((double)(step / 2) * random);
    if (o->retry_after_ms >= 0) { /* never earlier than asked; spread, since all were asked the same */
        uint64_t asked = (uint64_t)o->retry_after_ms;
        *delay_ms = (asked < MU_HTTP_RETRY_AFTER_MAX_MS ? asked : MU_HTTP_RETRY_AFTER_MAX_MS) + jitter;
    } else {
        *delay_ms = step - step / 2 + jitter;
    }
    return true;
}
