/* Patterns from files, and how much work patterns are. */
#include <stdlib.h>
#include <unistd.h>

#include "inventory/pattern.h"
#include "inventory_test.h"

static char path[] = "/tmp/muster-pattern-XXXXXX";

static int file_make(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int file_drop(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* What "@file" with that text, in a pattern with FILE for the path, picks. */
static int picked(const char *text, size_t len, const char *form, struct mu_buf *out, struct mu_err *err)
{
    struct mu_inventory *inv = parsed("f", "srv1\nsrv2\nsrv3\nsrv4\nweb1 groups=web\nweb2 groups=web\n");
    const char *here = strstr(form, "FILE");
    char pattern[256];
    bool selected[6];
    int rc;

    write_file(text, len);
    if (here)
        snprintf(pattern, sizeof pattern, "%.*s%s%s", (int)(here - form), form, path, here + 4);
    else
        snprintf(pattern, sizeof pattern, "%s", form);
    mu_buf_clear(out);
    rc = mu_pattern_select(inv, pattern, selected, err);
    for (size_t i = 0; i < mu_inventory_count(inv); i++)
        if (selected[i])
            mu_buf_addf(out, "%s%s", out->len ? " " : "", mu_inventory_at(inv, i)->id);
    mu_inventory_free(inv);
    return rc;
}

static void test_files(void **state)
{
    static const struct {
        const char *text, *form, *ids;
    } cases[] = {
        {"srv1\nsrv3\n", "@FILE", "srv1 srv3"},
        {"srv3\r\n\r\nsrv1", "@FILE", "srv1 srv3"},
        {"\xEF\xBB\xBFsrv3\n", "@FILE", "srv3"},
        {"# last night's\nsrv[1-2] # two of them\n\n  web\n", "@FILE", "srv1 srv2 web1 web2"},
        {"[srv1, srv2]\n", "@FILE", "srv1 srv2"},
        {"failed_servers=[srv1, web2]\n", "@FILE", "srv1 web2"},
        {"srv*\n!srv2\n", "@FILE", "srv1 srv3 srv4"},
        {"!srv2\n", "@FILE", "srv1 srv3 srv4 web1 web2"},
        {"srv1\nsrv2\n", "srv*,!@FILE", "srv3 srv4"},
        {"srv1\nweb2\n", "web,&@FILE", "web2"},
        {"srv1\n!srv1\nsrv2\n", "@FILE,srv1", "srv1 srv2"}, /* a file stands for the servers it names, whole */
        {"", "srv1,@FILE", "srv1"},
        {"# nobody\n", "srv*,!@FILE", "srv1 srv2 srv3 srv4"},
    };
    struct mu_buf out = MU_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mu_err err = {0};

        if (picked(cases[i].text, strlen(cases[i].text), cases[i].form, &out, &err) != 0)
            fail_msg("%s: %s", cases[i].text, err.msg);
        assert_string_equal(mu_buf_cstr(&out), cases[i].ids);
    }
    mu_buf_free(&out);
}

static void test_file_errors(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *message; /* behind the path */
    } cases[] = {
        {"srv1\nsrv22\n", 11,
         ":2: server pattern \"srv22\": no server or group of the inventory matches; do you mean \"srv2\"?"},
        {"srv1\n\nsrv[3-1]\n", 15, ":3: server pattern \"srv[3-1]\": malformed node set '3-1': the range runs backwards"},
        {"@other\n", 7, ":1: \"@other\": a file of server patterns cannot name another file"},
        {"srv1\nsrv2\0\n", 11, ":2: a NUL byte: this is not a text file"},
    };
    struct mu_buf out = MU_BUF_INIT;
    struct mu_err err = {0};
    char wanted[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(picked(cases[i].text, cases[i].len, "@FILE", &out, &err) < 0);
        snprintf(wanted, sizeof wanted, "%s%s", path, cases[i].message);
        assert_string_equal(err.msg, wanted);
    }
    assert_int_equal(picked("", 0, "@FILE", &out, &err), MU_ENOENT);
    snprintf(wanted, sizeof wanted, "server pattern \"@%s\": it leaves no server", path);
    assert_string_equal(err.msg, wanted);
    assert_int_equal(picked("", 0, "@/tmp", &out, &err), MU_EIO);
    assert_has(err.msg, "cannot read the server patterns in /tmp: Is a directory");
    mu_buf_free(&out);
}

/* ---- patterns of whatever comes ---- */

static void test_random(void **state)
{
    static const char *const pieces[] = {"srv", "srv1", "web", "rack1", "all", "1",  "2",  "0", "-",  ",", ":", "[", "]",
                                         "!",   "&",    "^",   "~",     "*",   "?",  "/",  "(", ")",  "{", "}", " ", "\\",
                                         "=[",  "[0]",  "[1:2]", "[1-3]", "[-1]", "a", "d+", ".", "|", "#"};
    struct mu_inventory *inv = parsed("f", "srv1\nsrv2 groups=rack1\nsrv10 groups=rack1,web\nweb1 groups=web\n1\n");
    uint64_t rng = 20;
    unsigned chosen = 0, rounds = 50000;

    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct mu_buf b = MU_BUF_INIT;
        struct mu_err err = {0};
        bool selected[5];
        char *exact;
        size_t n = 0;
        int rc;

        for (unsigned left = 1 + round % 8; left > 0; left--) {
            rng = rng * 6364136223846793005u + 1442695040888963407u;
            mu_buf_adds(&b, pieces[(rng >> 33) % (sizeof pieces / sizeof *pieces)]);
        }
        exact = mu_buf_take(&b);
        rc = mu_pattern_select(inv, exact, selected, &err);
        for (size_t i = 0; i < 5; i++)
            n += selected[i];
        if (rc == 0 ? n == 0 : n > 0 || !*err.msg || strchr(err.msg, '\n'))
            fail_msg("%s: %d, %zu servers, %s", exact, rc, n, err.msg);
        chosen += rc == 0;
        free(exact);
    }
    assert_true(chosen > rounds / 50 && chosen < rounds / 2);
    mu_inventory_free(inv);
}

/* ---- the work ---- */

static struct mu_inventory *fleet_of(size_t n)
{
    struct mu_inventory *inv = make();
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};

    for (size_t i = 0; i < n; i++)
        mu_buf_addf(&text, "srv%06zu groups=rack%zu,%s\n", i, i / 40, i % 2 ? "odd" : "even");
    assert_int_equal(mu_inventory_parse(inv, "f", text.data, text.len, &err), 0);
    mu_buf_free(&text);
    return inv;
}

static uint64_t visits_of(const struct mu_inventory *inv, const char *pattern, size_t wanted)
{
    bool *selected = calloc(inv->n, sizeof *selected);
    struct mu_err err = {0};
    uint64_t visits = 0;
    size_t n = 0;

    if (mu_pattern_select_counted(inv, pattern, selected, &visits, &err) != 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < inv->n; i++)
        n += selected[i];
    assert_int_equal(n, wanted);
    free(selected);
    return visits;
}

/* Ten times the servers are ten times the work: looked at are the servers, the groups, and those that are taken. */
static void test_linear(void **state)
{
    static const size_t sizes[] = {10000, 100000};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        size_t n = sizes[k], most = 3 * n + n / 20;
        struct mu_inventory *inv = fleet_of(n);
        struct mu_buf names = MU_BUF_INIT;
        char pattern[64];

        assert_true(visits_of(inv, "srv0000*", 100) <= most);
        assert_true(visits_of(inv, "~srv\\d+5$", n / 10) <= most);
        assert_true(visits_of(inv, "odd,&rack1", 20) <= most);
        assert_true(visits_of(inv, "odd!rack1", n / 2 - 20) <= most);
        assert_true(visits_of(inv, "rack*", n) <= most);
        assert_true(visits_of(inv, "all[-1]", 1) <= most);
        snprintf(pattern, sizeof pattern, "srv[000000-%06zu],!even", n - 1);
        assert_true(visits_of(inv, pattern, n / 2) <= most);

        for (size_t i = 0; i < n; i++)
            mu_buf_addf(&names, "srv%06zu\n", n - 1 - i);
        write_file(names.data, names.len);
        snprintf(pattern, sizeof pattern, "@%s", path);
        assert_true(visits_of(inv, pattern, n) <= most);
        mu_buf_clear(&names); /* and with operators in every line */
        for (size_t i = 0; i < n; i += 2)
            mu_buf_addf(&names, "srv%06zu^srv%06zu\n!srv%06zu\n", i, i + 1, i);
        write_file(names.data, names.len);
        assert_true(visits_of(inv, pattern, n / 2) <= 2 * most);
        mu_buf_free(&names);
        mu_inventory_free(inv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_linear),
    };

    return cmocka_run_group_tests(tests, file_make, file_drop);
}
