#include "core/log_sink.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/clock.h"

#define EVENT_WIDTH 30

/* structlog's colours */
#define RESET "\033[0m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define KEY "\033[36m"
#define VALUE "\033[35m"

static const char *const level_colors[] = {DIM, "\033[34m", "\033[32m", "\033[33m", "\033[31m"};

int mu_log_format_parse(const char *name, enum mu_log_format *out)
{
    static const char *const names[] = {"console", "json", "logfmt"};

    for (size_t i = 0; name && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum mu_log_format)i;
            return 0;
        }
    }
    return MU_EINVAL;
}

/* ---- parts of a line ---- */

static void add_color(struct mu_buf *out, bool color, const char *sgr)
{
    if (color)
        mu_buf_adds(out, sgr);
}

static size_t count_chars(const char *s, size_t n)
{
    size_t chars = 0;

    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)s[i] & 0xc0) != 0x80;
    return chars;
}

static void add_spaces(struct mu_buf *out, size_t n)
{
    while (n-- > 0)
        mu_buf_addc(out, ' ');
}

/* key= of console and logfmt: whatever is not plainly a key's character would make the line mean something else */
static void add_key(struct mu_buf *out, const char *key)
{
    if (!key || !*key)
        key = "_";
    for (; *key; key++) {
        unsigned char c = (unsigned char)*key;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
            c == '-')
            mu_buf_addc(out, *key);
        else
            mu_buf_addf(out, "\\x%02x", (unsigned)c);
    }
}

/* A value of console and logfmt, quoted only when it must be. */
static void add_text(struct mu_buf *out, const char *s, size_t n)
{
    size_t start = out->len;
    bool plain = n > 0;

    for (size_t i = 0; i < n && plain; i++)
        plain = s[i] != ' ' && s[i] != '"' && s[i] != '=';
    if (plain) {
        mu_buf_add_escaped(out, s, n);
        if (out->failed || out->len - start == n)
            return;
        out->len = start; /* it has escapes, which only mean something between quotes */
    }
    mu_buf_add_quoted(out, s, n);
}

static void add_value(struct mu_buf *out, const struct mu_field *f, bool json)
{
    const char *str;

    switch (f->type) {
    case MU_FIELD_STR:
        str = f->v.str ? f->v.str : "";
        if (json)
            mu_buf_add_json(out, str, strlen(str));
        else
            add_text(out, str, strlen(str));
        return;
    case MU_FIELD_INT:
        mu_buf_addf(out, "%" PRId64, f->v.i);
        return;
    case MU_FIELD_NUM:
        if (json && !isfinite(f->v.num)) { /* JSON has no such numbers */
            mu_buf_addc(out, '"');
            mu_buf_add_number(out, f->v.num);
            mu_buf_addc(out, '"');
        } else {
            mu_buf_add_number(out, f->v.num);
        }
        return;
    case MU_FIELD_BOOL:
        mu_buf_adds(out, f->v.b ? "true" : "false");
        return;
    }
    mu_buf_adds(out, json ? "null" : "?");
}

static bool has_key(const struct mu_record *r, const char *key)
{
    for (size_t i = 0; i < r->n_fields; i++)
        if (r->fields[i].key && strcmp(r->fields[i].key, key) == 0)
            return true;
    return false;
}

/* The underscores that keep a field from standing for the line's timestamp, level or event, or for another field. */
static const char *key_suffix(const struct mu_record *r, const char *key)
{
    static const char *const suffixes[] = {"_", "__", "___", "____"};
    char name[32];

    if (!key || (strcmp(key, "timestamp") != 0 && strcmp(key, "level") != 0 && strcmp(key, "event") != 0))
        return "";
    for (size_t i = 0; i < 3; i++) {
        strcpy(name, key);
        strcat(name, suffixes[i]);
        if (!has_key(r, name))
            return suffixes[i];
    }
    return suffixes[3];
}

/* ---- the three formats ---- */

static void format_console(struct mu_buf *out, bool color, const struct mu_record *r)
{
    char when[MU_CLOCK_ISO_SIZE];
    size_t start, width;

    add_color(out, color, DIM);
    mu_buf_adds(out, mu_clock_local(r->wall_ms, when));
    add_color(out, color, RESET);
    mu_buf_adds(out, " [");
    if ((unsigned)r->level < sizeof level_colors / sizeof level_colors[0])
        add_color(out, color, level_colors[r->level]);
    add_color(out, color, BOLD);
    mu_buf_addf(out, "%-9s", mu_level_name(r->level));
    add_color(out, color, RESET);
    mu_buf_adds(out, "] ");
    add_color(out, color, BOLD);
    start = out->len;
    mu_buf_add_escaped(out, r->msg, r->msg_len);
    if (out->failed)
        return;
    width = count_chars(out->data + start, out->len - start);
    if (r->n_fields > 0 && width < EVENT_WIDTH)
        add_spaces(out, EVENT_WIDTH - width);
    add_color(out, color, RESET);
    for (size_t i = 0; i < r->n_fields; i++) {
        mu_buf_addc(out, ' ');
        add_color(out, color, KEY);
        add_key(out, r->fields[i].key);
        add_color(out, color, RESET);
        mu_buf_addc(out, '=');
        add_color(out, color, VALUE);
        add_value(out, &r->fields[i], false);
        add_color(out, color, RESET);
    }
}

static void format_json(struct mu_buf *out, const struct mu_record *r)
{
    char when[MU_CLOCK_ISO_SIZE];

    mu_buf_addf(out, "{\"timestamp\":\"%s\",\"level\":\"%s\",\"event\":", mu_clock_iso(r->wall_ms, when),
                mu_level_name(r->level));
    mu_buf_add_json(out, r->msg, r->msg_len);
    for (size_t i = 0; i < r->n_fields; i++) {
        const char *key = r->fields[i].key ? r->fields[i].key : "", *suffix = key_suffix(r, key);
        mu_buf_addc(out, ',');
        if (*suffix)
            mu_buf_addf(out, "\"%s%s\"", key, suffix); /* one of three known keys */
        else
            mu_buf_add_json(out, key, strlen(key));
        mu_buf_addc(out, ':');
        add_value(out, &r->fields[i], true);
    }
    mu_buf_addc(out, '}');
}

static void format_logfmt(struct mu_buf *out, const struct mu_record *r)
{
    char when[MU_CLOCK_ISO_SIZE];

    mu_buf_addf(out, "timestamp=%s level=%s event=", mu_clock_iso(r->wall_ms, when), mu_level_name(r->level));
    add_text(out, r->msg, r->msg_len);
    for (size_t i = 0; i < r->n_fields; i++) {
        mu_buf_addc(out, ' ');
        add_key(out, r->fields[i].key);
        mu_buf_adds(out, key_suffix(r, r->fields[i].key));
        mu_buf_addc(out, '=');
        add_value(out, &r->fields[i], false);
    }
}

void mu_log_format_record(struct mu_buf *out, enum mu_log_format format, bool color, const struct mu_record *record)
{
    switch (format) {
    case MU_LOG_CONSOLE:
        format_console(out, color, record);
        break;
    case MU_LOG_JSON:
        format_json(out, record);
        break;
    case MU_LOG_LOGFMT:
        format_logfmt(out, record);
        break;
    }
    mu_buf_addc(out, '\n');
}
