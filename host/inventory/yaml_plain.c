/* What a plain scalar of YAML 1.1 is: the rules of its types, int, float, bool and null, as the common readers apply them. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/tree.h"

#define DIGITS "0123456789"

/* How many bytes at s are of these characters. */
static size_t span(const char *s, const char *of)
{
    return strspn(s, of);
}

/* [0-9][0-9_]*(:[0-5]?[0-9])+ : the length of it, 0 when it is none. */
static size_t sexagesimal(const char *s, bool may_start_with_zero)
{
    size_t i = span(s, DIGITS "_"), parts = 0;

    if (i == 0 || *s == '_' || (*s == '0' && !may_start_with_zero))
        return 0;
    while (s[i] == ':') {
        size_t d = span(s + i + 1, DIGITS);
        if (d < 1 || d > 2 || (d == 2 && s[i + 1] > '5'))
            return 0;
        i += 1 + d;
        parts++;
    }
    return parts ? i : 0;
}

static bool is_int(const char *s)
{
    s += *s == '-' || *s == '+';
    if (s[0] == '0' && s[1] == 'b')
        return s[2] && !s[2 + span(s + 2, "01_")];
    if (s[0] == '0' && s[1] == 'x')
        return s[2] && !s[2 + span(s + 2, DIGITS "abcdefABCDEF_")];
    if (s[0] == '0')
        return !s[1 + span(s + 1, "01234567_")];
    if (*s < '1' || *s > '9')
        return false;
    if (!s[span(s, DIGITS "_")])
        return true;
    size_t n = sexagesimal(s, false);
    return n && !s[n];
}

static bool is_float(const char *s)
{
    bool sign = *s == '-' || *s == '+', digits;
    size_t n;

    s += sign;
    n = sexagesimal(s, true);
    if (n && s[n] == '.')
        return !s[n + 1 + span(s + n + 1, DIGITS "_")];
    digits = *s >= '0' && *s <= '9';
    n = digits ? span(s, DIGITS "_") : 0;
    if (s[n] != '.' || (!digits && (sign || !strchr(DIGITS, s[1]) || !s[1])))
        return false;
    s += n + 1;
    s += span(s, DIGITS "_");
    if (!*s)
        return true;
    return (*s == 'e' || *s == 'E') && (s[1] == '-' || s[1] == '+') && s[2] && !s[2 + span(s + 2, DIGITS)];
}

static bool one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

/* With a point, whatever locale the program has. */
double mu_number(const char *s)
{
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    double d = c ? strtod_l(s, NULL, c) : 0;

    if (c)
        freelocale(c);
    return d;
}

/* Parts of a sexagesimal number, the last with a fraction. */
static double by_sixty(const char *s)
{
    double sum = 0;

    for (const char *p = s; p; p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL)
        sum = sum * 60 + mu_number(p);
    return sum;
}

static json_t *integer(const char *s, const char *text, size_t len)
{
    bool minus = *s == '-';
    const char *digits = s + (*s == '-' || *s == '+');
    int base = digits[0] != '0' ? 10 : digits[1] == 'b' ? 2 : digits[1] == 'x' ? 16 : 8;
    char number[80];
    long long i;

    digits += base == 2 || base == 16 ? 2 : 0;
    if (!*digits)
        return json_stringn(text, len);
    if (strchr(digits, ':'))
        return json_integer((long long)(minus ? -by_sixty(digits) : by_sixty(digits)));
    if (strlen(digits) + 2 > sizeof number)
        return json_stringn(text, len);
    snprintf(number, sizeof number, "%s%s", minus ? "-" : "", digits);
    errno = 0;
    i = strtoll(number, NULL, base);
    return errno ? json_stringn(text, len) : json_integer(i);
}

static json_t *fraction(const char *s, const char *text, size_t len)
{
    const char *digits = s + (*s == '-' || *s == '+');
    double d = strchr(digits, ':') ? by_sixty(digits) : mu_number(digits);

    return isfinite(d) ? json_real(*s == '-' ? -d : d) : json_stringn(text, len);
}

json_t *mu_yaml_plain(const char *text, size_t len)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
    static const char *const falses[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
    char plain[80];
    size_t n = 0;

    if (len >= sizeof plain)
        return json_stringn(text, len);
    if (one_of(text, nulls))
        return json_null();
    if (one_of(text, trues))
        return json_true();
    if (one_of(text, falses))
        return json_false();
    for (size_t i = 0; i < len; i++)
        if (text[i] != '_')
            plain[n++] = text[i];
    plain[n] = '\0';
    if (is_int(text))
        return integer(plain, text, len);
    return is_float(text) ? fraction(plain, text, len) : json_stringn(text, len);
}
