/* Private keys: files made by ssh-keygen, and one key used by several threads. */
#include "shared_support.h"

#include "auth_server.h"
#include "ssh/shared_parts.h"

static struct mu_ssh_shared *shared_with(const char *const *files, const char *passphrase, struct mu_err *err)
{
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_OFF, .key_files = files, .passphrase = passphrase};
    struct mu_ssh_shared *sh = NULL;
    int rc = mu_ssh_shared_new(&sh, &config, err);

    assert_int_equal(rc == 0, sh != NULL);
    if (rc)
        assert_int_equal(rc, MU_EINVAL);
    return sh;
}

/* The loaded key is the one of the .pub file. */
static void assert_key(struct mu_ssh_shared *sh, const char *key_file, size_t i, const char *path)
{
    const char *name = NULL;
    ssh_key key = mu_ssh_shared_key(sh, key_file, i, &name), pub = NULL;
    char *pub_path = NULL;

    assert_non_null(key);
    assert_string_equal(name, path);
    assert_true(ssh_key_is_private(key));
    pub_path = mu_ssh_expand_home(path);
    assert_non_null(pub_path = realloc(pub_path, strlen(pub_path) + 5));
    strcat(pub_path, ".pub");
    assert_int_equal(ssh_pki_import_pubkey_file(pub_path, &pub), SSH_OK);
    assert_int_equal(ssh_key_cmp(key, pub, SSH_KEY_CMP_PUBLIC), 0);
    ssh_key_free(pub);
    free(pub_path);
}

static void test_kinds(void **state)
{
    static const struct {
        const char *type, *bits, *passphrase, *format;
    } kinds[] = {
        {"ed25519", "256", "", NULL},       {"ecdsa", "256", "", NULL},        {"ecdsa", "384", "", "PEM"},
        {"rsa", "2048", "", NULL},          {"rsa", "2048", "", "PEM"},        {"rsa", "2048", "", "PKCS8"},
        {"ed25519", "256", "secret", NULL}, {"ecdsa", "521", "secret", NULL},  {"rsa", "2048", "secret", "PEM"},
        {"rsa", "2048", "secret", "PKCS8"}, {"ecdsa", "256", "secret", "PEM"},
    };
    enum { N = sizeof(kinds) / sizeof(kinds[0]) };
    const char *files[N + 2];
    struct mu_ssh_shared *sh;
    struct mu_err err;
    char path[N][128];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(path[i], sizeof(path[i]), "%s", in_scratch("kind%d", i));
        make_key(path[i], kinds[i].type, kinds[i].bits, kinds[i].passphrase, kinds[i].format);
        files[i] = path[i];
    }
    files[N] = path[0]; /* named twice: there once */
    files[N + 1] = NULL;
    sh = shared_with(files, "secret", &err);
    if (!sh)
        fail_msg("%s", err.msg);
    assert_int_equal(mu_ssh_shared_key_count(sh, NULL), N);
    for (size_t i = 0; i < N; i++)
        assert_key(sh, NULL, i, path[i]);
    assert_null(mu_ssh_shared_key(sh, NULL, N, NULL));
    mu_ssh_shared_free(sh);

    /* each encrypted one alone, without and with a wrong passphrase: said, and never asked for on the terminal */
    for (int i = 0; i < N; i++) {
        const char *const one[] = {path[i], NULL};
        if (!*kinds[i].passphrase)
            continue;
        assert_null(shared_with(one, NULL, &err));
        assert_non_null(strstr(err.msg, path[i]));
        assert_non_null(strstr(err.msg, "needs a passphrase"));
        assert_null(shared_with(one, "another", &err));
        assert_non_null(strstr(err.msg, path[i]));
        assert_non_null(strstr(err.msg, "not this key's"));
    }
}

static void assert_refused(const char *path, const char *why)
{
    const char *const files[] = {path, NULL};
    struct mu_err err = {0};

    assert_null(shared_with(files, NULL, &err));
    if (!strstr(err.msg, path) || !strstr(err.msg, why))
        fail_msg("expected \"%s\" in: %s", why, err.msg);
}

static void test_refused(void **state)
{
    const char *key = in_scratch("refused"), *other = in_scratch("other");
    char *text, *cut;

    (void)state;
    make_key(key, "ed25519", "256", "", NULL);
    assert_refused(in_scratch("missing"), "No such file");
    assert_refused(scratch, "Is a directory");
    assert_refused(in_scratch("refused.pub"), "without .pub");
    write_file(other, "", 0600);
    assert_refused(other, "empty");
    write_file(other, "hello\n", 0600);
    assert_refused(other, "not a private key");
    write_file(other, "PuTTY-User-Key-File-3: ssh-ed25519\n", 0600);
    assert_refused(other, "puttygen");
    text = strdup(read_file(key));
    cut = strdup(text);
    cut[strlen(cut) / 2] = '\0';
    write_file(other, cut, 0600);
    assert_refused(other, "not a private key");
    for (mode_t mode = 0; mode <= 077; mode++) {
        chmod(key, 0600 | mode);
        if (mode)
            assert_refused(key, "too open");
    }
    chmod(key, 0600);
    if (getuid() == 0) { /* not ours: as OpenSSH, its owner's business */
        const char *const files[] = {key, NULL};
        assert_int_equal(chown(key, 65534, (gid_t)-1), 0);
        chmod(key, 0644);
        mu_ssh_shared_free(shared_with(files, NULL, NULL));
        assert_int_equal(chown(key, 0, (gid_t)-1), 0);
    } else {
        chmod(key, 0);
        assert_refused(key, "Permission denied");
    }
    free(text);
    free(cut);
}

static void test_defaults(void **state)
{
    const char *ed = in_scratch(".ssh/id_ed25519"), *ec = in_scratch(".ssh/id_ecdsa"), *rsa = in_scratch(".ssh/id_rsa");
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    sh = shared_with(NULL, NULL, &err); /* none there: no error, no word */
    assert_int_equal(mu_ssh_shared_key_count(sh, NULL), 0);
    assert_int_equal(log_lines.len, 0);
    mu_ssh_shared_free(sh);

    mkdir(in_scratch(".ssh"), 0700);
    make_key(ed, "ed25519", "256", "secret", NULL);
    make_key(ec, "ecdsa", "256", "", NULL);
    make_key(rsa, "rsa", "2048", "", NULL);
    chmod(rsa, 0644);
    sh = shared_with(NULL, NULL, &err);
    assert_int_equal(mu_ssh_shared_key_count(sh, NULL), 1);
    assert_key(sh, NULL, 0, "~/.ssh/id_ecdsa");
    assert_int_equal(times_logged("debug left out: private key ~/.ssh/id_ed25519"), 1);
    assert_int_equal(times_logged("warning left out: private key ~/.ssh/id_rsa: permissions 0644"), 1);
    mu_ssh_shared_free(sh);

    chmod(rsa, 0600);
    sh = shared_with(NULL, "secret", &err);
    assert_int_equal(mu_ssh_shared_key_count(sh, NULL), 3);
    mu_ssh_shared_free(sh);
}

static void test_added(void **state)
{
    const char *const none[] = {NULL};
    struct mu_ssh_shared *sh = shared_with(none, "secret", NULL);
    const char *a = in_scratch("a"), *b = in_scratch("b");
    struct mu_err err;
    ssh_key first;

    (void)state;
    make_key(a, "ed25519", "256", "", NULL);
    make_key(b, "ed25519", "256", "secret", NULL);
    assert_int_equal(mu_ssh_shared_key_count(sh, a), 0);
    assert_null(mu_ssh_shared_key(sh, a, 0, NULL));
    assert_int_equal(mu_ssh_shared_add_key(sh, a, &err), 0);
    assert_int_equal(mu_ssh_shared_add_key(sh, b, &err), 0);
    first = mu_ssh_shared_key(sh, b, 0, NULL);
    unlink(b); /* a second call reads nothing */
    assert_int_equal(mu_ssh_shared_add_key(sh, b, &err), 0);
    assert_ptr_equal(mu_ssh_shared_key(sh, b, 0, NULL), first);
    assert_int_equal(mu_ssh_shared_key_count(sh, a), 1);
    assert_int_equal(mu_ssh_shared_key_count(sh, b), 1);
    assert_int_equal(mu_ssh_shared_key_count(sh, NULL), 0); /* not for servers that name none */
    assert_key(sh, a, 0, a);
    assert_null(mu_ssh_shared_key(sh, a, 1, NULL));
    assert_int_equal(mu_ssh_shared_add_key(sh, in_scratch("missing"), &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "missing"));
    assert_int_equal(mu_ssh_shared_key_count(sh, in_scratch("missing")), 0);
    mu_ssh_shared_free(sh);
}

/* ---- one key, several threads ---- */

enum { THREADS = 4, ROUNDS = 5 };

struct signer {
    pthread_t thread;
    struct mu_ssh_shared *sh;
    const char *host_key;
    unsigned failed;
};

static void *sign_often(void *arg)
{
    struct signer *s = arg;

    for (int i = 0; i < ROUNDS; i++)
        for (size_t k = 0; k < mu_ssh_shared_key_count(s->sh, NULL); k++)
            s->failed += authenticate(s->host_key, mu_ssh_shared_key(s->sh, NULL, k, NULL), -1) != SSH_AUTH_SUCCESS;
    return NULL;
}

static void test_threads_share_keys(void **state)
{
    const char *files[] = {in_scratch("ed"), in_scratch("ec"), in_scratch("rsa"), NULL};
    struct signer signers[THREADS];
    struct mu_ssh_shared *sh;
    struct mu_err err;

    (void)state;
    make_key(files[0], "ed25519", "256", "", NULL);
    make_key(files[1], "ecdsa", "256", "", NULL);
    make_key(files[2], "rsa", "2048", "", NULL);
    sh = shared_with(files, NULL, &err);
    for (int i = 0; i < THREADS; i++) {
        signers[i] = (struct signer){.sh = sh, .host_key = files[0]};
        assert_int_equal(pthread_create(&signers[i].thread, NULL, sign_often, &signers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(signers[i].thread, NULL);
        assert_int_equal(signers[i].failed, 0);
    }
    mu_ssh_shared_free(sh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kinds, clear_log),
        cmocka_unit_test_setup(test_refused, clear_log),
        cmocka_unit_test_setup(test_defaults, clear_log),
        cmocka_unit_test_setup(test_added, clear_log),
        cmocka_unit_test_setup(test_threads_share_keys, clear_log),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
