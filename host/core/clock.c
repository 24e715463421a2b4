#include "core/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/err.h"

uint64_t mu_clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t mu_clock_ms(void)
{
    return mu_clock_ns() / 1000000u;
}

int64_t mu_clock_wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Whole seconds and the milliseconds after them, also before the epoch. */
static time_t split(int64_t wall_ms, unsigned *ms)
{
    int64_t s = wall_ms / 1000, rest = wall_ms % 1000;

    if (rest < 0) {
        rest += 1000;
        s--;
    }
    *ms = (unsigned)rest;
    return (time_t)s;
}

char *mu_clock_iso(int64_t wall_ms, char *out)
{
    struct tm tm = {0};
    unsigned ms;
    time_t s = split(wall_ms, &ms);
    size_t n;

    gmtime_r(&s, &tm);
    n = strftime(out, MU_CLOCK_ISO_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, MU_CLOCK_ISO_SIZE - n, ".%03uZ", ms % 1000);
    return out;
}

char *mu_clock_local(int64_t wall_ms, char *out)
{
    struct tm tm = {0};
    unsigned ms;
    time_t s = split(wall_ms, &ms);

    localtime_r(&s, &tm);
    strftime(out, MU_CLOCK_ISO_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

/* Digits with an optional fraction: the whole part, and the fraction as billionths rounded up. By hand because strtod()
 * takes signs, exponents, hex and the locale's decimal point. Returns the end, NULL when there is no number. */
static const char *number(const char *p, uint64_t *whole, uint64_t *billionths)
{
    const char *start = p;
    uint64_t scale = 100000000u;
    bool more = false, digits = false;

    *whole = *billionths = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t d = (uint64_t)(*p - '0');
        if (*whole > (INT64_MAX - d) / 10)
            return NULL;
        *whole = *whole * 10 + d;
    }
    digits = p > start;
    if (*p == '.') {
        start = ++p;
        for (; *p >= '0' && *p <= '9'; p++) {
            *billionths += (uint64_t)(*p - '0') * scale;
            more = more || (scale == 0 && *p != '0');
            scale /= 10;
        }
        if (p == start)
            return NULL;
        digits = true;
        *billionths += more;
    }
    return digits ? p : NULL;
}

int mu_clock_parse(const char *text, uint64_t *ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    const size_t n_units = sizeof units / sizeof units[0];
    const char *p = text;
    uint64_t total = 0, whole, billionths, part;
    size_t next = 0, i, len;

    if (!p || !*p)
        return MU_EINVAL;
    while (*p) {
        bool first = p == text;
        p = number(p, &whole, &billionths);
        if (!p)
            return MU_EINVAL;
        len = strspn(p, "dhms");
        if (len == 0 && first && !*p) {
            i = 3; /* a bare number, alone */
        } else {
            /* each unit once, the greater first: "30m1h" and "1h1h" are slips */
            for (i = next; i < n_units; i++)
                if (strlen(units[i].name) == len && memcmp(p, units[i].name, len) == 0)
                    break;
            if (i == n_units)
                return MU_EINVAL;
        }
        p += len;
        next = i + 1;
        if (whole > INT64_MAX / units[i].ms)
            return MU_EINVAL;
        /* rounded up: a small duration must not become 0, which often means "none" */
        part = whole * units[i].ms + (billionths * units[i].ms + 999999999u) / 1000000000u;
        if (part > INT64_MAX - total)
            return MU_EINVAL;
        total += part;
    }
    *ms = total;
    return 0;
}
