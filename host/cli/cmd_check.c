#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "files.h"
#include "muster.h"
#include "options.h"

static const struct cli_option check_table[] = {
    {0, "Options", NULL, NULL},
    {'q', "quiet", NULL, "say nothing of scripts that are in order"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_check_help(FILE *to)
{
    fputs("Usage: muster check [OPTION...] SCRIPT...\n"
          "\n"
          "Load each script and check its description: syntax, field names, parameters,\n"
          "steps and thresholds. No server is touched.\n"
          "Exit code 0: all are in order; 2: at least one is not.\n",
          to);
    cli_options_help(to, check_table);
    fputs("\n"
          "Examples:\n"
          "  muster check scripts/cpu.lua\n"
          "  muster check scripts/*.lua\n",
          to);
}

static void report(const char *path, const struct muster_script *script)
{
    size_t n = muster_script_step_count(script);

    cli_put_escaped(stdout, path);
    printf(": ok (%zu step%s", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? ": " : ", ", stdout);
        cli_put_escaped(stdout, muster_script_step_name(script, i));
    }
    fputs(")\n", stdout);
}

static int check_one(struct muster *m, const char *path, int quiet)
{
    struct muster_script *script = NULL;
    struct muster_error err;

    if (muster_script_load(m, path, &script, &err) < 0)
        return cli_error("check", "%s", err.message);
    if (!quiet)
        report(path, script);
    muster_script_free(script);
    return CLI_OK;
}

int cmd_check(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster *m = NULL;
    struct muster_error err;
    struct cli_parser parser;
    char library[PATH_MAX];
    int id, quiet = 0, code = CLI_OK;

    cli_parser_start(&parser, "check", check_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        if (id == 'h') {
            cmd_check_help(stdout);
            return CLI_OK;
        }
        quiet = 1;
    }
    int first = cli_parser_operands(&parser);
    if (first >= argc)
        return cli_misuse("check", "no script given");

    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(&m, &options, &err) < 0 || /* what a script logs while it is loaded belongs to its author */
        muster_log_to_fd(m, STDERR_FILENO, MUSTER_LOG_CONSOLE, false, &err) < 0) {
        code = cli_error("check", "%s", err.message);
        goto out;
    }
    for (int i = first; i < argc; i++)
        if (check_one(m, argv[i], quiet) != CLI_OK)
            code = CLI_USAGE; /* the others are still worth checking */
out:
    muster_free(m);
    return code;
}
