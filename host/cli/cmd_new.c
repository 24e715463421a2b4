#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "files.h"
#include "options.h"

#define PLACE "__NAME__" /* in a template: the script's name */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

static const struct cli_option new_table[] = {
    {0, "Options", NULL, NULL},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_new_help(FILE *to)
{
    fputs("Usage: muster new NAME\n"
          "\n"
          "Write NAME.lua, a script to start from that runs as it is, and NAME_spec.lua,\n"
          "its tests. NAME may begin with a folder that is there. No file is overwritten.\n"
          "Exit code 0: both are written; 2: neither.\n",
          to);
    cli_options_help(to, new_table);
    fputs("\n"
          "Examples:\n"
          "  muster new nvme\n"
          "  muster new scripts/nvme && muster run scripts/nvme.lua --local\n",
          to);
}

static char *read_template(const char *name)
{
    char library[PATH_MAX], path[PATH_MAX + 64];
    char *text = NULL;
    size_t room = 0;

    if (!cli_library_dir(library, sizeof library)) {
        cli_error("new", "the templates are not there: they belong beside the standard scripts of an installation");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/../templates/%s", library, name);
    FILE *file = fopen(path, "re");
    if (!file || getdelim(&text, &room, '\0', file) < 0) {
        cli_error("new", "cannot read the template %s: %s", path, strerror(errno));
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    return text;
}

static bool put(FILE *file, const char *text, const char *name)
{
    const char *place;

    for (; (place = strstr(text, PLACE)) != NULL; text = place + strlen(PLACE)) {
        fwrite(text, 1, (size_t)(place - text), file);
        fputs(name, file);
    }
    fputs(text, file);
    bool ok = !ferror(file);
    return fclose(file) == 0 && ok;
}

/* name is path without its folder. */
static int write_one(const char *template, const char *path, const char *name)
{
    char *text = read_template(template);
    int code = CLI_USAGE;

    if (!text)
        return code;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        cli_error("new", errno == EEXIST ? "%s is there already, and is left as it is" : "cannot write %s: %s", path,
                  strerror(errno));
        if (fd >= 0)
            close(fd);
    } else if (!put(file, text, name)) {
        cli_error("new", "cannot write %s: %s", path, strerror(errno));
        unlink(path);
    } else {
        code = CLI_OK;
    }
    free(text);
    return code;
}

static int write_both(const char *stem, const char *name)
{
    char script[PATH_MAX], spec[PATH_MAX];

    if (snprintf(script, sizeof script, "%s.lua", stem) >= (int)sizeof script ||
        snprintf(spec, sizeof spec, "%s_spec.lua", stem) >= (int)sizeof spec)
        return cli_error("new", "%s: %s", stem, strerror(ENAMETOOLONG));
    if (write_one("script.lua", script, name) != CLI_OK)
        return CLI_USAGE;
    if (write_one("script_spec.lua", spec, name) != CLI_OK) {
        unlink(script); /* which this call made */
        return CLI_USAGE;
    }
    printf("%s: run it with `muster run %s --local`\n%s: its tests, `muster test %s`\n", script, script, spec, spec);
    return CLI_OK;
}

int cmd_new(int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    cli_parser_start(&parser, "new", new_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        cmd_new_help(stdout);
        return CLI_OK;
    }
    int first = cli_parser_operands(&parser);
    if (argc - first != 1)
        return cli_misuse("new", first < argc ? "one name at a time" : "no name given");
    char *stem = argv[first];
    size_t n = strlen(stem);
    if (n > 4 && strcmp(stem + n - 4, ".lua") == 0)
        stem[n - 4] = '\0';
    const char *slash = strrchr(stem, '/'), *name = slash ? slash + 1 : stem;
    if (!*name || name[strspn(name, NAME_CHARACTERS)] || *name == '-')
        return cli_misuse("new", "'%s' is no name for a script: letters, digits, '_' and '-'", name);
    return write_both(stem, name);
}
