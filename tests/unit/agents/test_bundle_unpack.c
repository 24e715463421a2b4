/* Bundles where they arrive: hostile and damaged ones are refused; the cache that the others are unpacked into. */
#include "scripts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

#include "agents/bundle.h"
#include "agents/bundle_internal.h"
#include "agents/wire_form.h"

/* ---- hostile bundles ---- */

struct item {
    const char *path;
    size_t len;
};
#define ITEM(text) {text, sizeof text - 1}

static void write_bundle(struct mu_buf *out, const char *script, const struct item *items, size_t n, size_t claimed)
{
    msgpack_packer pk;
    mu_buf_clear(out);
    mu_put_start(&pk, out, MU_WIRE_BUNDLE, claimed + 1);
    mu_put_text(&pk, script);
    for (size_t i = 0; i < n; i++) {
        mu_put_array(&pk, 3);
        msgpack_pack_str_with_body(&pk, items[i].path, items[i].len);
        mu_put_bool(&pk, false);
        mu_put_bytes(&pk, "return", 6);
    }
}

static size_t entries(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n ? n - 2 : 0;
}

/* Under its right name; nothing is left behind. */
static void rejected(const struct mu_buf *b, const char *why)
{
    char name[MU_BUNDLE_NAME_SIZE];
    struct mu_err err = {0};
    assert_int_equal(mu_bundle_hash(name, b->data, b->len, &err), 0);
    assert_int_equal(mu_bundle_unpack(in("cache"), name, b->data, b->len, &err), MU_EINVAL);
    if (!strstr(err.msg, why))
        fail_msg("%s", err.msg);
    assert_int_equal(entries(in("cache")), 0);
}

static void a_hostile_bundle_is_refused(void **state)
{
    (void)state;
    static const struct item outside[] = {
        ITEM("/etc/x"), ITEM("../x"), ITEM("script/../x"), ITEM("script/a/../../../x"), ITEM("script/"), ITEM("script"),
        ITEM("script//x"), ITEM("script/./x"), ITEM("script/.."), ITEM("scripts/x"), ITEM("share"), ITEM("bundle"), ITEM(""),
        ITEM("script/a\0b"), ITEM("script/a/")};
    struct mu_buf b = MU_BUF_INIT;
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        write_bundle(&b, "script/x.lua", &outside[i], 1, 1);
        rejected(&b, "it names a file outside itself");
    }
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    memcpy(long_name, "script/", 7);
    const struct item long_item = {long_name, sizeof long_name};
    write_bundle(&b, "script/x.lua", &long_item, 1, 1);
    rejected(&b, "it names a file outside itself");
    static const struct item twice[] = {ITEM("script/x.lua"), ITEM("script/x.lua")},
                             unsorted[] = {ITEM("script/y"), ITEM("script/x.lua")},
                             both[] = {ITEM("script/x.lua"), ITEM("script/x.lua/y")}, good[] = {ITEM("script/x.lua")};
    write_bundle(&b, "script/x.lua", twice, 2, 2);
    rejected(&b, "one is there twice");
    write_bundle(&b, "script/x.lua", unsorted, 2, 2);
    rejected(&b, "not in order");
    write_bundle(&b, "script/x.lua", both, 2, 2);
    rejected(&b, "a name is that of a file and of a folder");
    write_bundle(&b, "script/z.lua", good, 1, 1);
    rejected(&b, "the script is not in it");
    write_bundle(&b, "script/x.lua", good, 1, 2);
    rejected(&b, "not of the form");
    write_bundle(&b, "script/x.lua", good, 1, 1);
    mu_buf_addc(&b, 'x');
    rejected(&b, "something behind its end");
    write_bundle(&b, "script/x.lua", good, 1, 0x7fffffff);
    rejected(&b, "not of the form");
    write_bundle(&b, "script/x.lua", good, 1, MU_BUNDLE_FILES_MAX + 1);
    for (size_t i = 0; i < MU_BUNDLE_FILES_MAX; i++)
        mu_buf_addc(&b, '\0');
    rejected(&b, "too many files");
    mu_buf_free(&b);
}

/* Whatever is changed or cut in a good one, it is refused: by its name, and, with a name made for it, without a crash. */
static void a_damaged_bundle_is_refused(void **state)
{
    (void)state;
    static const struct item good[] = {ITEM("script/m.lua"), ITEM("script/x.lua"), ITEM("share/lib/a.lua")};
    struct mu_buf b = MU_BUF_INIT;
    char name[MU_BUNDLE_NAME_SIZE], its[MU_BUNDLE_NAME_SIZE];
    struct mu_bundle_content c;
    struct mu_err err;
    write_bundle(&b, "script/x.lua", good, 3, 3);
    assert_int_equal(mu_bundle_hash(name, b.data, b.len, &err), 0);
    for (size_t i = 0; i < b.len; i++) {
        for (unsigned v = 0; v < 256; v++) {
            char was = b.data[i];
            if ((char)v == was)
                continue;
            b.data[i] = (char)v;
            assert_int_equal(mu_bundle_read(&c, name, b.data, b.len, &err), MU_EINVAL);
            mu_bundle_content_clear(&c);
            assert_int_equal(mu_bundle_hash(its, b.data, b.len, &err), 0);
            mu_bundle_read(&c, its, b.data, b.len, &err);
            mu_bundle_content_clear(&c);
            b.data[i] = was;
        }
        char *cut = malloc(i ? i : 1); /* so that a sanitizer sees a step too far */
        memcpy(cut, b.data, i);
        assert_int_equal(mu_bundle_hash(its, cut, i, &err), 0);
        assert_int_equal(mu_bundle_read(&c, its, cut, i, &err), MU_EINVAL);
        mu_bundle_content_clear(&c);
        free(cut);
    }
    assert_int_equal(mu_bundle_unpack(in("cache"), "../../etc", b.data, b.len, &err), MU_EINVAL);
    assert_int_equal(mu_bundle_unpack(in("cache"), name, b.data, b.len, &err), 0);
    mu_buf_free(&b);
}

/* ---- the cache ---- */

static void make_small(struct mu_buf *b, char name[MU_BUNDLE_NAME_SIZE])
{
    static const struct item good[] = {ITEM("script/m.lua"), ITEM("script/x.lua"), ITEM("share/lib/a.lua")};
    struct mu_err err;
    write_bundle(b, "script/x.lua", good, 3, 3);
    assert_int_equal(mu_bundle_hash(name, b->data, b->len, &err), 0);
}

static int found(const char *name)
{
    char *file = NULL, *library = NULL;
    struct mu_err err;
    int rc = mu_bundle_find(in("cache"), name, &file, &library, &err);
    free(file);
    free(library);
    return rc;
}

static void what_was_changed_is_unpacked_anew(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err;
    char name[MU_BUNDLE_NAME_SIZE], path[1024], dir[512];
    struct stat st;
    make_small(&b, name);
    snprintf(dir, sizeof dir, "%s/%s", in("cache"), name);
    snprintf(path, sizeof path, "%s/script/m.lua", dir);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(mu_bundle_unpack(in("cache"), name, b.data, b.len, &err), 0);
        assert_int_equal(found(name), 0);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(lstat(dir, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        FILE *f;
        switch (i) {
        case 0: /* edited, of the same size */
            assert_non_null(f = fopen(path, "w"));
            fputs("RETURN", f);
            fclose(f);
            break;
        case 1:
            assert_int_equal(truncate(path, 3), 0);
            break;
        case 2:
            assert_int_equal(unlink(path), 0);
            break;
        case 3: /* a link to the same text */
            assert_int_equal(rename(path, in("elsewhere")), 0);
            assert_int_equal(symlink(in("elsewhere"), path), 0);
            break;
        case 4: /* the whole folder a link */
            assert_int_equal(rename(dir, in("aside")), 0);
            assert_int_equal(symlink(in("aside"), dir), 0);
            break;
        case 5:
            assert_int_equal(chmod(dir, 0777), 0);
            break;
        }
        assert_int_equal(found(name), MU_ENOENT);
    }
    assert_int_equal(mu_bundle_unpack(in("cache"), name, b.data, b.len, &err), 0);
    assert_int_equal(found(name), 0);
    assert_int_equal(entries(in("cache")), 1);
    assert_int_equal(access(in("elsewhere"), F_OK), 0); /* no link was followed */
    assert_int_equal(entries(in("aside")), 3);
    mu_buf_free(&b);
}

static void many_processes_unpack_at_once(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err;
    char name[MU_BUNDLE_NAME_SIZE];
    pid_t pids[8];
    make_small(&b, name);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++) {
            pids[i] = fork();
            assert_true(pids[i] >= 0);
            if (!pids[i]) {
                struct mu_err why;
                int bad = 0;
                for (int j = 0; j < 20 && !bad; j++)
                    bad = mu_bundle_unpack(in("cache"), name, b.data, b.len, &why) || found(name);
                _exit(bad ? 1 : 0);
            }
        }
        for (int i = 0; i < 8; i++) {
            int status = -1;
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(entries(in("cache")), 1);
        assert_int_equal(mu_bundle_put_aside(in("cache"), name, &err), 0);
    }
    mu_buf_free(&b);
}

static void others_may_not_write_there(void **state)
{
    (void)state;
    struct mu_buf where = MU_BUF_INIT;
    struct mu_err err;
    assert_int_equal(mu_bundle_cache_dir(&where, in("a/b"), &err), 0);
    struct stat st;
    assert_int_equal(stat(in("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(chmod(in("a/b"), 0770), 0);
    assert_int_equal(mu_bundle_cache_dir(&where, in("a/b"), &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "others may write to it"));
    put("file", "");
    assert_int_equal(mu_bundle_cache_dir(&where, in("file"), &err), MU_EINVAL);
    assert_int_equal(setenv("XDG_CACHE_HOME", in("xdg"), 1), 0);
    assert_int_equal(mu_bundle_cache_dir(&where, NULL, &err), 0);
    assert_string_equal(where.data, in("xdg/muster/bundles"));
    mu_buf_free(&where);
}

static void the_last_twenty_stay(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err;
    char names[26][MU_BUNDLE_NAME_SIZE];
    for (int i = 0; i < 26; i++) {
        char text[32];
        snprintf(text, sizeof text, "script/x%02d.lua", i);
        const struct item item = {text, strlen(text)};
        write_bundle(&b, text, &item, 1, 1);
        assert_int_equal(mu_bundle_hash(names[i], b.data, b.len, &err), 0);
        assert_int_equal(mu_bundle_unpack(in("cache"), names[i], b.data, b.len, &err), 0);
    }
    assert_int_equal(entries(in("cache")), 26); /* all were used today */
    for (int i = 0; i < 26; i++) {
        const struct timespec days[2] = {{time(NULL) - (40 - i) * 24 * 3600, 0}, {time(NULL) - (40 - i) * 24 * 3600, 0}};
        char path[7 + MU_BUNDLE_NAME_SIZE] = "cache/";
        strcat(path, names[i]);
        assert_int_equal(utimensat(AT_FDCWD, in(path), days, 0), 0);
    }
    put("cache/.unpack-old/x", "");
    put("cache/.unpack-new/x", "");
    put("cache/mine/x", "");
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, in("cache/.unpack-old"), old, 0), 0);
    assert_int_equal(found(names[0]), 0); /* this is its use */
    assert_int_equal(mu_bundle_unpack(in("cache"), names[25], b.data, b.len, &err), 0);
    for (int i = 0; i < 26; i++)
        assert_int_equal(found(names[i]), i >= 1 && i < 7 ? MU_ENOENT : 0);
    assert_int_equal(access(in("cache/.unpack-old"), F_OK), -1);
    assert_int_equal(access(in("cache/.unpack-new"), F_OK), 0);
    assert_int_equal(access(in("cache/mine"), F_OK), 0);
    mu_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hostile_bundle_is_refused), TEST(a_damaged_bundle_is_refused), TEST(what_was_changed_is_unpacked_anew),
        TEST(many_processes_unpack_at_once), TEST(others_may_not_write_there), TEST(the_last_twenty_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
