#include "options.h"

#include <string.h>

enum { INDENT = 30, WIDTH = 79 };

/* Words of text from column `at` on, wrapped at WIDTH and indented to INDENT. */
static void wrapped(FILE *to, const char *text, int at)
{
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (at > INDENT && at + 1 + len > WIDTH) {
            fprintf(to, "\n%*s", INDENT, "");
            at = INDENT;
        } else if (at > INDENT) {
            putc(' ', to);
            at++;
        }
        fwrite(text, 1, (size_t)len, to);
        at += len;
        text += len;
        text += strspn(text, " ");
    }
    putc('\n', to);
}

void cli_options_help(FILE *to, const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name; o++) {
        char left[64];

        if (o->id == 0) {
            fprintf(to, "\n%s:\n", o->name);
            continue;
        }
        if (!o->help)
            continue;
        if (o->id < 256)
            snprintf(left, sizeof left, "  -%c, --%s%s%s", o->id, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        else
            snprintf(left, sizeof left, "      --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        int at = fprintf(to, "%s", left);
        if (at > INDENT - 2) {
            putc('\n', to);
            at = 0;
        }
        fprintf(to, "%*s", INDENT - at, "");
        wrapped(to, o->help, INDENT);
    }
}
