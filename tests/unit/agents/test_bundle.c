/* Scripts as bundles: what is in them, and that they load at the other end as they do here; hostile ones; the cache. */
#include "scripts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

#include "agents/bundle.h"
#include "agents/bundle_internal.h"
#include "agents/form.h"

#define STEPS "steps = { { name = 's', run = function() return 1 end } }"

/* ---- helpers ---- */

static void pack(const struct mu_script *s, const char *library, struct mu_buf *out, char name[MU_BUNDLE_NAME_SIZE])
{
    struct mu_err err = {0};
    if (mu_bundle_make(out, name, s, library, &err))
        fail_msg("%s", err.msg);
}

/* What is in it but for the standard library: a line each, with "*" behind what is executable. */
static char *contents(const char *name, const struct mu_buf *b)
{
    struct mu_bundle_content c;
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err;
    assert_int_equal(mu_bundle_read(&c, name, b->data, b->len, &err), 0);
    for (size_t i = 0; i < c.n; i++) {
        if (c.files[i].path_len > 9 && !memcmp(c.files[i].path, "share/lib", 9))
            continue;
        mu_buf_add(&text, c.files[i].path, c.files[i].path_len);
        mu_buf_adds(&text, c.files[i].executable ? "*\n" : "\n");
    }
    mu_bundle_content_clear(&c);
    return mu_buf_take(&text);
}

/* Through the cache, and loaded there. */
static struct mu_script *travel(const struct mu_script *s, const char *library, char **script_file, char **library_dir)
{
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err = {0};
    char name[MU_BUNDLE_NAME_SIZE];
    pack(s, library, &b, name);
    assert_int_equal(mu_bundle_find(in("cache"), name, script_file, library_dir, &err), MU_ENOENT);
    if (mu_bundle_unpack(in("cache"), name, b.data, b.len, &err) ||
        mu_bundle_find(in("cache"), name, script_file, library_dir, &err))
        fail_msg("%s", err.msg);
    mu_buf_free(&b);
    return load(*script_file, *library_dir);
}

static bool is_there(const char *dir, const char *path)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", dir, path);
    return access(full, R_OK) == 0;
}

/* ---- making ---- */

static void the_burn_in_travels_whole(void **state)
{
    (void)state;
    struct mu_script *here = load(MUSTER_SOURCE "/scripts/burnin.lua", LIBRARY), *there;
    struct mu_buf one = MU_BUF_INIT, other = MU_BUF_INIT;
    char name[MU_BUNDLE_NAME_SIZE], again[MU_BUNDLE_NAME_SIZE], *file, *library;
    pack(here, LIBRARY, &one, name);
    pack(here, LIBRARY, &other, again);
    assert_string_equal(name, again);
    assert_int_equal(one.len, other.len);
    assert_memory_equal(one.data, other.data, one.len);
    there = travel(here, LIBRARY, &file, &library);
    assert_same(here, there);
    assert_true(there->n_steps > 8);
    assert_non_null(strstr(file, "/script/burnin.lua"));
    static const char *const drivers[] = {"provisioner/init.lua", "provisioner/ironic.lua", "provisioner/rest.lua",
                                          "provisioner/core/marks.lua", "benchmarks/tool.lua", "muster/testing.lua"};
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        assert_true(is_there(library, drivers[i]));
    for (size_t i = 0; i < there->n_files; i++) /* nothing of the source tree was read */
        assert_int_equal(strncmp(there->files[i], folder, strlen(folder)), 0);
    free(file);
    free(library);
    mu_buf_free(&one);
    mu_buf_free(&other);
    mu_script_free(here);
    mu_script_free(there);
}

/* The same by a relative path, and by one for which the library lies below the script's folder. */
static void paths_may_be_said_in_several_ways(void **state)
{
    (void)state;
    char *file, *library;
    char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(MUSTER_SOURCE "/scripts"), 0);
    struct mu_script *here = load("burnin.lua", LIBRARY), *there = travel(here, LIBRARY, &file, &library);
    assert_same(here, there);
    mu_script_free(there);
    mu_script_free(here);
    free(file);
    free(library);
    here = load("./burnin.lua", "./lib");
    there = travel(here, "./lib", &file, &library);
    assert_same(here, there);
    mu_script_free(there);
    mu_script_free(here);
    free(file);
    free(library);
    assert_int_equal(chdir(before), 0);
    free(before);
}

static void what_a_script_names_is_in_it(void **state)
{
    (void)state;
    put("checks/common/cpu.lua", "local m = require 'mod.late' return { params = { n = 1 }, " STEPS " }");
    put("checks/disk/mod/late.lua", "return {}");
    put("checks/disk/mod/lazy.lua", "return { f = function() return require('mod.deep') end }");
    put("checks/disk/mod/deep/init.lua", "#!/usr/bin/lua\nlocal ok = pcall(require, 'mod.perhaps') return { require 'gone' }");
    put("checks/disk/mod/perhaps.lua", "this does not compile");
    put("checks/disk/mod/other.lua", "return {}");
    put("checks/disk/house.lua", "return require 'house_parts'");
    put("checks/disk/house_parts.lua", "return {}");
    put("checks/disk/provisioner/stable.lua", "return {}");
    put("checks/disk/payload/a.sh", "true\n");
    put("checks/disk/payload/b.txt", "b\n");
    put("checks/disk/payload/c.dat", "");
    assert_int_equal(chmod(in("checks/disk/payload/a.sh"), 0755), 0);
    const char *path = put("checks/disk/x.lua",
                           "local muster, cjson = require 'muster', require 'cjson'\n"
                           "return { params = { driver = 'house', provisioner = 'stable', text = 'not a/module' },\n"
                           "  files = { 'payload/*.sh', 'payload/c.dat' },\n"
                           "  steps = { muster.use '../common/cpu',\n"
                           "    { name = 'y', run = function() return require 'mod.lazy'.f() end } } }");
    char *file, *library, *text, name[MU_BUNDLE_NAME_SIZE];
    struct mu_script *here = load(path, LIBRARY), *there;
    struct mu_buf b = MU_BUF_INIT;
    pack(here, LIBRARY, &b, name);
    text = contents(name, &b);
    assert_string_equal(text, "script/common/cpu.lua\n"
                              "script/disk/house.lua\n"
                              "script/disk/house_parts.lua\n"
                              "script/disk/mod/deep/init.lua\n"
                              "script/disk/mod/late.lua\n"
                              "script/disk/mod/lazy.lua\n"
                              "script/disk/mod/perhaps.lua\n"
                              "script/disk/payload/a.sh*\n"
                              "script/disk/payload/c.dat\n"
                              "script/disk/provisioner/stable.lua\n"
                              "script/disk/x.lua\n");
    there = travel(here, LIBRARY, &file, &library);
    assert_same(here, there);
    assert_true(is_there(there->dir, "payload/a.sh"));
    free(text);
    free(file);
    free(library);
    mu_buf_free(&b);
    mu_script_free(here);
    mu_script_free(there);
}

/* A script of the user's own that uses an installed one, which is found beside the library there, too. */
static void installed_scripts_come_along(void **state)
{
    (void)state;
    const char *path = put("mine/x.lua", "return { steps = { require('muster').use 'memory' } }");
    char *file, *library, *text, name[MU_BUNDLE_NAME_SIZE];
    struct mu_script *here = load(path, LIBRARY), *there;
    struct mu_buf b = MU_BUF_INIT;
    pack(here, LIBRARY, &b, name);
    text = contents(name, &b);
    assert_string_equal(text, "script/x.lua\nshare/memory.lua\n");
    there = travel(here, LIBRARY, &file, &library);
    assert_same(here, there);
    free(text);
    free(file);
    free(library);
    mu_buf_free(&b);
    mu_script_free(here);
    mu_script_free(there);
}

/* Modules that Lua's own path finds go to the library, behind which they are searched. */
static void luas_own_path_comes_along(void **state)
{
    (void)state;
    char *before = getcwd(NULL, 0), *file, *library;
    put("site/common/tools.lua", "return { answer = 42 }");
    const char *path = put("mine/x.lua", "assert(require 'common.tools'.answer == 42) return { " STEPS " }");
    assert_int_equal(chdir(in("site")), 0); /* "./?.lua" */
    struct mu_script *here = load(path, NULL);
    assert_int_equal(chdir("/"), 0);
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err;
    char name[MU_BUNDLE_NAME_SIZE];
    assert_int_equal(mu_bundle_make(&b, name, here, NULL, &err), MU_ENOENT); /* it is gone from there */
    assert_non_null(strstr(err.msg, "./common/tools.lua"));
    assert_int_equal(chdir(in("site")), 0);
    struct mu_script *there = travel(here, NULL, &file, &library);
    assert_int_equal(chdir(before), 0);
    assert_true(is_there(library, "common/tools.lua"));
    assert_same(here, there);
    free(before);
    free(file);
    free(library);
    mu_buf_free(&b);
    mu_script_free(here);
    mu_script_free(there);
}

static void refused(const char *path, const char *library, const char *why)
{
    struct mu_script *s = load(path, library);
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err;
    char name[MU_BUNDLE_NAME_SIZE];
    assert_int_equal(mu_bundle_make(&b, name, s, library, &err), MU_EINVAL);
    if (!strstr(err.msg, why))
        fail_msg("%s", err.msg);
    mu_buf_free(&b);
    mu_script_free(s);
}

static void what_cannot_be_found_there_is_refused(void **state)
{
    (void)state;
    char text[1024];
    put("far/away.lua", "return {}");
    snprintf(text, sizeof text, "package.path = '%s/?.lua;' .. package.path require 'away' return { " STEPS " }", in("far"));
    refused(put("mine/x.lua", text), LIBRARY, "/far/away.lua lies outside the folders of the script and of the standard library: "
            "agents cannot be sent it; put it beside the script");
    put("lib2/deeper/lib/m.lua", "return {}");
    put("lib2/top.lua", "return { " STEPS " }");
    refused(put("mine/y.lua", "return { steps = { require('muster').use '../top' } }"), in("lib2/deeper/lib"),
            "/lib2/deeper/lib/../../top.lua lies above the folders");
    put("mine/sub/unused.txt", "");
    put("mine/z.lua", "return { " STEPS " }");
    refused(put("mine/w.lua", "return { steps = { require('muster').use 'sub/../z' } }"), LIBRARY,
            "a file is named by a way through the folder sub and out of it again");
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    const char *path = put("mine/x.lua", "return { files = { 'big' }, " STEPS " }");
    put("mine/big", "");
    assert_int_equal(truncate(in("mine/big"), (off_t)MU_BUNDLE_MAX + 1), 0);
    refused(path, NULL, "its files are more than 32 MiB in all, with ");
    assert_int_equal(truncate(in("mine/big"), (off_t)MU_BUNDLE_MAX - 10), 0);
    refused(path, NULL, "its files are more than 32 MiB in all, with ");
}

/* ---- hostile bundles ---- */

struct item {
    const char *path;
    size_t len;
};
#define ITEM(text) {text, sizeof text - 1}

static void write_bundle(struct mu_buf *out, const char *script, const struct item *items, size_t n, size_t claimed)
{
    msgpack_packer p;
    mu_buf_clear(out);
    msgpack_packer_init(&p, out, mu_form_write);
    msgpack_pack_array(&p, claimed + 2);
    msgpack_pack_uint32(&p, MU_BUNDLE_FORM);
    mu_form_put_text(&p, script);
    for (size_t i = 0; i < n; i++) {
        msgpack_pack_array(&p, 3);
        msgpack_pack_str_with_body(&p, items[i].path, items[i].len);
        msgpack_pack_false(&p);
        msgpack_pack_bin_with_body(&p, "return", 6);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_burn_in_travels_whole), TEST(paths_may_be_said_in_several_ways), TEST(what_a_script_names_is_in_it),
        TEST(installed_scripts_come_along), TEST(luas_own_path_comes_along), TEST(what_cannot_be_found_there_is_refused),
        TEST(what_is_too_large_is_refused), TEST(a_hostile_bundle_is_refused), TEST(a_damaged_bundle_is_refused),
        TEST(what_was_changed_is_unpacked_anew), TEST(many_processes_unpack_at_once), TEST(others_may_not_write_there),
        TEST(the_last_twenty_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
