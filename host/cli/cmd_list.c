#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "files.h"
#include "list_say.h"
#include "muster.h"
#include "options.h"
#include "scripts.h"

enum { OPT_JSON = 256 };

static const struct cli_option list_table[] = {
    {0, "Options", NULL, NULL},
    {OPT_JSON, "json", NULL, "print one JSON document"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_list_help(FILE *to)
{
    fputs("Usage: muster list [OPTION...] [DIR|SCRIPT...]\n"
          "\n"
          "Scripts with their descriptions, steps, thresholds and parameters. A folder\n"
          "means its *.lua; none given: the folder scripts, else the installed scripts.\n"
          "Exit code 0: all could be loaded; 2: at least one could not.\n",
          to);
    cli_options_help(to, list_table);
    fputs("\n"
          "Examples:\n"
          "  muster list\n"
          "  muster list --json scripts/cpu.lua\n",
          to);
}

static int list_one(struct muster *m, const char *path, bool json, bool first)
{
    struct muster_script *script = NULL;
    struct muster_error err;
    int rc = muster_script_load(m, path, &script, &err);

    if (json) {
        fputs(first ? "\n" : ",\n", stdout);
        list_say_json(path, script, rc < 0 ? err.message : NULL);
    } else if (rc < 0) {
        cli_error("list", "%s", err.message);
    } else {
        fputs(first ? "" : "\n", stdout);
        list_say(path, script);
    }
    muster_script_free(script);
    return rc < 0 ? CLI_USAGE : CLI_OK;
}

static int list_all(const struct cli_scripts *scripts, bool json)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster *m = NULL;
    struct muster_error err;
    char library[PATH_MAX];
    int code = CLI_OK;

    options.level = MUSTER_WARNING;
    options.library_dir = cli_library_dir(library, sizeof library);
    if (muster_new(&m, &options, &err) < 0 ||
        muster_log_to_fd(m, STDERR_FILENO, MUSTER_LOG_CONSOLE, false, &err) < 0) {
        muster_free(m);
        return cli_error("list", "%s", err.message);
    }
    fputs(json ? "{\"scripts\":[" : "", stdout);
    for (size_t i = 0; i < scripts->n; i++)
        if (list_one(m, scripts->paths[i], json, i == 0) != CLI_OK)
            code = CLI_USAGE; /* the others are still worth listing */
    fputs(json ? "]}\n" : "", stdout);
    muster_free(m);
    return code;
}

int cmd_list(int argc, char **argv)
{
    struct cli_parser parser;
    struct cli_scripts scripts = {0};
    char folder[PATH_MAX];
    bool json = false;
    int id, code = CLI_OK;

    cli_parser_start(&parser, "list", list_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        if (id == 'h') {
            cmd_list_help(stdout);
            return CLI_OK;
        }
        json = true;
    }
    int first = cli_parser_operands(&parser);
    const char *last = argv[argc - 1], *usual = NULL;
    if (first >= argc) {
        usual = cli_scripts_folder(folder, sizeof folder);
        if (!usual)
            return cli_misuse("list", "there is no folder scripts here, and none is installed: name one");
        code = cli_scripts_add(&scripts, "list", usual);
    }
    for (int i = first; i < argc && code == CLI_OK; i++)
        code = cli_scripts_add(&scripts, "list", argv[i]);
    if (code == CLI_OK && scripts.n == 0)
        code = cli_error("list", "no scripts (*.lua) in %s%s", usual ? usual : last, first + 1 < argc ? ", nor in the others" : "");
    if (code == CLI_OK)
        code = list_all(&scripts, json);
    cli_scripts_free(&scripts);
    return code;
}
