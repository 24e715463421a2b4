/* store_test.h: a database of runs in a folder of its own, for each test that has it as fixture.
 * Owner: set_up() makes the folder, tear_down() takes it away. Thread: one. Must not know: what is kept in it.
 */
#ifndef MU_RESULTS_STORE_TEST_H
#define MU_RESULTS_STORE_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "results/store.h"

static char dir[64], path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/results.db", dir);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

#define OK(call)                              \
    do {                                      \
        struct mu_err why = {0};              \
        if ((call) != 0)                      \
            fail_msg("%s: %s", #call, why.msg); \
    } while (0)

static inline int say_any_server(void *arg, size_t i, struct mu_store_server *out)
{
    (void)arg;
    (void)i;
    *out = (struct mu_store_server){.address = "10.0.0.1", .inventory = "{}"};
    return 0;
}

#endif
