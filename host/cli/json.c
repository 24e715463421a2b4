#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 character at p, 0 when it is none. */
static int character(const unsigned char *p)
{
    int n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;

    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
        (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

void cli_json_string(FILE *to, const char *text)
{
    if (!text) {
        fputs("null", to);
        return;
    }
    putc('"', to);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int n = character(p);
        if (n == 0)
            fputs("\xef\xbf\xbd", to);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(to, "\\u%04x", *p);
        else if (*p == '"' || *p == '\\')
            fprintf(to, "\\%c", *p);
        else
            fwrite(p, 1, (size_t)n, to);
        p += n ? n : 1;
    }
    putc('"', to);
}

void cli_json_number(FILE *to, double v)
{
    char text[40];

    if (!isfinite(v)) {
        fputs("null", to);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    for (char *p = text; *p; p++) /* whatever the locale writes */
        if (!strchr("+-0123456789eE", *p))
            *p = '.';
    fputs(text, to);
}
