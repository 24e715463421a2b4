#include <pthread.h>

#include "core/log.h"
#include "tests/unit/core/unit.h"

enum { THREADS = 4, LINES = 3000 };

struct tally {
    unsigned lines[THREADS];
    bool wrong;
    int64_t last_ms;
};

static void count_line(void *arg, const struct mu_record *r)
{
    struct tally *t = arg;
    size_t who = (size_t)(r->msg[0] - '0');

    /* unprotected on purpose: the logger's mutex is what keeps it whole */
    t->wrong = t->wrong || who >= THREADS || r->n_fields != 2 || r->fields[0].v.str[0] != r->msg[0] ||
               r->fields[1].v.i != (int64_t)t->lines[who];
    if (who < THREADS)
        t->lines[who]++;
    t->last_ms = r->wall_ms;
}

struct job {
    struct mu_logger *lg;
    char who;
};

static void *log_many(void *arg)
{
    struct job *job = arg;
    char name[2] = {job->who, 0};
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", name), *former;

    mu_logger_use(job->lg);
    former = mu_ctx_enter(ctx);
    for (int i = 0; i < LINES; i++) {
        struct mu_field f = {.key = "i", .type = MU_FIELD_INT, .v.i = i};
        mu_log_fields(MU_INFO, &f, 1, "%c", job->who);
    }
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    mu_logger_use(NULL);
    return NULL;
}

static void threads_share_a_logger(void **state)
{
    struct tally tally = {.wrong = false};
    struct mu_logger *lg;
    struct job jobs[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(mu_logger_new(&lg, MU_INFO), 0);
    assert_int_equal(mu_logger_add_sink(lg, count_line, &tally, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){lg, (char)('0' + i)};
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(tally.wrong);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(tally.lines[i], LINES);
    assert_null(mu_logger_current());
    mu_logger_free(lg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_logger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
