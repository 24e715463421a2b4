/* Every Lua allocation of a run fails once, for each n: nothing crashes, nothing leaks, every server gets its end, and the
 * other server on the same worker does not notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/bindings.h"
#include "run/run.h"

/* No server:claimed() of an open claim: cjson.decode() loses its own buffer when Lua is out of memory in the middle. */
static const char script_text[] =
    "local muster = require 'muster'\n"
    "local helper = require 'helper'\n"
    "local tries = 0\n"
    "return muster.script {\n"
    "  params = { n = 2, name = 'x' },\n"
    "  before_all = function(fleet) local t = {} for i, s in ipairs(fleet) do t[i] = { s.id, s.vars.rack } end return t end,\n"
    "  after_all = function(results) print(results.run, results.servers[1].status, muster.run.shared[1][1]) end,\n"
    "  setup = function(server) muster.log.bind { rack = 'r1' } end,\n"
    "  steps = {\n"
    "    muster.use('used', { prefix = 'u.', params = { m = 3 }, thresholds = { score = '>= 3' } }),\n"
    "    { name = 'lua', when = function() return true end, run = function(server, params)\n"
    "        local t = {}\n"
    "        for i = 1, 20 do t[i] = ('%d:%s'):format(i, server.id) end\n"
    "        local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)\n"
    "        local ok, e = pcall(error, muster.errors.CheckFailed('no', { n = 1 }))\n"
    "        local x <close> = setmetatable({}, { __close = function() t = nil end })\n"
    "        assert(#muster.run.shared == 2 and muster.run.shared[1][1] == 'one')\n"
    "        return { a = co(1) + co(2), b = helper.twice(params.n), c = #t, d = { 1, 2, 3 } }\n"
    "      end, thresholds = { a = '>= 1', b = { min = 1, unit = 'x' },\n"
    "        d = { { where = { rack = 'r9' }, min = 9 }, { reference = 2, tolerance = 1, peers = { drop = 1 } } } } },\n"
    "    { name = 'command', run = function(server)\n"
    "        local lines = 0\n"
    "        local r = server:exec('echo %q; echo b', 'a b', { on_line = function() lines = lines + 1 end })\n"
    "        local a, b = muster.gather { server:spawn(function(x) muster.sleep(0) return x end, 1),\n"
    "          server:spawn(function() return server:spawn(function() return 2 end):wait() end) }\n"
    "        return lines + r.exit_status + a + b\n"
    "      end },\n"
    "    { name = 'files', run = function(server)\n"
    "        pcall(server.write_file, server, '/dev/null', 'x')\n"
    "        muster.retry({ times = 2, backoff = 0, on = function() return true end }, function(try) assert(try > 1) end)\n"
    "        local text = muster.json.encode { 1, { a = server.vars }, muster.json.array() }\n"
    "        return #text + #server:read_file('/etc/passwd') + #server.groups\n"
    "      end },\n"
    "    { name = 'claim', run = function(server)\n"
    "        local permit <close> = muster.semaphore('one', 1):acquire()\n"
    "        server:claim { id = server.id, list = { 1, 'x', { b = true } } }\n"
    "        server:update_claim { n = 1 }\n"
    "        server:release()\n"
    "        return 1\n"
    "      end },\n"
    "    { name = 'again', confirm = 1, thresholds = { score = '>= 2' }, run = function()\n"
    "        tries = tries + 1\n"
    "        return tries\n"
    "      end },\n"
    "  },\n"
    "  mark = function(server, verdict) print(server.id, verdict.reason, #verdict.failures) return verdict.owner end,\n"
    "  teardown = function(server) pcall(server.release, server) muster.sleep(0) print('bye', server.vars.rack) end,\n"
    "}\n";

static char dir[] = "/dev/shm/muster-memory.XXXXXX"; /* claims wait for the disk, thousands of times: memory, if there is */
static char script_path[64], helper_path[64], used_path[64];

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK))
        strcpy(dir, "/tmp/muster-memory.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(script_path, sizeof script_path, "%s/script.lua", dir);
    snprintf(helper_path, sizeof helper_path, "%s/helper.lua", dir);
    snprintf(used_path, sizeof used_path, "%s/used.lua", dir);
    put(script_path, script_text);
    put(used_path, "return { params = { m = 1 }, steps = {\n"
                   "  { name = 'one', run = function(server, params) return params.m end, thresholds = { score = '>= 1' } },\n"
                   "  { name = 'two', needs = { 'one' }, run = function() end } } }\n");
    put(helper_path, "local M = {}\nfunction M.twice(x) return x * 2 end\nreturn M\n");
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", dir); /* a release may fail, and its journal then stays */
    return system(command);
}

struct outcome {
    int rc;
    unsigned long requests;
    enum mu_status status[2];
};

static void run_once(struct mu_script *script, struct mu_inventory *inv, struct mu_logger *lg, bool dry_run,
                     unsigned long fail_at, struct outcome *out)
{
    struct mu_run_config config = {.local = true, .dry_run = dry_run, .workers = 1, .forks = 2, .state_dir = dir, .alloc_fail_at = fail_at,
                                   .alloc_requests = &out->requests};
    struct mu_server *servers[] = {mu_inventory_at(inv, 0), mu_inventory_at(inv, 1)};
    struct mu_run *run = NULL;
    struct mu_err err = {0};
    assert_int_equal(mu_run_new(&run, &config, script, servers, 2, &mu_bindings, lg, &err), 0);
    out->rc = mu_run_go(run, &err);
    const struct mu_run_result *r = mu_run_results(run);
    for (int i = 0; i < 2; i++) {
        out->status[i] = r->tasks[i].status;
        if (out->rc == 0)
            assert_true(r->tasks[i].finished);
    }
    mu_run_free(run);
}

static void drop(void *arg, const struct mu_record *record)
{
    (void)arg;
    (void)record;
}

/* Sanitizers make a run ten times as long, and look at what a failure does, not at which it is: each few-th will do. */
#if defined(__SANITIZE_THREAD__)
#define STRIDE 13u
#elif defined(__SANITIZE_ADDRESS__)
#define STRIDE 7u
#else
#define STRIDE 1u
#endif

/* From the nth allocation on. Returns the last that stops the start. */
static unsigned long fail_each(struct mu_script *script, struct mu_inventory *inv, struct mu_logger *lg, bool dry_run,
                               unsigned long first)
{
    enum mu_status good = dry_run ? MU_ST_SKIPPED : MU_ST_PASSED;
    struct outcome out = {0};
    run_once(script, inv, lg, dry_run, 0, &out);
    assert_int_equal(out.rc, 0);
    assert_int_equal(out.status[0], good);
    assert_int_equal(out.status[1], good);
    unsigned long requests = out.requests, hurt = 0, refused = 0, last = 0;
    assert_true(requests > 500);
    for (unsigned long n = first; n <= requests; n += STRIDE) {
        struct outcome o = {0};
        run_once(script, inv, lg, dry_run, n, &o);
        if (o.rc) { /* the worker could not even be made */
            refused++;
            last = n;
            continue;
        }
        int errors = 0;
        for (int i = 0; i < 2; i++) {
            if (o.status[i] != good && o.status[i] != MU_ST_ERROR)
                fail_msg("allocation %lu: server %d is %s", n, i, mu_status_name(o.status[i]));
            errors += o.status[i] == MU_ST_ERROR;
        }
        if (errors > 1)
            fail_msg("allocation %lu hurt both servers", n);
        hurt += (unsigned long)errors;
    }
    print_message("%lu allocations: %lu stopped the start, %lu hurt one server\n", requests, refused, hurt);
    assert_true(hurt > 100 / STRIDE);
    assert_true(first > 1 || refused > 100 / STRIDE);
    return last;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    struct mu_err err = {0};
    struct mu_logger *lg = NULL;
    struct mu_inventory *inv = NULL;
    struct mu_script *script = NULL;
    struct mu_server *srv = NULL;
    assert_int_equal(mu_logger_new(&lg, MU_TRACE), 0);
    assert_int_equal(mu_logger_add_sink(lg, drop, NULL, NULL), 0);
    assert_int_equal(mu_inventory_new(&inv), 0);
    assert_int_equal(mu_inventory_add(inv, "one", &srv, &err), 0);
    assert_int_equal(mu_server_set(srv, "rack", "r1", &err), 0);
    assert_int_equal(mu_inventory_add(inv, "two", &srv, &err), 0);
    if (mu_script_load(&script, script_path, NULL, &mu_bindings, lg, &err))
        fail_msg("%s", err.msg);

    unsigned long started = fail_each(script, inv, lg, false, 1);
    /* The mark hook too: of a dry run, where it is not tried again. A worker's start is the same. */
    fail_each(script, inv, lg, true, started + 1);
    mu_script_free(script);
    mu_inventory_free(inv);
    mu_logger_free(lg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
