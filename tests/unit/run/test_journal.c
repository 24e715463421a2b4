/* The journal of claims: what is written is read back, whatever a crash, a full disk or a stranger made of the file. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* ---- what is written is read back ---- */

static void nothing_before_the_first_claim(void **state)
{
    struct mu_journal *j = journal(dir);
    (void)state;
    assert_int_equal(mu_journal_sync(j, NULL), 0);
    assert_null(mu_journal_path(j));
    mu_journal_close(j, true);
    char claims[128];
    snprintf(claims, sizeof claims, "%s/claims", dir);
    assert_int_not_equal(access(claims, F_OK), 0);
}

static void comes_back_as_it_was(void **state)
{
    struct mu_journal *j = journal(dir);
    struct stat st;
    (void)state;
    claim(j, "srv01", "{\"node\":\"n 1\",\"text\":\"a\\u0000b\\n\"}");
    claim(j, "$(reboot)", "{}");
    claim(j, "gr\xc3\xbc\xc3\x9f", "{\"x\":0.1,\"big\":9007199254740992}");
    claim(j, "srv02", "{}");
    assert_int_equal(mu_journal_update(j, "srv02", "{\"now\":true}", NULL), 0);
    assert_int_equal(mu_journal_release(j, "$(reboot)", NULL), 0);
    assert_int_equal(mu_journal_sync(j, NULL), 0);
    assert_string_equal(mu_journal_path(j), path_in(dir));
    assert_int_equal(stat(path_in(dir), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    char folder[128];
    snprintf(folder, sizeof folder, "%s/claims", dir);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    mu_journal_close(j, false);

    struct mu_left *left = read_back(path_in(dir));
    assert_string_equal(left->run_id, "20260101T000000Z-abcdef");
    assert_string_equal(left->owner, "ops@host");
    assert_int_equal(left->script[0], '/'); /* whoever reads it is elsewhere */
    assert_non_null(strstr(left->script, "/burnin.lua"));
    assert_string_equal(left->library_dir, "/lib");
    assert_string_equal(left->user, "root");
    assert_string_equal(left->hostkey_policy, "accept-new");
    assert_int_equal(left->ssh_config[0], '/'); /* wherever the cleanup is started */
    assert_non_null(strstr(left->ssh_config, "/fleet.ssh"));
    assert_string_equal(left->key_files[0], "~/.ssh/id");
    assert_null(left->known_hosts);
    assert_true(left->local);
    const char *const params[] = {"os", "debian \"12\"", "n", "-5", "x", "0.10000000000000001", "on", "true"};
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(left->params[i], params[i]);
    assert_null(left->params[8]);
    assert_int_equal(left->n_bad_lines, 0);
    assert_int_equal(left->n_claims, 3);
    const struct mu_server *s = left->claims[0].server;
    assert_string_equal(s->id, "srv01");
    assert_string_equal(s->address, "10.0.0.1");
    assert_int_equal(s->port, 2222);
    assert_string_equal(s->user, "ops");
    assert_int_equal(s->key[0], '/');
    assert_int_equal(s->n_vars, 5);
    assert_int_equal(mu_server_var(s, "n")->i, 3);
    assert_true(mu_server_var(s, "f")->num == 0.1);
    assert_string_equal(mu_server_var(s, "deep")->str, mu_server_var(server("srv01"), "deep")->str);
    assert_string_equal(left->claims[0].data, "{\"node\":\"n 1\",\"text\":\"a\\u0000b\\n\"}");
    assert_string_equal(left->claims[1].server->id, "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(left->claims[1].data, "{\"x\":0.10000000000000001,\"big\":9007199254740992}");
    assert_true(left->claims[2].server->local);
    assert_string_equal(left->claims[2].data, "{\"now\":true}");
    mu_left_free(left);
}

/* Its variables may be called as fields are, and its groups are no variable. */
static void a_server_of_ansibles_comes_back(void **state)
{
    static const char ini[] = "[web]\nw1 port=80 id=7 ansible_ssh_common_args='-J b'\n[top:children]\nweb\n";
    struct mu_journal *j;
    (void)state;
    assert_int_equal(mu_inventory_parse(inventory, "hosts", ini, sizeof ini - 1, NULL), 0);
    j = journal(dir);
    claim(j, "w1", "{}");
    mu_journal_close(j, false);
    struct mu_left *left = read_back(path_in(dir));
    assert_int_equal(left->n_bad_lines, 0);
    assert_int_equal(left->n_claims, 1);
    const struct mu_server *s = left->claims[0].server;
    assert_int_equal(mu_server_var(s, "port")->i, 80);
    assert_int_equal(mu_server_var(s, "id")->i, 7);
    assert_string_equal(mu_server_var(s, "groups")->str, "[\"top\",\"web\"]");
    assert_string_equal(s->ssh_args, "-J b");
    mu_left_free(left);
}

static void a_claim_may_follow_a_release(void **state)
{
    struct mu_journal *j = journal(dir);
    (void)state;
    claim(j, "srv01", "{\"n\":1}");
    mu_journal_release(j, "srv01", NULL);
    mu_journal_claim(j, server("srv01"), "{\"n\":2}", NULL);
    assert_int_equal(mu_journal_sync(j, NULL), 0);
    mu_journal_close(j, false);
    struct mu_left *left = read_back(path_in(dir));
    assert_int_equal(left->n_claims, 1);
    assert_string_equal(left->claims[0].data, "{\"n\":2}");
    mu_left_free(left);
}

static void an_empty_one_is_removed(void **state)
{
    struct mu_journal *j = journal(dir);
    (void)state;
    claim(j, "srv01", "{}");
    mu_journal_release(j, "srv01", NULL);
    assert_int_equal(mu_journal_sync(j, NULL), 0);
    mu_journal_close(j, true);
    assert_int_not_equal(access(path_in(dir), F_OK), 0);
}

/* ---- crashes ---- */

/* Whatever of the file reached the disk: what was told to be there is found, and nothing else is lost. */
static void cut_at_any_byte(void **state)
{
    struct mu_journal *j = journal(dir);
    struct stat st;
    off_t whole[3];
    (void)state;
    claim(j, "srv01", "{\"n\":1}");
    stat(path_in(dir), &st);
    whole[0] = st.st_size;
    claim(j, "srv02", "{\"n\":2}");
    stat(path_in(dir), &st);
    whole[1] = st.st_size;
    mu_journal_release(j, "srv01", NULL);
    mu_journal_sync(j, NULL);
    stat(path_in(dir), &st);
    whole[2] = st.st_size;
    mu_journal_close(j, false);
    for (off_t size = whole[2]; size >= whole[0]; size--) {
        assert_int_equal(truncate(path_in(dir), size), 0);
        struct mu_left *left = read_back(path_in(dir));
        size_t want = size >= whole[2] ? 1 : size >= whole[1] ? 2 : 1;
        assert_int_equal(left->n_claims, want);
        assert_string_equal(left->claims[0].server->id, size >= whole[2] ? "srv02" : "srv01");
        assert_int_equal(left->n_bad_lines, size != whole[2] && size != whole[1] && size != whole[0]);
        mu_left_free(left);
    }
}

static void goes_on_behind_a_torn_line(void **state)
{
    struct mu_journal *j = journal(dir);
    (void)state;
    claim(j, "srv01", "{}");
    mu_journal_close(j, false);
    append_raw(path_in(dir), "{\"claim\":{\"id\":\"sr");
    struct mu_left *left = read_back(path_in(dir));
    assert_int_equal(left->n_claims, 1);
    int fd = left->fd;
    left->fd = -1;
    assert_int_equal(mu_journal_adopt(&j, path_in(dir), fd, NULL), 0);
    mu_left_free(left);
    claim(j, "srv02", "{}");
    mu_journal_release(j, "srv01", NULL);
    assert_int_equal(mu_journal_sync(j, NULL), 0);
    mu_journal_close(j, false);
    left = read_back(path_in(dir));
    assert_int_equal(left->n_bad_lines, 1);
    assert_int_equal(left->n_claims, 1);
    assert_string_equal(left->claims[0].server->id, "srv02");
    mu_left_free(left);
}

static void lines_without_sense_are_left_out(void **state)
{
    static const char *const lines[] = {
        "garbage\n", "[]\n", "{}\n", "\n", "{\"claim\":{\"id\":\"a b\"},\"data\":{}}\n",
        "{\"claim\":{\"id\":\"x\\u001b[31m\"},\"data\":{}}\n", "{\"claim\":{\"id\":\"-rf\"},\"data\":{}}\n",
        "{\"claim\":{\"id\":\"ok\"}}\n", "{\"claim\":{\"id\":\"ok\"},\"data\":\"x\"}\n", "{\"claim\":\"ok\",\"data\":{}}\n",
        "{\"update\":\"nobody\",\"data\":{}}\n", "{\"release\":\"nobody\"}\n", "{\"release\":5}\n",
        "{\"update\":\"srv01\"}\n", "\xff\xfe\n"};
    struct mu_journal *j = journal(dir);
    (void)state;
    claim(j, "srv01", "{}");
    mu_journal_close(j, false);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        append_raw(path_in(dir), lines[i]);
    append_raw(path_in(dir), "{\"claim\":{\"id\":\"last\"},\"data\":{\"n\":1}}\n");
    struct mu_left *left = read_back(path_in(dir));
    assert_int_equal(left->n_claims, 2);
    assert_string_equal(left->claims[0].server->id, "srv01");
    assert_string_equal(left->claims[1].server->id, "last");
    assert_int_equal(left->n_bad_lines, sizeof lines / sizeof *lines - 1); /* an empty line is none */
    mu_left_free(left);
}

/* Killed with SIGKILL while it claims: all claims that it told of are there. */
static void survives_sigkill(void **state)
{
    (void)state;
    for (unsigned round = 1; round <= 8; round++) {
        int told[2];
        char byte;
        size_t n = 0;
        assert_int_equal(pipe(told), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct mu_journal *j = journal(dir);
            for (int i = 0;; i++) {
                bool even = i % 2 == 0;
                if (even ? mu_journal_claim(j, server("srv01"), "{}", NULL) : mu_journal_release(j, "srv01", NULL))
                    _exit(1);
                if (mu_journal_sync(j, NULL) || write(told[1], "x", 1) != 1)
                    _exit(1);
            }
        }
        close(told[1]);
        while (n < 7 * round && read(told[0], &byte, 1) == 1)
            n++;
        kill(pid, SIGKILL);
        while (read(told[0], &byte, 1) == 1)
            n++;
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(told[0]);
        struct mu_left *left = read_back(path_in(dir));
        /* One more may be on the disk than it came to tell of. */
        size_t lines = 0;
        FILE *f = fopen(path_in(dir), "r");
        for (int c; (c = getc(f)) != EOF;)
            lines += c == '\n';
        fclose(f);
        assert_true(lines == n + 1 || lines == n + 2);
        assert_int_equal(left->n_claims, (lines - 1) % 2);
        mu_left_free(left);
        unlink(path_in(dir));
    }
}

/* ---- what cannot be written ---- */

static void a_full_disk_takes_nothing_back(void **state)
{
    struct mu_journal *j = journal(dir);
    struct rlimit limit, small;
    struct mu_err err = {0};
    struct stat st;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    claim(j, "srv01", "{}");
    stat(path_in(dir), &st);
    small = limit;
    small.rlim_cur = (rlim_t)st.st_size + 20; /* room for a piece of a line */
    setrlimit(RLIMIT_FSIZE, &small);
    mu_journal_claim(j, server("srv02"), "{}", NULL);
    mu_journal_release(j, "srv01", NULL);
    assert_int_equal(mu_journal_sync(j, &err), MU_EIO);
    assert_non_null(strstr(err.msg, path_in(dir)));
    assert_non_null(strstr(err.msg, "nothing may be claimed"));
    setrlimit(RLIMIT_FSIZE, &limit);
    claim(j, "gr\xc3\xbc\xc3\x9f", "{}"); /* there is room again */
    mu_journal_close(j, false);
    struct mu_left *left = read_back(path_in(dir));
    assert_int_equal(left->n_bad_lines, 0);
    assert_int_equal(left->n_claims, 2);
    assert_string_equal(left->claims[0].server->id, "srv01");
    assert_string_equal(left->claims[1].server->id, "gr\xc3\xbc\xc3\x9f");
    mu_left_free(left);
}

static void no_file_when_the_first_claim_fails(void **state)
{
    struct mu_journal *j = journal(dir);
    struct rlimit limit, small;
    char **list = NULL;
    char claims[128];
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 50;
    setrlimit(RLIMIT_FSIZE, &small);
    mu_journal_claim(j, server("srv02"), "{}", NULL);
    int rc = mu_journal_sync(j, NULL);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(rc, MU_EIO);
    snprintf(claims, sizeof claims, "ls -A %s/claims | grep -q .", dir);
    assert_int_not_equal(system(claims), 0);
    snprintf(claims, sizeof claims, "%s/claims", dir);
    assert_int_equal(mu_left_list(&list, claims, true, NULL), 0);
    assert_null(list[0]);
    free(list);
    claim(j, "srv02", "{}"); /* and later it works */
    mu_journal_close(j, true);
}

static void a_folder_that_cannot_be_made(void **state)
{
    char file[128], inside[160];
    struct mu_err err = {0};
    (void)state;
    snprintf(file, sizeof file, "%s/file", dir);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    snprintf(inside, sizeof inside, "%s/state", file);
    struct mu_journal *j = journal(inside);
    mu_journal_claim(j, server("srv02"), "{}", NULL);
    assert_int_equal(mu_journal_sync(j, &err), MU_EIO);
    assert_non_null(strstr(err.msg, "Not a directory"));
    assert_non_null(strstr(err.msg, "--state-dir"));
    mu_journal_close(j, true);
}

static void removed_by_somebody(void **state)
{
    struct mu_journal *j = journal(dir);
    struct mu_err err = {0};
    (void)state;
    claim(j, "srv01", "{}");
    unlink(path_in(dir));
    mu_journal_claim(j, server("srv02"), "{}", NULL);
    assert_int_equal(mu_journal_sync(j, &err), MU_EIO);
    assert_non_null(strstr(err.msg, "removed it"));
    mu_journal_close(j, false);
}

static void text_that_is_no_json_text(void **state)
{
    struct mu_journal *j = journal(dir);
    struct mu_err err = {0};
    (void)state;
    assert_int_equal(mu_journal_claim(j, server("srv02"), "{\"a\":\"\xff\"}", &err), MU_EINVAL);
    assert_int_equal(mu_journal_claim(j, server("srv02"), "{\"a\":", &err), MU_EINVAL);
    claim(j, "srv01", "{}"); /* nothing of them is in the way */
    mu_journal_close(j, false);
    struct mu_left *left = read_back(path_in(dir));
    assert_int_equal(left->n_bad_lines, 0);
    assert_int_equal(left->n_claims, 1);
    mu_left_free(left);
}

/* ---- whose it is ---- */

static void refused(const char *path, int code, const char *why)
{
    struct mu_left *left = NULL;
    struct mu_err err = {0};
    assert_int_equal(mu_left_open(&left, path, &err), code);
    assert_null(left);
    if (!strstr(err.msg, why))
        fail_msg("%s", err.msg);
}

static void who_may_read_it(void **state)
{
    struct mu_journal *j = journal(dir);
    char other[256];
    (void)state;
    claim(j, "srv01", "{}");
    refused(path_in(dir), MU_ESTATE, "still at work");
    mu_journal_close(j, false);
    struct mu_left *left = read_back(path_in(dir));
    refused(path_in(dir), MU_ESTATE, "another cleanup"); /* two at once */
    mu_left_free(left);
    chmod(path_in(dir), 0620);
    refused(path_in(dir), MU_EINVAL, "other users may write it");
    chmod(path_in(dir), 0600);
    snprintf(other, sizeof other, "%s/link", dir);
    assert_int_equal(symlink(path_in(dir), other), 0);
    refused(other, MU_EIO, "symbolic link");
    unlink(other);
    refused(other, MU_ENOENT, "No such file");
    assert_int_equal(mkfifo(other, 0600), 0);
    refused(other, MU_EINVAL, "not a file");
    unlink(other);
    if (geteuid() == 0) {
        assert_int_equal(chown(path_in(dir), 65534, 65534), 0);
        refused(path_in(dir), MU_EINVAL, "belongs to another user");
    }
}

static void a_first_line_that_says_nothing(void **state)
{
    static const char *const heads[] = {"", "garbage\n", "{\"muster\":2}\n", "{\"muster\":1,\"run\":\"x\"}\n",
                                        "{\"muster\":1,\"run\":\"x\",\"owner\":\"o\",\"ti"};
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/x.jsonl", dir);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        close(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600));
        append_raw(path, heads[i]);
        refused(path, MU_EINVAL, "does not say which run");
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(nothing_before_the_first_claim),
        T(comes_back_as_it_was),
        T(a_server_of_ansibles_comes_back),
        T(a_claim_may_follow_a_release),
        T(an_empty_one_is_removed),
        T(cut_at_any_byte),
        T(goes_on_behind_a_torn_line),
        T(lines_without_sense_are_left_out),
        T(survives_sigkill),
        T(a_full_disk_takes_nothing_back),
        T(no_file_when_the_first_claim_fails),
        T(a_folder_that_cannot_be_made),
        T(removed_by_somebody),
        T(text_that_is_no_json_text),
        T(who_may_read_it),
        T(a_first_line_that_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
