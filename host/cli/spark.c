#include "spark.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LEVELS = 8 };

static bool is_utf8(void)
{
    locale_t own = newlocale(LC_CTYPE_MASK, "", (locale_t)0);

    if (!own)
        return false;
    bool utf8 = strcmp(nl_langinfo_l(CODESET, own), "UTF-8") == 0;
    freelocale(own);
    return utf8;
}

void cli_spark(char *text, const double *values, size_t n)
{
    static const char *const ascii[LEVELS] = {"_", ".", ",", "-", "~", "=", "*", "#"};
    double low = INFINITY, high = -INFINITY;
    bool utf8 = is_utf8();
    char *at = text;

    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i])) {
            low = values[i] < low ? values[i] : low;
            high = values[i] > high ? values[i] : high;
        }
    *at = '\0';
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            *at++ = ' ';
            *at = '\0';
            continue;
        }
        /* Halved: the difference of two large numbers may be too large. */
        int level = high > low ? (int)((values[i] / 2 - low / 2) / (high / 2 - low / 2) * (LEVELS - 1) + 0.5) : LEVELS / 2 - 1;
        if (utf8)
            at += sprintf(at, "\xe2\x96%c", (char)(0x81 + level));
        else
            at += sprintf(at, "%s", ascii[level]);
    }
}
