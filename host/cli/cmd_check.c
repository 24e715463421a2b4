#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "files.h"
#include "json.h"
#include "muster.h"
#include "options.h"

enum { OPT_STRICT = 256, OPT_JSON };

static const struct cli_option check_table[] = {
    {0, "Options", NULL, NULL},
    {OPT_STRICT, "strict", NULL, "hints count as errors"},
    {OPT_JSON, "json", NULL, "print what is found as one JSON document"},
    {'q', "quiet", NULL, "say nothing of scripts that are in order, and no hints"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_check_help(FILE *to)
{
    fputs("Usage: muster check [OPTION...] SCRIPT...\n"
          "\n"
          "Load each script and look for mistakes, without a server: syntax, fields,\n"
          "parameters, steps and thresholds; names that nothing defines; thresholds on\n"
          "metrics that no step returns. Hints are of what works and is doubtful; with\n"
          "luacheck installed (Debian: lua-check) also of values that nobody uses, names\n"
          "that hide others, and code that is never reached.\n"
          "Exit code 0: all are in order; 2: at least one is not.\n",
          to);
    cli_options_help(to, check_table);
    fputs("\n"
          "Examples:\n"
          "  muster check scripts/cpu.lua\n"
          "  muster check --strict scripts/*.lua\n",
          to);
}

struct checking {
    struct muster *m;
    bool quiet, strict, json;
    unsigned errors, hints;
};

static bool counts(const struct checking *c, const struct muster_finding *f)
{
    return f->severity == MUSTER_FINDING_ERROR || c->strict;
}

static void say_ok(const char *path, const struct muster_script *script)
{
    size_t n = muster_script_step_count(script);

    cli_put_escaped(stdout, path);
    printf(": ok (%zu step%s", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? ": " : ", ", stdout);
        cli_put_escaped(stdout, muster_script_step_name(script, i));
        if (muster_script_step_destructive(script, i))
            fputs(" (destructive)", stdout);
        if (muster_script_step_pair(script, i))
            fputs(" (pair)", stdout);
    }
    fputs(")\n", stdout);
}

/* As compilers say it, so that editors find the place. */
static void say_finding(const struct checking *c, const struct muster_finding *f)
{
    fflush(stdout);
    cli_put_escaped(stderr, f->file);
    if (f->line)
        fprintf(stderr, ":%u", f->line);
    if (f->line && f->column)
        fprintf(stderr, ":%u", f->column);
    fputs(counts(c, f) ? ": error: " : ": hint: ", stderr);
    cli_put_escaped(stderr, f->message);
    putc('\n', stderr);
}

static void put_place(const char *name, unsigned n)
{
    printf(",\"%s\":", name);
    if (n)
        printf("%u", n);
    else
        fputs("null", stdout);
}

static void put_finding(const struct checking *c, const struct muster_finding *f)
{
    fputs(counts(c, f) ? "{\"severity\":\"error\",\"file\":" : "{\"severity\":\"hint\",\"file\":", stdout);
    cli_json_string(stdout, f->file);
    put_place("line", f->line);
    put_place("column", f->column);
    fputs(",\"rule\":", stdout);
    cli_json_string(stdout, f->rule);
    fputs(",\"message\":", stdout);
    cli_json_string(stdout, f->message);
    putchar('}');
}

static void put_script(const struct checking *c, const char *path, const struct muster_check *check, bool ok, bool first)
{
    const struct muster_script *script = muster_check_script(check);
    struct muster_finding f;

    fputs(first ? "\n{\"path\":" : ",\n{\"path\":", stdout);
    cli_json_string(stdout, path);
    printf(",\"ok\":%s,\"steps\":[", ok ? "true" : "false");
    for (size_t i = 0; script && i < muster_script_step_count(script); i++) {
        fputs(i ? "," : "", stdout);
        cli_json_string(stdout, muster_script_step_name(script, i));
    }
    fputs("],\"findings\":[", stdout);
    for (size_t i = 0; muster_check_finding(check, i, &f) == 0; i++) {
        fputs(i ? ",\n " : "\n ", stdout);
        put_finding(c, &f);
    }
    fputs("]}", stdout);
}

static int check_one(struct checking *c, const char *path, bool first)
{
    struct muster_check *check = NULL;
    struct muster_finding f;
    struct muster_error err;
    unsigned errors = 0;

    if (muster_check_new(c->m, path, &check, &err) < 0)
        return cli_error("check", "%s: %s", path, err.message);
    for (size_t i = 0; muster_check_finding(check, i, &f) == 0; i++) {
        bool error = counts(c, &f);
        errors += error;
        c->hints += !error;
        if (!c->json && (error || !c->quiet))
            say_finding(c, &f);
    }
    c->errors += errors;
    if (c->json)
        put_script(c, path, check, errors == 0, first);
    else if (errors == 0 && !c->quiet)
        say_ok(path, muster_check_script(check));
    muster_check_free(check);
    return errors ? CLI_USAGE : CLI_OK;
}

/* Returns whether the options are in order; then *code is set and nothing else is to be done when it is >= 0. */
static bool parse(struct checking *c, int argc, char **argv, int *first, int *code)
{
    struct cli_parser parser;
    int id;

    *code = -1;
    cli_parser_start(&parser, "check", check_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return false;
        if (id == 'h') {
            cmd_check_help(stdout);
            *code = CLI_OK;
            return true;
        }
        c->quiet = c->quiet || id == 'q';
        c->strict = c->strict || id == OPT_STRICT;
        c->json = c->json || id == OPT_JSON;
    }
    *first = cli_parser_operands(&parser);
    if (*first < argc)
        return true;
    cli_misuse("check", "no script given");
    return false;
}

int cmd_check(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct checking c = {.m = NULL};
    struct muster_error err;
    char library[PATH_MAX];
    int first = 0, code = CLI_OK, done;

    if (!parse(&c, argc, argv, &first, &done))
        return CLI_USAGE;
    if (done >= 0)
        return done;
    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(&c.m, &options, &err) < 0 || /* what a script logs while it is loaded belongs to its author */
        muster_log_to_fd(c.m, STDERR_FILENO, MUSTER_LOG_CONSOLE, false, &err) < 0) {
        code = cli_error("check", "%s", err.message);
        goto out;
    }
    if (c.json)
        fputs("{\"scripts\":[", stdout);
    for (int i = first; i < argc; i++)
        if (check_one(&c, argv[i], i == first) != CLI_OK)
            code = CLI_USAGE; /* the others are still worth checking */
    if (c.json)
        printf("],\n\"errors\":%u,\"hints\":%u}\n", c.errors, c.hints);
out:
    muster_free(c.m);
    return code;
}
