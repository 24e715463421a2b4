/* The journal of claims: what is written is read back, whatever a crash made of the file. Full disks and strangers:
 * test_journal_trouble.c. */
#include "journal_support.h"

#include <signal.h>
#include <sys/wait.h>

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
