/* The journal of claims where it cannot be written (a full disk, no folder, a file removed), and by whom it is read. */
#include "journal_support.h"

#include <signal.h>
#include <sys/resource.h>

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
