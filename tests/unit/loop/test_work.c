/* Work on helper threads: done once, from the loop; cancelled before, while and after it runs. */
#include "support.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "core/log.h"
#include "loop/work.h"

struct job {
    sem_t entered, release;
    bool waits;
    pthread_t worker;
    struct mu_ctx *seen;
    atomic_int worked, dropped;
    int done;
    struct mu_work *w;
};

static void work(void *data)
{
    struct job *j = data;

    j->worker = pthread_self();
    j->seen = mu_ctx_current();
    sem_post(&j->entered);
    while (j->waits && sem_wait(&j->release))
        ;
    atomic_fetch_add(&j->worked, 1);
}

static void drop(void *data) { atomic_fetch_add(&((struct job *)data)->dropped, 1); }

static void done(void *arg)
{
    struct job *j = arg;

    assert_int_equal(atomic_load(&j->worked), 1);
    assert_int_equal(atomic_load(&j->dropped), 0);
    mu_work_cancel(j->w); /* nothing left to do */
    j->done++;
}

static void start(struct job *j, struct mu_loop *loop, struct mu_ctx *ctx, bool waits)
{
    struct mu_err err;

    memset(j, 0, sizeof(*j));
    sem_init(&j->entered, 0, 0);
    sem_init(&j->release, 0, 0);
    j->waits = waits;
    assert_int_equal(mu_work_start(&j->w, loop, ctx, work, j, drop, done, j, &err), 0);
    assert_int_equal(j->done, 0);
}

static void done_comes_from_the_loop(void **state)
{
    struct mu_loop *loop = new_loop();
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "x");
    struct job j;

    (void)state;
    start(&j, loop, ctx, false);
    turn_until(loop, &j.done, 1);
    assert_int_equal(j.done, 1);
    assert_int_equal(atomic_load(&j.dropped), 1);
    assert_ptr_equal(j.seen, ctx);
    assert_false(pthread_equal(j.worker, pthread_self()));
    mu_ctx_unref(ctx);
    mu_loop_free(loop);
}

static void cancelled_while_it_runs(void **state)
{
    struct mu_loop *loop = new_loop();
    struct job j;

    (void)state;
    start(&j, loop, NULL, true);
    while (sem_wait(&j.entered))
        ;
    mu_work_cancel(j.w);
    assert_int_equal(atomic_load(&j.dropped), 0); /* it is still in use there */
    sem_post(&j.release);
    mu_loop_free(loop); /* waits for it */
    assert_int_equal(j.done, 0);
    assert_int_equal(atomic_load(&j.worked), 1);
    assert_int_equal(atomic_load(&j.dropped), 1);
}

static void cancelled_at_once(void **state)
{
    struct mu_loop *loop = new_loop();
    struct job j;

    (void)state;
    start(&j, loop, NULL, false);
    mu_work_cancel(j.w);
    mu_loop_free(loop);
    assert_int_equal(j.done, 0);
    assert_int_equal(atomic_load(&j.dropped), 1);
    mu_work_cancel(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_comes_from_the_loop),
        cmocka_unit_test(cancelled_while_it_runs),
        cmocka_unit_test(cancelled_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
