#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/retry.h"

static struct mu_http_retry policy(const char *method)
{
    return (struct mu_http_retry){.retries = 3, .backoff_ms = 500, .idempotent = mu_http_idempotent(method),
                                  .statuses = {429, 502, 503, 504}, .n_statuses = 4};
}

static struct mu_http_outcome answer(int status)
{
    return (struct mu_http_outcome){.kind = MU_HTTP_OK, .status = status, .sent = true, .retry_after_ms = -1};
}

static struct mu_http_outcome failure(enum mu_http_kind kind, bool sent)
{
    return (struct mu_http_outcome){.kind = kind, .sent = sent, .retry_after_ms = -1};
}

static bool again(struct mu_http_retry p, struct mu_http_outcome o)
{
    uint64_t delay = 0;
    return mu_http_retry(&p, 1, &o, 0, &delay);
}

static void methods(void **state)
{
    (void)state;
    const char *const twice[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}, *const once[] = {"POST", "PATCH"};
    for (size_t i = 0; i < 5; i++) {
        assert_true(mu_http_idempotent(twice[i]));
        assert_int_equal(mu_http_read_only(twice[i]), i < 3);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_false(mu_http_idempotent(once[i]));
        assert_false(mu_http_read_only(once[i]));
    }
}

static void statuses(void **state)
{
    (void)state;
    const int retried[] = {429, 502, 503, 504}, final[] = {200, 201, 204, 304, 400, 401, 403, 404, 408, 409, 500, 501};
    for (size_t i = 0; i < sizeof retried / sizeof *retried; i++) {
        assert_true(again(policy("GET"), answer(retried[i])));
        assert_true(again(policy("PUT"), answer(retried[i])));
        assert_false(again(policy("POST"), answer(retried[i])));
    }
    for (size_t i = 0; i < sizeof final / sizeof *final; i++)
        assert_false(again(policy("GET"), answer(final[i])));

    /* named by the caller: every method, and no others */
    struct mu_http_retry named = policy("POST");
    named.named = true;
    named.statuses[0] = 409;
    named.n_statuses = 1;
    assert_true(again(named, answer(409)));
    assert_false(again(named, answer(503)));

    struct mu_http_retry declared = policy("POST");
    declared.idempotent = true;
    assert_true(again(declared, answer(503)));
}

static void without_an_answer(void **state)
{
    (void)state;
    const enum mu_http_kind passing[] = {MU_HTTP_RESOLVE, MU_HTTP_CONNECT, MU_HTTP_TIMEOUT, MU_HTTP_TLS};
    const enum mu_http_kind final[] = {MU_HTTP_TOO_LARGE, MU_HTTP_REDIRECTS, MU_HTTP_PROTOCOL};
    for (size_t i = 0; i < 4; i++) {
        assert_true(again(policy("GET"), failure(passing[i], true)));
        assert_true(again(policy("GET"), failure(passing[i], false)));
        assert_true(again(policy("POST"), failure(passing[i], false)));
        assert_false(again(policy("POST"), failure(passing[i], true))); /* it may have been done */
        struct mu_http_outcome lasting = failure(passing[i], false);
        lasting.lasting = true;
        assert_false(again(policy("GET"), lasting));
    }
    for (size_t i = 0; i < 3; i++)
        assert_false(again(policy("GET"), failure(final[i], true)));
}

static void makes_sense(void **state)
{
    (void)state;
    struct mu_http_retry p = policy("POST");
    struct mu_http_outcome o = answer(503), gone = answer(404), lost = failure(MU_HTTP_CONNECT, true);
    assert_true(mu_http_retryable(&p, &o)); /* whoever asks again knows whether that is safe */
    assert_true(mu_http_retryable(&p, &lost));
    assert_false(mu_http_retryable(&p, &gone));
    p.statuses[0] = 404;
    assert_true(mu_http_retryable(&p, &gone));
    lost.lasting = true;
    assert_false(mu_http_retryable(&p, &lost));
}

static uint64_t delay(unsigned tries, double random, int64_t retry_after_ms)
{
    struct mu_http_retry p = policy("GET");
    struct mu_http_outcome o = answer(503);
    uint64_t ms = 0;
    p.retries = 100;
    o.retry_after_ms = retry_after_ms;
    assert_true(mu_http_retry(&p, tries, &o, random, &ms));
    return ms;
}

static void pauses(void **state)
{
    (void)state;
    uint64_t whole = 500;
    for (unsigned tries = 1; tries <= 100; tries++) { /* from half of it to all of it, doubling up to 30 s */
        assert_int_equal(delay(tries, 0, -1), whole / 2);
        assert_in_range(delay(tries, 0.999, -1), whole * 9 / 10, whole);
        whole = whole * 2 > 30000 ? 30000 : whole * 2;
    }
    assert_int_equal(whole, 30000);

    assert_int_equal(delay(1, 0, 0), 0);
    assert_int_equal(delay(1, 0, 7000), 7000);
    assert_in_range(delay(1, 0.999, 7000), 7001, 7250);    /* never earlier, and not all at once */
    assert_int_equal(delay(1, 0, 3600000), 60000);
    assert_int_equal(delay(1, 0, INT64_MAX), 60000);
}

static void how_often(void **state)
{
    (void)state;
    struct mu_http_retry p = policy("GET");
    struct mu_http_outcome o = answer(503);
    uint64_t ms;
    for (unsigned tries = 1; tries <= 3; tries++)
        assert_true(mu_http_retry(&p, tries, &o, 0.5, &ms));
    assert_false(mu_http_retry(&p, 4, &o, 0.5, &ms));
    p.retries = 0;
    assert_false(mu_http_retry(&p, 1, &o, 0.5, &ms));
    p.retries = 1;
    p.backoff_ms = UINT64_MAX; /* no overflow */
    assert_true(mu_http_retry(&p, 1, &o, 0.999, &ms));
    assert_in_range(ms, 15000, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(methods),     cmocka_unit_test(statuses),
                                       cmocka_unit_test(without_an_answer), cmocka_unit_test(makes_sense),
                                       cmocka_unit_test(pauses),      cmocka_unit_test(how_often)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
