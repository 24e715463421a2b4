/* journal_support.h: what the tests of the journal of claims have in common: a folder, an inventory, a run's head, and
 * short forms of claiming and reading back.
 *
 * Purpose: for test programs only. Owner: each program has its own copy. Thread: one. Must not know: runs.
 */
#ifndef JOURNAL_SUPPORT_H
#define JOURNAL_SUPPORT_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/journal.h"
#include "run/journal_read.h"

static char dir[64];
static struct mu_inventory *inventory;

static const char SERVERS[] =
    "[{\"id\":\"srv01\",\"address\":\"10.0.0.1\",\"port\":2222,\"user\":\"ops\",\"key\":\"keys/id\","
    "\"vars\":{\"rack\":\"r1\",\"n\":3,\"f\":0.1,\"b\":true,\"deep\":{\"a\":[1,null]}}},"
    "{\"id\":\"srv02\",\"transport\":\"local\"},\"gr\xc3\xbc\xc3\x9f\",\"$(reboot)\"]";

static int start(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/muster-journal.XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(mu_inventory_new(&inventory), 0);
    assert_int_equal(mu_inventory_parse(inventory, "test", SERVERS, sizeof SERVERS - 1, NULL), 0);
    return 0;
}

static int stop(void **state)
{
    char command[256];
    (void)state;
    mu_inventory_free(inventory);
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", dir, dir);
    return system(command);
}

static struct mu_server *server(const char *id) { return mu_inventory_find(inventory, id); }

static struct mu_journal *journal(const char *state_dir)
{
    struct mu_param params[] = {{.name = (char[]){"os"}, .type = MU_PARAM_STR, .str = (char[]){"debian \"12\""}},
                                       {.name = (char[]){"n"}, .type = MU_PARAM_INT, .i = -5},
                                       {.name = (char[]){"x"}, .type = MU_PARAM_NUM, .num = 0.1},
                                       {.name = (char[]){"on"}, .type = MU_PARAM_BOOL, .i = 1}};
    struct mu_script script = {.path = (char[]){"burnin.lua"}, .params = params, .n_params = 4};
    static const char *const keys[] = {"~/.ssh/id", NULL};
    struct mu_journal_head head = {.run_id = "20260101T000000Z-abcdef", .owner = "ops@host", .script = &script,
                                   .library_dir = "/lib", .user = "root", .hostkey_policy = "accept-new", .ssh_config = "fleet.ssh",
                                   .key_files = keys, .local = true};
    struct mu_journal *j = NULL;
    assert_int_equal(mu_journal_new(&j, state_dir, &head, NULL), 0);
    return j;
}

static const char *path_in(const char *state_dir)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/claims/20260101T000000Z-abcdef.jsonl", state_dir);
    return path;
}

static struct mu_left *read_back(const char *path)
{
    struct mu_left *left = NULL;
    struct mu_err err = {0};
    if (mu_left_open(&left, path, &err))
        fail_msg("%s", err.msg);
    return left;
}

static void append_raw(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void claim(struct mu_journal *j, const char *id, const char *data)
{
    struct mu_err err = {0};
    if (mu_journal_claim(j, server(id), data, &err) || mu_journal_sync(j, &err))
        fail_msg("%s", err.msg);
}

#endif
