/* known_hosts as OpenSSH reads it: the same lines as ssh-keygen -F finds, malformed and hashed ones, and how many
 * comparisons a look-up takes. What follows from them is in test_hostkey.c. */
#include "hostkey_support.h"

#include "ssh/known_hosts.h"
#include "ssh/shared_parts.h"

/* ---- the same answers as ssh-keygen -F ---- */

static bool note_line(void *arg, const struct mu_known_key *key)
{
    mu_buf_addf(arg, "%lu%s\n", key->line,
                key->marker == MU_KNOWN_CA        ? " CA"
                : key->marker == MU_KNOWN_REVOKED ? " REVOKED"
                                                  : "");
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines sorted, so that the order of the search does not matter. */
static void sort_lines(struct mu_buf *b)
{
    char *copy = strdup(mu_buf_cstr(b)), *save = NULL, *lines[64];
    size_t n = 0;

    for (char *l = strtok_r(copy, "\n", &save); l && n < 64; l = strtok_r(NULL, "\n", &save))
        lines[n++] = l;
    qsort(lines, n, sizeof(*lines), by_text);
    mu_buf_clear(b);
    for (size_t i = 0; i < n; i++)
        mu_buf_addf(b, "%s\n", lines[i]);
    free(copy);
}

static void compare_with_keygen(const char *path, const char *const *names)
{
    struct mu_known_hosts *kh = NULL;
    struct mu_err err;
    unsigned matched = 0;

    assert_int_equal(mu_known_hosts_new(&kh), 0);
    assert_int_equal(mu_known_hosts_read(kh, path, &err), 0);
    for (; *names; names++) {
        struct mu_buf out = MU_BUF_INIT, theirs = MU_BUF_INIT, ours = MU_BUF_INIT;
        RUN(&out, "ssh-keygen", "-F", *names, "-f", path);
        for (const char *p = mu_buf_cstr(&out); (p = strstr(p, " found: line ")); matched++) {
            p += strlen(" found: line ");
            size_t n = strcspn(p, "\n");
            while (n && p[n - 1] == ' ')
                n--;
            mu_buf_addf(&theirs, "%.*s\n", (int)n, p);
        }
        mu_known_hosts_visit(kh, *names, true, note_line, &ours);
        sort_lines(&theirs);
        sort_lines(&ours);
        if (strcmp(mu_buf_cstr(&theirs), mu_buf_cstr(&ours)) != 0)
            fail_msg("%s in %s: ssh-keygen finds lines\n%sbut we\n%s", *names, path, mu_buf_cstr(&theirs),
                     mu_buf_cstr(&ours));
        mu_buf_free(&out);
        mu_buf_free(&theirs);
        mu_buf_free(&ours);
    }
    assert_true(matched >= 10);
    mu_known_hosts_free(kh);
}

static void test_same_as_keygen(void **state)
{
    static const char *const names[] = {"srv01",
                                        "srv02",
                                        "srv1",
                                        "10.0.0.1",
                                        "[srv01]:2222",
                                        "[10.0.0.1]:2222",
                                        "web.a.org",
                                        "db.a.org",
                                        "x.db.a.org",
                                        "::1",
                                        "[::1]:2222",
                                        "fe80::1%eth0",
                                        "tabs",
                                        "crlf",
                                        "camel.case.org",
                                        "many17",
                                        "many40",
                                        "srv",
                                        "srv011",
                                        "[web.a.org]:22",
                                        "[any]:2200",
                                        "q1",
                                        "q12",
                                        "excluded.b.org",
                                        "kept.b.org",
                                        "star",
                                        "a*",
                                        "nothing.here",
                                        "indented",
                                        NULL};
    const char *path = in_scratch("corner"), *hashed = in_scratch("corner-hashed");
    struct mu_buf text = MU_BUF_INIT;

    (void)state;
    add_line(&text, "srv01,10.0.0.1", 0);
    add_line(&text, "srv01", 4);
    add_line(&text, "[srv01]:2222,[10.0.0.1]:2222", 1);
    add_line(&text, "*.a.org,!db.a.org", 2);
    add_line(&text, "!*.db.a.org,*.a.org", 5);
    add_line(&text, "::1,[::1]:2222,fe80::1%eth0", 0);
    mu_buf_addf(&text, "tabs\t%s\t%s\ta comment here\n", type_of(0), b64[0]);
    mu_buf_addf(&text, "crlf %s %s\r\n", type_of(0), b64[0]);
    add_line(&text, "Camel.Case.ORG", 0);
    mu_buf_adds(&text, "@revoked ");
    add_line(&text, "srv01", 3);
    mu_buf_adds(&text, "@cert-authority  ");
    add_line(&text, "*.org", 2);
    add_line(&text, "srv0?", 1);
    add_line(&text, "[*]:2200", 1);
    add_line(&text, "q?", 1);
    add_line(&text, "*.b.org,!excluded.*", 1);
    add_line(&text, ",srv02,,srv1,", 1);
    mu_buf_adds(&text, "   \t");
    add_line(&text, "indented", 0);
    for (int i = 0; i < 50; i++)
        mu_buf_addf(&text, "%smany%d", i ? "," : "", i);
    add_line(&text, "", 0);
    write_file(hashed, text.data, 0600);
    assert_int_equal(RUN(NULL, "ssh-keygen", "-H", "-f", hashed), 0); /* leaves patterns in the open */
    assert_non_null(strstr(read_file(hashed), "|1|"));
    compare_with_keygen(hashed, names);

    mu_buf_adds(&text, "#commented ssh-ed25519 AAAA\n@unknown srv01 ssh-ed25519 AAAA\nsrv01\n");
    mu_buf_addf(&text, "srv01 %s %s", type_of(1), b64[1]); /* no newline at the end */
    write_file(path, text.data, 0600);
    compare_with_keygen(path, names);

    mu_buf_free(&text);
}

static void test_malformed_lines_warn_once(void **state)
{
    const char *path = in_scratch("malformed");
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;

    (void)state;
    add_line(&text, "srv01", 0);
    mu_buf_adds(&text, "srv02 ssh-ed25519 !!!!\nsrv03\n|1|xx|yy ssh-ed25519 AAAA\n@what srv04 ssh-ed25519 AAAA\n");
    mu_buf_addf(&text, "|1|c2FsdA==|aGFzaA== ssh-ed25519 %s\n", b64[0]);
    mu_buf_addf(&text, "|2|x|y ssh-ed25519 %s\n", b64[0]);
    mu_buf_addf(&text, "| ssh-ed25519 %s\n", b64[0]);
    mu_buf_addf(&text, "srv01 ssh-rsa %s\n", b64[0]); /* says one type, is another */
    mu_buf_adds(&text, "srv01 ssh-ed25519 AAAA\n");
    add_line(&text, "srv05", 1);
    sh = shared_over(path, text.data, MU_HOSTKEY_STRICT);
    assert_int_equal(times_logged("warning "), 1);
    assert_int_equal(times_logged("malformed:2: not a known hosts line"), 1);
    assert_int_equal(times_logged("and 8 more lines"), 1);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[0], NULL), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv05", 22, keys[1], NULL), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv04", 22, keys[1], NULL), MU_EHOSTKEYUNKNOWN);
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
}

static void test_hashed(void **state)
{
    const char *path = in_scratch("hashed");
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    add_line(&text, "srv01", 0);
    add_line(&text, "[srv02]:2222", 1);
    add_line(&text, "srv03", 2);
    mu_buf_adds(&text, "@revoked ");
    add_line(&text, "srv03", 3);
    write_file(path, text.data, 0600);
    assert_int_equal(RUN(NULL, "ssh-keygen", "-H", "-f", path), 0);
    mu_buf_clear(&text);
    mu_buf_adds(&text, read_file(path));
    add_line(&text, "srv04", 0);
    add_line(&text, "srv01", 4); /* in the open, while another key of the same host is hashed */
    assert_null(strstr(text.data, "srv02"));
    sh = shared_over(path, text.data, MU_HOSTKEY_STRICT);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[4], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "SRV01", 22, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv02", 2222, keys[1], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv03", 22, keys[1], &err), MU_EHOSTKEYCHANGED);
    assert_non_null(strstr(err.msg, "hashed:3 records"));
    assert_int_equal(mu_hostkey_check(sh, "srv05", 22, keys[1], &err), MU_EHOSTKEYUNKNOWN);
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
}

/* ---- effort ---- */

static void test_effort_plain(void **state)
{
    enum { N = 10000 };
    const char *path = in_scratch("plain-10000");
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    char name[32];
    size_t before, used;

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "srv%05d,10.1.%d.%d", i, i / 256, i % 256);
        add_line(&text, name, i % 2);
    }
    sh = shared_over(path, text.data, MU_HOSTKEY_STRICT);
    before = mu_hostkeys_comparisons(sh->hostkeys);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "srv%05d", i);
        assert_int_equal(mu_hostkey_check(sh, name, 22, keys[i % 2], NULL), 0);
    }
    used = mu_hostkeys_comparisons(sh->hostkeys) - before;
    print_message("%d lines: %zu comparisons to read them, %zu for %d checks\n", N, before, used, N);
    assert_true(before < 4 * 2 * N);
    assert_true(used < 4 * N);
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
}

static void test_effort_hashed(void **state)
{
    enum { N = 1000 };
    const char *path = in_scratch("hashed-1000");
    struct mu_buf text = MU_BUF_INIT, order = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    char name[32];
    size_t first, second;

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "srv%05d", i);
        add_line(&text, name, i % 2);
    }
    write_file(path, text.data, 0600);
    assert_int_equal(RUN(NULL, "ssh-keygen", "-H", "-f", path), 0);
    sh = shared_over(path, NULL, MU_HOSTKEY_STRICT);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "srv%05d", i);
        assert_int_equal(mu_hostkey_algorithms(sh, name, 22, &order), 0);
        assert_int_equal(mu_hostkey_check(sh, name, 22, keys[i % 2], NULL), 0);
    }
    first = mu_hostkeys_comparisons(sh->hostkeys);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "srv%05d", i);
        assert_int_equal(mu_hostkey_check(sh, name, 22, keys[(i + 1) % 2], NULL), MU_EHOSTKEYCHANGED);
    }
    second = mu_hostkeys_comparisons(sh->hostkeys) - first;
    print_message("%d hashed lines: %zu comparisons for a first look at every host, %zu for a second\n", N, first,
                  second);
    assert_true(first < N * N * 6 / 10); /* half of lines times hosts: what is found is not looked at again */
    assert_true(second < 10 * N);
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
    mu_buf_free(&order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_same_as_keygen, clear_log),
        cmocka_unit_test_setup(test_malformed_lines_warn_once, clear_log),
        cmocka_unit_test_setup(test_hashed, clear_log),
        cmocka_unit_test_setup(test_effort_plain, clear_log),
        cmocka_unit_test_setup(test_effort_hashed, clear_log),
    };

    return cmocka_run_group_tests(tests, set_up_keys, tear_down_keys);
}
