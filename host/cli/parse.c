#include "parse.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Digits at *p, which is moved behind them. */
static int digits(const char **p, uint64_t *out)
{
    uint64_t n = 0;

    if (!isdigit((unsigned char)**p))
        return -1;
    for (; isdigit((unsigned char)**p); (*p)++) {
        unsigned digit = (unsigned)(**p - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return -1;
        n = n * 10 + digit;
    }
    *out = n;
    return 0;
}

int cli_parse_duration(const char *text, uint64_t *ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    static const uint64_t most = UINT64_C(366) * 86400000;
    uint64_t total = 0, larger = UINT64_MAX;
    const char *p = text;

    do {
        uint64_t n, unit = 0;
        bool first = p == text;

        if (digits(&p, &n) < 0)
            return -1;
        size_t len = strspn(p, "dhms");
        if (len == 0 && first && *p == '\0')
            unit = 1000; /* a bare number is seconds */
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strlen(units[i].name) == len && strncmp(p, units[i].name, len) == 0)
                unit = units[i].ms;
        if (unit == 0 || unit >= larger || n > most / unit)
            return -1;
        p += len;
        larger = unit;
        total += n * unit;
    } while (*p);
    if (total == 0 || total > most)
        return -1;
    *ms = total;
    return 0;
}

int cli_parse_size(const char *text, size_t *bytes)
{
    static const char letters[] = "kmg";
    const char *p = text;
    uint64_t n, unit = 1;

    if (digits(&p, &n) < 0)
        return -1;
    const char *letter = *p ? strchr(letters, tolower((unsigned char)*p)) : NULL;
    if (letter) {
        unit = UINT64_C(1024) << (10 * (letter - letters));
        p++;
        if (strcasecmp(p, "b") == 0 || strcasecmp(p, "ib") == 0)
            p += strlen(p);
    }
    if (*p || n == 0 || n > SIZE_MAX / unit)
        return -1;
    *bytes = (size_t)(n * unit);
    return 0;
}

int cli_parse_uint(const char *text, unsigned min, unsigned max, unsigned *out)
{
    const char *p = text;
    uint64_t n;

    if (digits(&p, &n) < 0 || *p || n < min || n > max)
        return -1;
    *out = (unsigned)n;
    return 0;
}
