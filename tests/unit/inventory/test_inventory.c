#include "inventory_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- adding and setting ---- */

static void test_add_and_set(void **state)
{
    struct mu_inventory *inv = make();
    struct mu_server *s = NULL;
    struct mu_err err = {0};

    (void)state;
    assert_int_equal(mu_inventory_add(inv, "srv01", &s, &err), 0);
    assert_int_equal(mu_server_set(s, "address", "10.0.0.1", &err), 0);
    assert_int_equal(mu_server_set(s, "address", "fe80::1%eth0", &err), 0);
    assert_int_equal(mu_server_set(s, "port", "65535", &err), 0);
    assert_int_equal(mu_server_set(s, "user", "ops", &err), 0);
    assert_int_equal(mu_server_set(s, "key", "id", &err), 0);
    assert_int_equal(mu_server_set(s, "transport", "local", &err), 0);
    assert_int_equal(mu_server_set(s, "rack", "r1", &err), 0);
    assert_int_equal(mu_server_set(s, "rack", "r2", &err), 0);
    assert_string_equal(s->address, "fe80::1%eth0");
    assert_int_equal(s->port, 65535);
    assert_string_equal(s->key, "id");
    assert_true(s->local);
    assert_int_equal(s->n_vars, 1);
    assert_string_equal(mu_server_var(s, "rack")->str, "r2");

    assert_int_equal(mu_inventory_add(inv, "srv01", NULL, &err), MU_EEXIST);
    assert_string_equal(err.msg, "server \"srv01\" is there already");
    assert_int_equal(mu_inventory_add(inv, "a b", &s, &err), MU_EINVAL);
    assert_null(s);
    assert_int_equal(mu_inventory_add(inv, "", NULL, NULL), MU_EINVAL);
    assert_int_equal(mu_inventory_add(inv, "x\xFF", NULL, &err), MU_EINVAL);
    assert_has(err.msg, "server id \"x\\xff\" is not UTF-8");
    assert_int_equal(mu_inventory_parse(inv, "f", "srv00\nsrv01", 11, &err), MU_EEXIST);
    assert_string_equal(err.msg, "f:2: server \"srv01\" is there already");
    assert_int_equal(mu_inventory_count(inv), 1);

    s = mu_inventory_find(inv, "srv01");
    assert_int_equal(mu_server_set(s, "port", "70000", &err), MU_EINVAL);
    assert_string_equal(err.msg, "server \"srv01\": port 70000 is out of range (1-65535)");
    assert_int_equal(s->port, 65535);
    assert_int_equal(mu_server_set(s, "id", "x", &err), MU_EINVAL);
    assert_has(err.msg, "the id of a server cannot be set");
    assert_int_equal(mu_server_set(s, "", "x", &err), MU_EINVAL);
    assert_has(err.msg, "empty name");
    assert_int_equal(mu_server_set(s, "a\nb", "x", NULL), MU_EINVAL);
    mu_inventory_free(inv);
    mu_inventory_free(NULL);
}

static void test_longest_id(void **state)
{
    struct mu_inventory *inv = make();
    char id[255];

    (void)state;
    memset(id, 'x', sizeof id);
    id[254] = '\0';
    assert_int_equal(mu_inventory_add(inv, id, NULL, NULL), MU_EINVAL);
    id[253] = '\0';
    assert_int_equal(mu_inventory_add(inv, id, NULL, NULL), 0);
    assert_non_null(mu_inventory_find(inv, id));
    mu_inventory_free(inv);
}

static void test_home(void **state)
{
    struct mu_inventory *inv = make();
    const char *home = getenv("HOME");
    char *old = home ? strdup(home) : NULL;
    struct mu_server *s = NULL;

    (void)state;
    assert_int_equal(mu_inventory_add(inv, "srv01", &s, NULL), 0);
    setenv("HOME", "/srv/ops", 1);
    assert_int_equal(mu_server_set(s, "key", "~/.ssh/id", NULL), 0);
    assert_string_equal(s->key, "/srv/ops/.ssh/id");
    assert_int_equal(mu_server_set(s, "key", "~", NULL), 0);
    assert_string_equal(s->key, "/srv/ops/");
    assert_int_equal(mu_server_set(s, "key", "a/~/b", NULL), 0);
    assert_string_equal(s->key, "a/~/b");
    unsetenv("HOME"); /* then the password database tells */
    assert_int_equal(mu_server_set(s, "key", "~/.ssh/id", NULL), 0);
    assert_int_equal(s->key[0], '/');
    if (old)
        setenv("HOME", old, 1);
    free(old);
    mu_inventory_free(inv);
}

/* ---- files ---- */

struct folder {
    char path[64];
    char file[96];
};

static int folder_make(void **state)
{
    struct folder *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    strcpy(f->path, "/tmp/mu-inventory-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    snprintf(f->file, sizeof f->file, "%s/fleet", f->path);
    *state = f;
    return 0;
}

static int folder_drop(void **state)
{
    struct folder *f = *state;

    unlink(f->file);
    rmdir(f->path);
    free(f);
    return 0;
}

static void put_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static int load(const char *path, struct mu_err *err)
{
    struct mu_inventory *inv = make();
    int rc = mu_inventory_load(inv, path, err);

    assert_int_equal(mu_inventory_count(inv) != 0, rc == 0);
    if (rc < 0)
        assert_one_line(err->msg);
    mu_inventory_free(inv);
    return rc;
}

static void test_load(void **state)
{
    struct folder *f = *state;
    struct mu_inventory *inv = make();
    struct mu_err err = {0};
    char key[128];

    put_file(f->file, "srv01 key=id\n", 13);
    assert_int_equal(mu_inventory_load(inv, f->file, &err), 0);
    snprintf(key, sizeof key, "%s/id", f->path);
    assert_string_equal(server(inv, "srv01")->key, key);
    put_file(f->file, "[\"srv02\"]", 9);
    assert_int_equal(mu_inventory_load(inv, f->file, &err), 0);
    assert_int_equal(mu_inventory_count(inv), 2);
    assert_int_equal(server(inv, "srv02")->index, 1);
    mu_inventory_free(inv);
}

static void test_load_errors(void **state)
{
    struct folder *f = *state;
    struct mu_err err = {0};
    char expected[256];

    assert_int_equal(load(f->file, &err), MU_ENOENT);
    snprintf(expected, sizeof expected, "cannot read the inventory %s: No such file or directory", f->file);
    assert_string_equal(err.msg, expected);
    assert_int_equal(err.sys, ENOENT);

    assert_int_equal(load(f->path, &err), MU_EINVAL);
    snprintf(expected, sizeof expected, "no inventories in the folder %s (", f->path);
    assert_has(err.msg, expected);

    put_file(f->file, "", 0);
    assert_int_equal(load(f->file, &err), MU_EINVAL);
    snprintf(expected, sizeof expected, "no servers in %s", f->file);
    assert_string_equal(err.msg, expected);

    assert_int_equal(load("/proc/self/mem", &err), MU_EIO); /* opens, but its first page cannot be read */
    assert_has(err.msg, "cannot read the inventory /proc/self/mem: Input/output error");
    assert_int_equal(load("", &err), MU_ENOENT);
}

static void test_load_without_permission(void **state)
{
    struct folder *f = *state;
    struct mu_err err = {0};
    bool root = geteuid() == 0;
    int rc;

    put_file(f->file, "srv01\n", 6);
    assert_int_equal(chmod(f->file, 0), 0);
    assert_int_equal(chmod(f->path, 0711), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    rc = load(f->file, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, MU_EIO);
    assert_has(err.msg, "Permission denied");
}

static void test_load_from_a_pipe(void **state)
{
    struct mu_inventory *inv = make();
    struct mu_err err = {0};
    int ends[2], old;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "srv01 key=id\nsrv02 port=x\n", 26), 26);
    close(ends[1]);
    old = dup(STDIN_FILENO);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(mu_inventory_load(inv, "-", &err), MU_EINVAL);
    assert_string_equal(err.msg, "standard input:2: port \"x\" is not a number");
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* not ours to close */
    assert_int_equal(dup2(old, STDIN_FILENO), STDIN_FILENO);
    close(old);
    mu_inventory_free(inv);
}

/* ---- many ---- */

/* Each look-up stays short and each server is looked up once a time it is named, so loading and selecting are linear.
 */
static void test_a_hundred_thousand(void **state)
{
    enum { N = 100000 };
    struct mu_inventory *inv = make();
    struct mu_buf text = MU_BUF_INIT, pattern = MU_BUF_INIT;
    struct mu_err err = {0};
    bool *selected = calloc(2 * N, sizeof *selected);
    char id[32];

    (void)state;
    assert_non_null(selected);
    for (int i = 0; i < N; i++)
        mu_buf_addf(&text, "srv%06d address=10.%d.%d.%d rack=r%d\n", i, i >> 16, i >> 8 & 255, i & 255, i / 40);
    assert_int_equal(mu_inventory_parse(inv, "list", text.data, text.len, &err), 0);
    mu_buf_clear(&text);
    mu_buf_adds(&text, "{\"vars\": {\"site\": \"fra\"}, \"servers\": [");
    for (int i = 0; i < N; i++)
        mu_buf_addf(&text, "%s{\"id\": \"%d\", \"vars\": {\"rack\": %d}}", i ? "," : "", i, i / 40);
    mu_buf_adds(&text, "]}");
    assert_int_equal(mu_inventory_parse(inv, "json", text.data, text.len, &err), 0);
    assert_int_equal(mu_inventory_count(inv), 2 * N);
    assert_true(mu_inventory_longest_probe(inv) < 64);
    assert_true(inv->n_slots >= 4 * N && inv->n_slots <= 16 * N);
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "srv%06d", i);
        assert_int_equal(server(inv, id)->index, i);
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(server(inv, id)->index, N + i);
    }

    assert_int_equal(mu_pattern_select(inv, "srv[000000-099999],!srv0000*", selected, &err), 0);
    for (int i = 0; i < 2 * N; i++)
        assert_int_equal(selected[i], i >= 100 && i < N);
    for (int i = 0; i < N; i += 2)
        mu_buf_addf(&pattern, "%s%d", i ? "," : "", i);
    assert_int_equal(mu_pattern_select(inv, pattern.data, selected, &err), 0);
    for (int i = 0; i < 2 * N; i++)
        assert_int_equal(selected[i], i >= N && i % 2 == 0);

    /* An error at the very end takes as many back, and the index is right afterwards. */
    mu_buf_clear(&text);
    for (int i = 0; i < N; i++)
        mu_buf_addf(&text, "new%06d\n", i);
    mu_buf_adds(&text, "srv000007\n");
    assert_int_equal(mu_inventory_parse(inv, "more", text.data, text.len, &err), MU_EEXIST);
    assert_string_equal(err.msg, "more:100001: server \"srv000007\" is there already, in list:8");
    assert_int_equal(mu_inventory_count(inv), 2 * N);
    assert_null(mu_inventory_find(inv, "new000000"));
    assert_int_equal(server(inv, "99999")->index, 2 * N - 1);
    assert_true(mu_inventory_longest_probe(inv) < 64);
    assert_int_equal(mu_inventory_parse(inv, "more", text.data, text.len - 10, &err), 0);
    assert_int_equal(mu_inventory_count(inv), 3 * N);
    free(selected);
    mu_buf_free(&text);
    mu_buf_free(&pattern);
    mu_inventory_free(inv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_set),
        cmocka_unit_test(test_longest_id),
        cmocka_unit_test(test_home),
        cmocka_unit_test_setup_teardown(test_load, folder_make, folder_drop),
        cmocka_unit_test_setup_teardown(test_load_errors, folder_make, folder_drop),
        cmocka_unit_test_setup_teardown(test_load_without_permission, folder_make, folder_drop),
        cmocka_unit_test(test_load_from_a_pipe),
        cmocka_unit_test(test_a_hundred_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
