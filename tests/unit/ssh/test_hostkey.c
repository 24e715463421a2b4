/* Host keys: known_hosts as OpenSSH reads it, and the three policies. */
#include "hostkey_support.h"

#include <pthread.h>

#include "ssh/known_hosts.h"
#include "ssh/shared_parts.h"

static void test_policy_names(void **state)
{
    enum mu_hostkey_policy p;

    (void)state;
    assert_int_equal(mu_hostkey_policy_parse("strict", &p), 0);
    assert_int_equal(p, MU_HOSTKEY_STRICT);
    assert_int_equal(mu_hostkey_policy_parse("accept-new", &p), 0);
    assert_int_equal(p, MU_HOSTKEY_ACCEPT_NEW);
    assert_int_equal(mu_hostkey_policy_parse("off", &p), 0);
    assert_int_equal(p, MU_HOSTKEY_OFF);
    assert_int_equal(mu_hostkey_policy_parse("no", &p), MU_EINVAL);
}

static void test_strict(void **state)
{
    const char *path = in_scratch("strict");
    struct mu_buf text = MU_BUF_INIT, want = MU_BUF_INIT;
    unsigned char *hash = NULL;
    char *fingerprint;
    size_t hash_len;
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    mu_buf_adds(&text, "# a comment\n\n");
    add_line(&text, "srv01,10.0.0.1", 0);
    add_line(&text, "[srv02]:2222", 1);
    mu_buf_adds(&text, "@revoked ");
    add_line(&text, "*", 3);
    add_line(&text, "bad", 3);
    sh = shared_over(path, text.data, MU_HOSTKEY_STRICT);

    assert_int_equal(mu_hostkey_check(sh, "srv01", 0, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "SRV01", 22, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "10.0.0.1", 22, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv02", 2222, keys[1], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 2222, keys[0], &err),
                     0); /* as OpenSSH: without port, for all ports */

    assert_int_equal(mu_hostkey_check(sh, "srv02", 22, keys[1], &err), MU_EHOSTKEYUNKNOWN);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 2222, keys[1], &err), MU_EHOSTKEYUNKNOWN);
    assert_string_equal(err.cause, "host key unknown");
    assert_int_equal(ssh_get_publickey_hash(keys[1], SSH_PUBLICKEY_HASH_SHA256, &hash, &hash_len), 0);
    fingerprint = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, hash_len);
    mu_buf_addf(
        &want,
        "host key of [srv01]:2222 is not known: ED25519 %s; check it and add it with: ssh-keyscan -p 2222 srv01 >> %s, "
        "or use --host-key-policy accept-new",
        fingerprint, path);
    assert_string_equal(err.msg, want.data);

    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[1], &err), MU_EHOSTKEYCHANGED);
    assert_string_equal(err.cause, "host key changed");
    assert_non_null(strstr(err.msg, fingerprint));
    assert_non_null(strstr(err.msg, "strict:3 records ED25519 SHA256:"));
    assert_non_null(strstr(err.msg, "attack"));
    assert_non_null(strstr(err.msg, "reinstalled"));
    /* another type than the recorded one is a changed key as well */
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[4], &err), MU_EHOSTKEYCHANGED);
    assert_non_null(strstr(err.msg, "offers ECDSA SHA256:"));

    /* revoked wins, also over a line that records the same key */
    assert_int_equal(mu_hostkey_check(sh, "bad", 22, keys[3], &err), MU_EHOSTKEYREVOKED);
    assert_int_equal(mu_hostkey_check(sh, "elsewhere", 2222, keys[3], &err), MU_EHOSTKEYREVOKED);
    assert_string_equal(err.cause, "host key revoked");
    assert_non_null(strstr(err.msg, "strict:5"));
    /* a revoked line records nothing about other keys */
    assert_int_equal(mu_hostkey_check(sh, "elsewhere", 22, keys[2], NULL), MU_EHOSTKEYUNKNOWN);

    mu_ssh_shared_free(sh);
    ssh_string_free_char(fingerprint);
    ssh_clean_pubkey_hash(&hash);
    mu_buf_free(&text);
    mu_buf_free(&want);
}

static void test_several_keys_and_files(void **state)
{
    const char *first = in_scratch("first"), *second = in_scratch("second");
    static const char *const no_keys[] = {NULL};
    const char *const files[] = {first, second, NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = files, .key_files = no_keys};
    struct mu_ssh_shared *sh = NULL;
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err;

    (void)state;
    add_line(&text, "srv", 4);
    add_line(&text, "srv", 0);
    write_file(first, text.data, 0600);
    mu_buf_clear(&text);
    add_line(&text, "srv", 1);
    mu_buf_adds(&text, "@cert-authority ");
    add_line(&text, "*.example.org", 2);
    write_file(second, text.data, 0600);
    assert_int_equal(mu_ssh_shared_new(&sh, &config, &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv", 22, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv", 22, keys[1], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv", 22, keys[4], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv", 22, keys[2], &err), MU_EHOSTKEYCHANGED);
    assert_non_null(strstr(err.msg, "first:2 records ED25519")); /* the one of the same type, though not the first */
    assert_int_equal(mu_hostkey_check(sh, "a.example.org", 22, keys[0], &err), MU_EHOSTKEYUNKNOWN);
    assert_non_null(strstr(err.msg, "known only through the certificate authority of"));
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
}

static void test_missing_files(void **state)
{
    const char *files[] = {in_scratch("nowhere/known_hosts"), NULL};
    static const char *const no_keys[] = {NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_STRICT, .known_hosts = files, .key_files = no_keys};
    struct mu_ssh_shared *sh = NULL;
    struct mu_err err;

    (void)state;
    assert_int_equal(mu_ssh_shared_new(&sh, &config, &err), MU_EINVAL);
    assert_int_equal(err.code, MU_EINVAL);
    assert_null(sh);
    assert_non_null(strstr(err.msg, files[0]));
    config.policy = MU_HOSTKEY_ACCEPT_NEW; /* its directory is missing */
    assert_int_equal(mu_ssh_shared_new(&sh, &config, &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, files[0]));
    config.policy = MU_HOSTKEY_OFF; /* not read at all */
    assert_int_equal(mu_ssh_shared_new(&sh, &config, &err), 0);
    mu_ssh_shared_free(sh);
    config.policy = MU_HOSTKEY_STRICT;
    files[0] = scratch; /* a directory */
    assert_int_equal(mu_ssh_shared_new(&sh, &config, &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "directory"));
    config.known_hosts = NULL; /* the defaults may be missing */
    assert_int_equal(mu_ssh_shared_new(&sh, &config, &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv", 22, keys[0], &err), MU_EHOSTKEYUNKNOWN);
    assert_non_null(strstr(err.msg, in_scratch(".ssh/known_hosts")));
    mu_ssh_shared_free(sh);
}

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

/* ---- which algorithms to ask for ---- */

static const char *order_of(struct mu_ssh_shared *sh, const char *host, int port)
{
    static struct mu_buf out;

    mu_buf_free(&out);
    assert_int_equal(mu_hostkey_algorithms(sh, host, port, &out), 0);
    static char text[512];
    snprintf(text, sizeof(text), "%s", mu_buf_cstr(&out));
    mu_buf_free(&out);
    return text;
}

static void test_algorithms(void **state)
{
    const char *path = in_scratch("algorithms");
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    ssh_session session = ssh_new();

    (void)state;
    add_line(&text, "rsa,[port]:2222", 5);
    add_line(&text, "two", 5);
    add_line(&text, "two", 4);
    mu_buf_adds(&text, "@revoked ");
    add_line(&text, "none", 4);
    sh = shared_over(path, text.data, MU_HOSTKEY_STRICT);
    assert_string_equal(order_of(sh, "none", 22), "");
    assert_string_equal(
        order_of(sh, "rsa", 22),
        "rsa-sha2-512,rsa-sha2-256,ssh-ed25519,ecdsa-sha2-nistp521,ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,"
        "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com");
    assert_int_equal(ssh_options_set(session, SSH_OPTIONS_HOSTKEYS, order_of(sh, "rsa", 22)), SSH_OK);
    assert_int_equal(strncmp(order_of(sh, "rsa", 2222), "rsa-sha2-512,", 13), 0);
    assert_int_equal(strncmp(order_of(sh, "port", 2222), "rsa-sha2-512,", 13), 0);
    assert_string_equal(order_of(sh, "port", 22), "");
    assert_int_equal(strncmp(order_of(sh, "two", 22), "ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256,ssh-ed25519,", 58),
                     0);
    mu_ssh_shared_free(sh);
    ssh_free(session);
    mu_buf_free(&text);
}

/* ---- the other policies ---- */

static unsigned count_lines(const char *path)
{
    unsigned n = 0;

    for (const char *p = read_file(path); (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static void test_accept_new(void **state)
{
    const char *path = in_scratch("learnt");
    struct mu_ssh_shared *sh;
    struct mu_buf out = MU_BUF_INIT;
    struct mu_err err;
    struct stat st;

    (void)state;
    umask(022);
    sh = shared_over(path, NULL, MU_HOSTKEY_ACCEPT_NEW);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(mu_hostkey_check(sh, "Srv01", 2222, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 2222, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv02", 22, keys[5], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 2222, keys[1], &err), MU_EHOSTKEYCHANGED);
    assert_non_null(strstr(err.msg, "added in this run"));
    assert_int_equal(mu_hostkey_check(sh, "srv02", 22, keys[0], &err), MU_EHOSTKEYCHANGED);
    assert_int_equal(count_lines(path), 2);
    assert_int_equal(times_logged("is now recorded"), 2);
    assert_int_equal(RUN(&out, "ssh-keygen", "-F", "[srv01]:2222", "-f", path), 0);
    assert_non_null(strstr(out.data, "line 1"));
    mu_ssh_shared_free(sh);

    sh = shared_over(path, NULL, MU_HOSTKEY_STRICT); /* and the next run knows them */
    assert_int_equal(mu_hostkey_check(sh, "srv01", 2222, keys[0], &err), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv02", 22, keys[5], &err), 0);
    mu_ssh_shared_free(sh);
    mu_buf_free(&out);
}

static void test_accept_new_mends_open_line(void **state)
{
    const char *path = in_scratch("open-line");
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;

    (void)state;
    mu_buf_addf(&text, "old %s %s", type_of(0), b64[0]);
    sh = shared_over(path, text.data, MU_HOSTKEY_ACCEPT_NEW);
    assert_int_equal(mu_hostkey_check(sh, "new", 22, keys[1], NULL), 0);
    assert_int_equal(mu_hostkey_check(sh, "new2", 22, keys[1], NULL), 0);
    assert_int_equal(mu_hostkey_check(sh, "two words", 22, keys[1], NULL), 0); /* not for the file */
    assert_int_equal(mu_hostkey_check(sh, "a,*", 22, keys[1], NULL), 0);
    assert_int_equal(times_logged("cannot be stored"), 1);
    mu_ssh_shared_free(sh);
    sh = shared_over(path, NULL, MU_HOSTKEY_STRICT);
    assert_int_equal(mu_hostkey_check(sh, "old", 22, keys[0], NULL), 0);
    assert_int_equal(mu_hostkey_check(sh, "new", 22, keys[1], NULL), 0);
    assert_int_equal(count_lines(path), 3);
    assert_int_equal(times_logged("not a known hosts line"), 0);
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
}

static void test_accept_new_without_a_file(void **state)
{
    const char *path = in_scratch("goes-away/known_hosts");
    struct mu_ssh_shared *sh;

    (void)state;
    assert_int_equal(mkdir(in_scratch("goes-away"), 0700), 0);
    sh = shared_over(path, NULL, MU_HOSTKEY_ACCEPT_NEW);
    unlink(path);
    rmdir(in_scratch("goes-away"));
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[0], NULL), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv02", 22, keys[0], NULL), 0);
    assert_int_equal(times_logged("cannot be stored: No such file"), 1); /* once a run */
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[1], NULL), MU_EHOSTKEYCHANGED);
    mu_ssh_shared_free(sh);
}

static void test_off(void **state)
{
    struct mu_ssh_shared *sh = shared_over(in_scratch("off-is-not-read"), NULL, MU_HOSTKEY_OFF);

    (void)state;
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[0], NULL), 0);
    assert_int_equal(mu_hostkey_check(sh, "srv01", 22, keys[1], NULL), 0);
    assert_int_equal(times_logged("host keys are not checked"), 1);
    assert_string_equal(order_of(sh, "srv01", 22), "");
    mu_ssh_shared_free(sh);
}

/* ---- threads ---- */

enum { THREADS = 4, HOSTS = 40 };

static void *learn_all(void *arg)
{
    intptr_t bad = 0;
    char name[16];

    for (int i = 0; i < HOSTS; i++) {
        struct mu_buf order = MU_BUF_INIT;
        snprintf(name, sizeof(name), "new%d", i);
        bad += mu_hostkey_check(arg, name, 22, keys[i % 4], NULL) != 0;
        bad += mu_hostkey_check(arg, name, 22, keys[(i + 1) % 4], NULL) != MU_EHOSTKEYCHANGED;
        bad += mu_hostkey_algorithms(arg, name, 22, &order) != 0 || order.len == 0;
        snprintf(name, sizeof(name), "old%d", i);
        bad += mu_hostkey_check(arg, name, 22, keys[0], NULL) != 0;
        snprintf(name, sizeof(name), "hashed%d", i);
        bad += mu_hostkey_check(arg, name, 22, keys[1], NULL) != 0;
        mu_buf_free(&order);
    }
    return (void *)bad;
}

static void test_threads(void **state)
{
    const char *path = in_scratch("threads");
    struct mu_buf text = MU_BUF_INIT;
    struct mu_ssh_shared *sh;
    pthread_t thread[THREADS];
    char name[16];

    (void)state;
    for (int i = 0; i < HOSTS; i++) {
        snprintf(name, sizeof(name), "hashed%d", i);
        add_line(&text, name, 1);
    }
    write_file(path, text.data, 0600);
    assert_int_equal(RUN(NULL, "ssh-keygen", "-H", "-f", path), 0);
    mu_buf_clear(&text);
    mu_buf_adds(&text, read_file(path));
    for (int i = 0; i < HOSTS; i++) {
        snprintf(name, sizeof(name), "old%d", i);
        add_line(&text, name, 0);
    }
    sh = shared_over(path, text.data, MU_HOSTKEY_ACCEPT_NEW);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, learn_all, sh), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad;
        pthread_join(thread[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(count_lines(path), 3 * HOSTS); /* one line a new host, whoever was first */
    mu_ssh_shared_free(sh);
    mu_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_policy_names, clear_log),
        cmocka_unit_test_setup(test_strict, clear_log),
        cmocka_unit_test_setup(test_several_keys_and_files, clear_log),
        cmocka_unit_test_setup(test_missing_files, clear_log),
        cmocka_unit_test_setup(test_same_as_keygen, clear_log),
        cmocka_unit_test_setup(test_malformed_lines_warn_once, clear_log),
        cmocka_unit_test_setup(test_hashed, clear_log),
        cmocka_unit_test_setup(test_effort_plain, clear_log),
        cmocka_unit_test_setup(test_effort_hashed, clear_log),
        cmocka_unit_test_setup(test_algorithms, clear_log),
        cmocka_unit_test_setup(test_accept_new, clear_log),
        cmocka_unit_test_setup(test_accept_new_mends_open_line, clear_log),
        cmocka_unit_test_setup(test_accept_new_without_a_file, clear_log),
        cmocka_unit_test_setup(test_off, clear_log),
        cmocka_unit_test_setup(test_threads, clear_log),
    };

    return cmocka_run_group_tests(tests, set_up_keys, tear_down_keys);
}
