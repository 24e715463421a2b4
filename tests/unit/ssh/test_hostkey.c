/* Host keys checked by each of the three policies, the algorithms to ask for, and several threads that learn keys. How
 * known_hosts is read: test_known_hosts.c. */
#include "hostkey_support.h"

#include <pthread.h>

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
        cmocka_unit_test_setup(test_algorithms, clear_log),
        cmocka_unit_test_setup(test_accept_new, clear_log),
        cmocka_unit_test_setup(test_accept_new_mends_open_line, clear_log),
        cmocka_unit_test_setup(test_accept_new_without_a_file, clear_log),
        cmocka_unit_test_setup(test_off, clear_log),
        cmocka_unit_test_setup(test_threads, clear_log),
    };

    return cmocka_run_group_tests(tests, set_up_keys, tear_down_keys);
}
