#include "scripts.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "files.h"

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add(struct cli_scripts *s, const char *command, const char *folder, const char *name)
{
    char **more = realloc(s->paths, (s->n + 1) * sizeof *more);
    char *path = NULL;
    size_t n = folder ? strlen(folder) : 0;

    s->paths = more ? more : s->paths;
    if (!more || asprintf(&path, "%s%s%s", folder ? folder : "", n && folder[n - 1] != '/' ? "/" : "", name) < 0)
        return cli_error(command, "out of memory");
    s->paths[s->n++] = path;
    return CLI_OK;
}

static int is_script(const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t n = strlen(name);

    return name[0] != '.' && n > 4 && strcmp(name + n - 4, ".lua") == 0 &&
           !(n > 9 && strcmp(name + n - 9, "_spec.lua") == 0);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

int cli_scripts_add(struct cli_scripts *s, const char *command, const char *path)
{
    struct dirent **entries = NULL;
    int code = CLI_OK;

    if (!is_folder(path))
        return add(s, command, NULL, path);
    int n = scandir(path, &entries, is_script, by_name);
    if (n < 0)
        return cli_error(command, "cannot read the folder %s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (code == CLI_OK)
            code = add(s, command, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return code;
}

void cli_scripts_free(struct cli_scripts *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->paths[i]);
    free(s->paths);
    *s = (struct cli_scripts){0};
}

const char *cli_scripts_folder(char *buf, size_t size)
{
    char library[PATH_MAX];

    if (is_folder("scripts"))
        return "scripts";
    if (!cli_library_dir(library, sizeof library))
        return NULL;
    char *resolved = realpath(library, NULL); /* scripts/lib: without "../" it can be shown */
    char *slash = resolved ? strrchr(resolved, '/') : NULL;
    bool fits = slash && (size_t)(slash - resolved) < size;
    if (fits) {
        memcpy(buf, resolved, (size_t)(slash - resolved));
        buf[slash - resolved] = '\0';
    }
    free(resolved);
    return fits ? buf : NULL;
}
