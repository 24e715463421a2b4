/* What the main thread knows of claims: from tasks, which are answered, and from elsewhere, where nobody is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "run/claims.h"
#include "run/journal_read.h"

static char dir[64], path[128];
static struct mu_inventory *inventory;
static struct mu_server *servers[3];
static char answers[256];
static unsigned errors;

static void answered(void *arg, int worker, uint64_t ticket, const struct mu_err *err)
{
    char one[64];
    (void)arg;
    snprintf(one, sizeof one, "%d/%llu:%s ", worker, (unsigned long long)ticket, err && err->code ? "no" : "yes");
    strncat(answers, one, sizeof answers - strlen(answers) - 1);
}

static void keep(void *arg, const struct mu_record *record)
{
    (void)arg;
    errors += record->level == MU_ERROR;
}

static int start(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/muster-claims.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/claims/20260101T000000Z-abcdef.jsonl", dir);
    assert_int_equal(mu_inventory_new(&inventory), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mu_inventory_add(inventory, (const char *[]){"a", "b", "c"}[i], &servers[i], NULL), 0);
    answers[0] = '\0';
    errors = 0;
    return 0;
}

static int stop(void **state)
{
    char command[256];
    (void)state;
    mu_inventory_free(inventory);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static struct mu_claims *claims(const char *state_dir)
{
    struct mu_script script = {.path = (char[]){"burnin.lua"}};
    struct mu_journal_head head = {.run_id = "20260101T000000Z-abcdef", .owner = "ops@host", .script = &script};
    struct mu_journal *journal = NULL;
    struct mu_claims *c = NULL;
    assert_int_equal(mu_journal_new(&journal, state_dir, &head, NULL), 0);
    assert_int_equal(mu_claims_new(&c, journal, servers, 3, answered, NULL, NULL), 0);
    return c;
}

/* "a=1 c=2": what the file says is open. */
static const char *open_there(void)
{
    static char text[256];
    struct mu_left *left = NULL;
    struct mu_err err = {0};
    text[0] = '\0';
    if (mu_left_open(&left, path, &err) == MU_ENOENT)
        return "no file";
    assert_non_null(left);
    for (size_t i = 0; i < left->n_claims; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s=%s", i ? " " : "", left->claims[i].server->id, left->claims[i].data);
    }
    assert_int_equal(left->n_bad_lines, 0);
    mu_left_free(left);
    return text;
}

static void what_is_known_from_elsewhere_is_journalled(void **state)
{
    struct mu_claims *c = claims(dir);
    (void)state;
    mu_claims_set(c, 0, "{\"n\":1}"); /* in one batch: each builds on the one before */
    mu_claims_set(c, 0, "{\"n\":2}");
    mu_claims_set(c, 1, "{\"n\":3}");
    mu_claims_set(c, 1, NULL);
    mu_claims_set(c, 2, NULL); /* there was none */
    mu_claims_flush(c);
    assert_string_equal(mu_claims_data(c, 0), "{\"n\":2}");
    assert_null(mu_claims_data(c, 1));
    assert_null(mu_claims_data(c, 2));
    mu_claims_set(c, 0, "{\"n\":4}");
    mu_claims_set(c, 2, "{\"n\":5}");
    mu_claims_flush(c);
    assert_string_equal(answers, "");
    mu_claims_let_go(c);
    assert_string_equal(open_there(), "a={\"n\":4} c={\"n\":5}");
}

static void the_file_goes_with_the_last_claim(void **state)
{
    struct mu_claims *c = claims(dir);
    (void)state;
    mu_claims_set(c, 0, "{}");
    mu_claims_flush(c);
    mu_claims_set(c, 0, NULL);
    mu_claims_flush(c);
    mu_claims_free(c);
    assert_string_equal(open_there(), "no file");
}

/* A task's own questions, before and after, in one batch and across batches. */
static void tasks_are_answered_by_what_is_known(void **state)
{
    struct mu_claims *c = claims(dir);
    (void)state;
    mu_claims_set(c, 0, "{\"n\":1}");
    mu_claims_ask(c, 0, MU_CLAIM, strdup("{}"), 1, 1);
    mu_claims_ask(c, 0, MU_CLAIM_UPDATE, strdup("{\"n\":2}"), 1, 2);
    mu_claims_flush(c);
    assert_string_equal(answers, "1/1:no 1/2:yes ");
    assert_string_equal(mu_claims_data(c, 0), "{\"n\":2}");
    mu_claims_ask(c, 0, MU_CLAIM_RELEASE, NULL, 1, 3);
    mu_claims_set(c, 0, "{\"n\":3}");
    mu_claims_flush(c);
    assert_string_equal(answers, "1/1:no 1/2:yes 1/3:yes ");
    mu_claims_let_go(c);
    assert_string_equal(open_there(), "a={\"n\":3}");
}

/* What is there is there, whether it could be written down or not. */
static void a_journal_that_cannot_be_written_is_told(void **state)
{
    struct mu_logger *lg = NULL, *former;
    char blocked[128];
    (void)state;
    snprintf(blocked, sizeof blocked, "%s/file", dir);
    FILE *f = fopen(blocked, "w"); /* where a folder would have to be */
    assert_non_null(f);
    fclose(f);
    struct mu_claims *c = claims(blocked);
    assert_int_equal(mu_logger_new(&lg, MU_INFO), 0);
    assert_int_equal(mu_logger_add_sink(lg, keep, NULL, NULL), 0);
    former = mu_logger_use(lg);
    mu_claims_set(c, 0, "{\"n\":1}");
    mu_claims_ask(c, 1, MU_CLAIM, strdup("{}"), 1, 1);
    mu_claims_flush(c);
    mu_logger_use(former);
    mu_logger_free(lg);
    assert_int_equal(errors, 1);
    assert_string_equal(answers, "1/1:no ");
    assert_string_equal(mu_claims_data(c, 0), "{\"n\":1}");
    assert_null(mu_claims_data(c, 1));
    mu_claims_ask(c, 1, MU_CLAIM, strdup("{}"), 1, 2); /* it is not held to be claimed since that was asked */
    mu_claims_flush(c);
    assert_string_equal(answers, "1/1:no 1/2:no ");
    assert_null(mu_claims_path(c));
    mu_claims_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_known_from_elsewhere_is_journalled, start, stop),
        cmocka_unit_test_setup_teardown(the_file_goes_with_the_last_claim, start, stop),
        cmocka_unit_test_setup_teardown(tasks_are_answered_by_what_is_known, start, stop),
        cmocka_unit_test_setup_teardown(a_journal_that_cannot_be_written_is_told, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
