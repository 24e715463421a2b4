/* Scripts as bundles: what is in them, what cannot be sent, and that they load at the other end as they do here. Where they
 * arrive: test_bundle_unpack.c. */
#include "scripts.h"

#include "agents/bundle.h"
#include "agents/bundle_internal.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_burn_in_travels_whole), TEST(paths_may_be_said_in_several_ways), TEST(what_a_script_names_is_in_it),
        TEST(installed_scripts_come_along), TEST(luas_own_path_comes_along), TEST(what_cannot_be_found_there_is_refused),
        TEST(what_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
