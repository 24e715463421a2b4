/* Terms that start with "@": a file with patterns, one a line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/pattern.h"

/* Cut a comment off: '#' at the start or behind a blank. */
static void without_comment(char *line)
{
    for (char *p = line; (p = strchr(p, '#')); p++)
        if (p == line || p[-1] == ' ' || p[-1] == '\t') {
            *p = '\0';
            return;
        }
}

static int read_lines(struct mu_selection *sel, struct mu_choice *choice, FILE *file, const char *name,
                      struct mu_err *err)
{
    char *line = NULL;
    size_t size = 0, number = 0;
    ssize_t len;
    int rc = 0;

    while (rc == 0 && (errno = 0, len = getline(&line, &size, file)) >= 0) {
        char *text = line;
        number++;
        if (number == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0)
            text += 3;
        if (strlen(line) < (size_t)len) {
            rc = mu_err_set(err, MU_EINVAL, "%s:%zu: a NUL byte: this is not a text file", name, number);
            break;
        }
        without_comment(text);
        if (!text[strspn(text, " \t\r\n")])
            continue;
        rc = mu_choice_read(sel, choice, text, err);
        if (rc < 0)
            mu_err_prefix(err, "%s:%zu", name, number);
    }
    if (rc == 0 && errno)
        rc = mu_err_sys(err, errno == ENOMEM ? MU_ENOMEM : MU_EIO, errno, "cannot read the server patterns in %s", name);
    free(line);
    return rc;
}

int mu_pattern_file(struct mu_selection *sel, const char *path, struct mu_err *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    struct mu_choice choice = {0};
    struct mu_quoted q;
    const char *name = standard_input ? "standard input" : mu_quote(&q, path, strlen(path));
    FILE *file = NULL;
    int rc;

    if (!*path)
        return mu_pattern_error(err, MU_EINVAL, "@", "no file is named");
    if (sel->in_file)
        return mu_err_set(err, MU_EINVAL, "\"@%s\": a file of server patterns cannot name another file", name);
    file = standard_input ? stdin : fopen(path, "re");
    if (!file)
        return mu_err_sys(err, errno == ENOENT ? MU_ENOENT : MU_EIO, errno, "cannot read the server patterns in %s",
                          name);
    rc = mu_choice_new(&choice, sel->inv->n);
    if (rc < 0) {
        mu_err_set(err, rc, "out of memory");
        goto out;
    }
    sel->in_file = true;
    rc = read_lines(sel, &choice, file, name, err);
    sel->in_file = false;
    if (rc < 0)
        goto out;
    sel->named = true; /* a file that names nobody is as good as a group without servers */
    mu_picks_clear(&sel->picks);
    if (choice.n_terms == 0)
        goto out;
    for (size_t i = 0; i < sel->inv->n; i++)
        if (mu_choice_has(&choice, i))
            mu_picks_take(sel, i);
out:
    mu_choice_free(&choice);
    if (!standard_input)
        fclose(file);
    return rc;
}
