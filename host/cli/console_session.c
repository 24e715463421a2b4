#include "console_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"

#define BLANK " \t"
#define STEP_PARAMS 32

const char *const session_words[] = {
    ".help", ".load", ".quit", ".step", "server:exec", "server:connect", "server:claim", "server:claimed",
    "server:update_claim", "server:release", "server:spawn", "server:upload", "server:download", "server:write_file",
    "server:read_file", "server:keep", "server:facts", "server:disconnect", "server:reconnect", "server.id",
    "server.address",
    "server.port", "server.user", "server.vars", "server.groups", "muster.script", "muster.use", "muster.sleep",
    "muster.exec", "muster.semaphore", "muster.gather", "muster.retry", "muster.secret",
    "muster.errors.PerformanceBelowExpected", "muster.errors.CheckFailed", "muster.errors.ServerOperationError",
    "muster.errors.ConnectError", "muster.errors.HostKeyError", "muster.errors.AuthError",
    "muster.errors.CommandError", "muster.errors.TimeoutError", "muster.errors.ScriptError",
    "muster.errors.HttpError", "muster.errors.ProvisionerError", "muster.errors.ServerStateError", "muster.errors.is",
    "muster.http.request", "muster.http.escape", "muster.http.client", "muster.json.decode", "muster.json.encode",
    "muster.json.array", "muster.log.trace", "muster.log.debug", "muster.log.info", "muster.log.warning",
    "muster.log.warn", "muster.log.error", "muster.log.bind", "muster.parse.kv", "muster.parse.table",
    "muster.parse.sysbench", "muster.parse.stress_ng", "muster.parse.mbw", "muster.parse.openssl_speed",
    "muster.parse.fio", "muster.parse.iperf3", "muster.parse.clpeak", "muster.run", "muster.version", "load_script",
    "script.steps", "function", "return", "local", "require", "string.format", "string.match", "string.gmatch",
    "string.gsub", "table.concat", "table.sort", "tonumber", "tostring", "ipairs", "pairs", "print", NULL};

/* ---- saying ---- */

/* Text of servers: lines stay lines, other control characters are shown and not obeyed. */
static void put_lines(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0; /* control characters as UTF-8 */
        if (*p == '\n' || *p == '\t')
            putchar(*p);
        else if (*p < 0x20 || *p == 0x7f)
            printf("\\x%02x", *p);
        else if (c1)
            printf("\\x%02x", *++p);
        else
            putchar(*p);
    }
    putchar('\n');
    fflush(stdout);
}

void session_log(void *arg, enum muster_level level, int64_t wall_ms, const char *message, const struct muster_field *fields,
                 size_t n_fields)
{
    static const char *const said[] = {"trace: ", "debug: ", "", "warning: ", "error: ", ""};
    struct {
        char *text;
        size_t size;
    } all = {NULL, 0};
    FILE *f = open_memstream(&all.text, &all.size);

    (void)arg;
    (void)wall_ms;
    if (!f)
        return;
    fprintf(f, "%s%s", said[level], message);
    for (size_t i = 0; i < n_fields; i++)
        if (strcmp(fields[i].key, "server_id") != 0 && strcmp(fields[i].key, "step") != 0)
            fprintf(f, " %s=%s", fields[i].key, fields[i].value);
    if (fclose(f) == 0)
        put_lines(all.text);
    free(all.text);
}

static void help(void)
{
    fputs("Lua: a line is run, and what it returns is shown; globals stay, locals are a chunk's own.\n"
          "  server:exec \"uptime\"              what it prints, and how it ended\n"
          "  out = server:exec(\"free -m\")      keep it; then: out.stdout:match \"Mem:%s+(%d+)\"\n"
          "  print, muster.log.info            are shown as they come\n"
          "Commands:\n"
          "  .load SCRIPT           run its top level; its description is the global `script`\n"
          "  .step NAME [P=VALUE…]  run this step of it, with setup and teardown, over a connection\n"
          "                         of its own: metrics, and the verdict\n"
          "  .help  .quit\n"
          "Tab completes, Ctrl-C cancels what runs or gives a line up, Ctrl-D leaves.\n",
          stdout);
}

/* ---- .step ---- */

static void say_metric(const struct muster_metric_result *metric)
{
    fputs("  ", stdout);
    cli_put_escaped(stdout, metric->name);
    putchar(' ');
    cli_json_number(stdout, metric->value);
    fputs(*metric->unit ? " " : "", stdout);
    cli_put_escaped(stdout, metric->unit);
    puts(!metric->judged ? "" : metric->passed ? "  passed" : "  failed");
}

static void say_step(const struct muster_run *run, const char *name)
{
    struct muster_server_result server;
    struct muster_step_result step;
    struct muster_metric_result metric;

    for (size_t i = 0; muster_run_step(run, 0, i, &step) == 0; i++) {
        if (strcmp(step.name, name) != 0)
            continue;
        for (size_t j = 0; muster_run_metric(run, 0, i, j, &metric) == 0; j++)
            say_metric(&metric);
        printf("%s: %s (%.1f s)%s", name, step.status, (double)step.duration_ms / 1000.0, *step.reason ? ": " : "");
        put_lines(step.reason);
    }
    if (muster_run_server(run, 0, &server) == 0 && strcmp(server.status, "passed") != 0 && server.n_steps == 0)
        put_lines(server.reason);
}

static int set_params(struct muster_script *script, char **words, struct muster_error *err)
{
    for (; *words; words++) {
        char *equals = strchr(*words, '=');
        if (!equals) {
            snprintf(err->message, sizeof err->message, "'%.200s' is not NAME=VALUE", *words);
            return -1;
        }
        *equals = '\0';
        if (muster_script_set_param(script, *words, equals + 1, err) < 0)
            return -1;
    }
    return 0;
}

/* It is of two servers, and the console has one. */
static bool is_pair_step(const struct muster_script *script, const char *name)
{
    for (size_t i = 0; i < muster_script_step_count(script); i++)
        if (strcmp(muster_script_step_name(script, i), name) == 0)
            return muster_script_step_pair(script, i);
    return false;
}

static void run_step(struct session *s, const char *name, char **params)
{
    const char *steps[] = {name, NULL};
    struct muster_run_options options = *s->run;
    struct muster_script *script = NULL;
    struct muster_run *run = NULL;
    struct muster_error err;

    options.steps = steps;
    int rc = muster_script_load(s->m, s->script, &script, &err); /* each time anew: it is being worked on */
    if (rc == 0)
        rc = set_params(script, params, &err);
    if (rc == 0 && is_pair_step(script, name)) {
        printf("%s is a pair step, of two servers, and here is one: muster run -s %s %s SERVER PEER runs it\n", name, name,
               s->script);
        goto out;
    }
    if (rc == 0)
        rc = muster_run_new(s->m, script, &options, &run, &err);
    if (rc == 0) {
        s->running(run);
        rc = muster_run_start(run, &err);
        s->running(NULL);
    }
    if (rc < 0)
        put_lines(err.message);
    else
        say_step(run, name);
out:
    muster_run_free(run);
    muster_script_free(script);
}

static void step(struct session *s, char *rest)
{
    char *words[STEP_PARAMS + 2] = {NULL}, *save = NULL;
    size_t n = 0;

    for (char *w = strtok_r(rest, BLANK, &save); w && n <= STEP_PARAMS; w = strtok_r(NULL, BLANK, &save))
        words[n++] = w;
    if (!s->script)
        puts("no script: .load SCRIPT first");
    else if (n == 0)
        puts(".step NAME [PARAMETER=VALUE…]");
    else
        run_step(s, words[0], words + 1);
}

/* ---- commands and lines ---- */

/* Lua that loads the script whose path is rest; NULL when it is not to be. */
static char *load(struct session *s, const char *rest)
{
    char *lua = NULL;

    if (!*rest) {
        puts(".load SCRIPT");
        return NULL;
    }
    free(s->script);
    s->script = strdup(rest);
    if (!s->script || asprintf(&lua, "load_script(\"") < 0)
        return NULL;
    for (const char *p = rest; *p; p++) { /* as a Lua string, whatever is in the path */
        char *longer = NULL;
        if (asprintf(&longer, "%s\\%03u", lua, (unsigned)(unsigned char)*p) < 0)
            longer = NULL;
        free(lua);
        lua = longer;
        if (!lua)
            return NULL;
    }
    char *whole = NULL;
    if (asprintf(&whole, "%s\")", lua) < 0)
        whole = NULL;
    free(lua);
    return whole;
}

/* *lua: what is to be run for it, or NULL. False: the console is to end. */
static bool command(struct session *s, char *line, char **lua)
{
    size_t n = strcspn(line, BLANK);
    char *rest = line + n + strspn(line + n, BLANK);

    *lua = NULL;
    for (size_t end = strlen(rest); end > 0 && strchr(BLANK, rest[end - 1]); end--)
        rest[end - 1] = '\0';
    if (n == 5 && strncmp(line, ".quit", n) == 0)
        return false;
    if (n == 5 && strncmp(line, ".help", n) == 0)
        help();
    else if (n == 5 && strncmp(line, ".load", n) == 0)
        *lua = load(s, rest);
    else if (n == 5 && strncmp(line, ".step", n) == 0)
        step(s, rest);
    else
        printf("there is no command %.*s; .help lists them\n", (int)n, line);
    fflush(stdout);
    return true;
}

/* The chunk with one line more; NULL when out of memory. */
static char *grow(struct session *s, const char *line)
{
    char *longer = NULL;

    if (asprintf(&longer, "%s%s%s", s->chunk ? s->chunk : "", s->chunk ? "\n" : "", line) < 0)
        return NULL;
    free(s->chunk);
    s->chunk = longer;
    return strdup(longer);
}

static void forget_chunk(struct session *s)
{
    free(s->chunk);
    s->chunk = NULL;
}

char *session_next(void *arg, const char *answer, bool more)
{
    struct session *s = arg;
    bool terminal = editor_on_terminal(s->editor);

    if (answer)
        put_lines(answer);
    if (!more)
        forget_chunk(s);
    if (!s->begun) {
        s->begun = true;
        return strdup("server:connect()");
    }
    while (!*s->over) {
        const char *typed;
        char *lua = NULL;
        enum editor_end end = editor_read(s->editor, s->chunk ? "   ... " : "muster> ", &typed);
        if (end == EDITOR_CANCELLED) {
            forget_chunk(s);
            continue;
        }
        if (end == EDITOR_END) {
            s->unfinished = s->chunk != NULL;
            if (terminal)
                putchar('\n');
            return NULL;
        }
        editor_remember(s->editor, typed);
        const char *text = typed + strspn(typed, BLANK);
        if (!s->chunk && !*text)
            continue;
        if (s->chunk || *text != '.')
            return grow(s, typed);
        char *line = strdup(text);
        bool go_on = line && command(s, line, &lua);
        free(line);
        if (!go_on || lua)
            return lua;
    }
    return NULL;
}

void session_close(struct session *s)
{
    editor_close(s->editor);
    free(s->chunk);
    free(s->script);
}
