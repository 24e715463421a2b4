#include "command.h"

#include <stdarg.h>

void cli_put_escaped(FILE *to, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            fprintf(to, "\\x%02x", *p);
        else
            putc(*p, to);
    }
}

static void say(const char *command, const char *fmt, va_list ap, int see_help) __attribute__((format(printf, 2, 0)));
static void say(const char *command, const char *fmt, va_list ap, int see_help)
{
    char text[2048];

    vsnprintf(text, sizeof text, fmt, ap);
    fflush(stdout); /* what was said before stands before it when both go to one place */
    fprintf(stderr, "muster%s%s: ", command ? " " : "", command ? command : "");
    cli_put_escaped(stderr, text);
    if (see_help)
        fprintf(stderr, "; see 'muster %s%s--help'", command ? command : "", command ? " " : "");
    putc('\n', stderr);
}

int cli_error(const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(command, fmt, ap, 0);
    va_end(ap);
    return CLI_USAGE;
}

int cli_misuse(const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(command, fmt, ap, 1);
    va_end(ap);
    return CLI_USAGE;
}
