/* What a file is: our own list or JSON, or one of Ansible's. */
#include <ctype.h>
#include <string.h>

#include "inventory/internal.h"

struct line {
    const char *at;
    size_t len;
};

/* The next line with something on it but a # comment; blanks around it are cut off. */
static bool next_line(const char **text, const char *end, struct line *line)
{
    while (*text < end) {
        const char *newline = memchr(*text, '\n', (size_t)(end - *text));
        line->at = *text;
        line->len = (size_t)((newline ? newline : end) - *text);
        *text = newline ? newline + 1 : end;
        while (line->len && isspace((unsigned char)*line->at))
            line->at++, line->len--;
        while (line->len && isspace((unsigned char)line->at[line->len - 1]))
            line->len--;
        if (line->len && *line->at != '#')
            return true;
    }
    return false;
}

/* [name] or [name:kind], with perhaps a comment. Of JSON's arrays only those of bare words look like that. */
static bool is_section(const struct line *l)
{
    const char *end = l->at + l->len, *p = l->at + 1, *name = p;

    if (*l->at != '[')
        return false;
    while (p < end && !isspace((unsigned char)*p) && !strchr(":]\"'{},[", *p))
        p++;
    if (p == name)
        return false;
    if (p < end && *p == ':')
        for (p++; p < end && (isalnum((unsigned char)*p) || *p == '_'); p++)
            ;
    if (p == end || *p != ']')
        return false;
    for (p++; p < end && isspace((unsigned char)*p); p++)
        ;
    return p == end || *p == '#';
}

static bool has_word(const struct line *l, const char *start, bool equals)
{
    size_t n = strlen(start);

    for (const char *p = l->at; p + n <= l->at + l->len; p++) {
        const char *end = l->at + l->len, *q = p + n;
        if ((p > l->at && !isspace((unsigned char)p[-1])) || memcmp(p, start, n) != 0)
            continue;
        while (!equals && q < end && (isalnum((unsigned char)*q) || *q == '_'))
            q++;
        if (q < end && *q == '=')
            return true;
    }
    return false;
}

/* "web[01:20]" or "web:2222" as its first word. */
static bool has_range_or_port(const struct line *l)
{
    size_t n = 0;
    const char *open, *close, *colon;

    while (n < l->len && !isspace((unsigned char)l->at[n]))
        n++;
    open = memchr(l->at, '[', n);
    close = open ? memchr(open, ']', (size_t)(l->at + n - open)) : NULL;
    if (close && memchr(open, ':', (size_t)(close - open)))
        return true;
    colon = memchr(l->at, ':', n);
    if (!colon || colon == l->at || memchr(l->at, '=', n))
        return false;
    for (const char *p = colon + 1; p < l->at + n; p++)
        if (!isdigit((unsigned char)*p))
            return false;
    return colon + 1 < l->at + n;
}

static bool is_ini(const char *text, size_t len)
{
    const char *end = text + len;
    struct line l;

    while (next_line(&text, end, &l))
        if (*l.at == ';' || is_section(&l) || has_range_or_port(&l) || has_word(&l, "ansible_", false))
            return true;
    return false;
}

static bool sets_a_field(const char *text, size_t len)
{
    const char *end = text + len;
    struct line l;

    while (next_line(&text, end, &l))
        for (int f = 0; f < MU_SF_NONE; f++)
            if (has_word(&l, mu_server_field_name((enum mu_server_field_id)f), true))
                return true;
    return false;
}

/* The first line is "---", or a key with nothing or a blank after its colon. */
static bool is_yaml(const char *text, size_t len)
{
    const char *end = text + len, *colon;
    struct line l;

    if (!next_line(&text, end, &l))
        return false;
    if ((l.len >= 3 && memcmp(l.at, "---", 3) == 0) || (l.len >= 5 && memcmp(l.at, "%YAML", 5) == 0))
        return true;
    colon = memchr(l.at, ':', l.len);
    if (!colon || *l.at == '[')
        return false;
    for (const char *p = l.at; p < colon; p++)
        if (isspace((unsigned char)*p) || *p == '=')
            return false;
    return colon + 1 == l.at + l.len || colon[1] == ' ' || colon[1] == '\t';
}

/* An object without "servers" and with a group in it. */
static bool is_groups(const char *text, size_t len)
{
    json_t *root = json_loadb(text, len, 0, NULL), *value;
    bool groups = false;
    const char *key;

    if (json_is_object(root) && !json_object_get(root, "servers")) {
        groups = json_object_get(root, MU_GROUP_ALL) != NULL;
        json_object_foreach(root, key, value) {
            groups = groups || json_object_get(value, "hosts") || json_object_get(value, "children") ||
                     (json_object_get(value, "vars") && strcmp(key, "vars") != 0);
        }
    }
    json_decref(root);
    return groups;
}

/* [ and { start JSON, unless it is a section. */
static bool is_json(const char *text, size_t len)
{
    const char *end = text + len;
    struct line l = {text, 0};
    json_t *root;
    bool json;

    if (!next_line(&text, end, &l) || (*l.at != '[' && *l.at != '{'))
        return false;
    if (!is_section(&l))
        return true;
    root = json_loadb(l.at, (size_t)(end - l.at), 0, NULL); /* [1] */
    json = root != NULL;
    json_decref(root);
    return json;
}

enum mu_source_kind mu_source_kind(const char *name, const char *text, size_t len, bool beside)
{
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    bool yaml = dot && (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0);

    if (is_json(text, len)) {
        if (*(text + strspn(text, " \t\r\n")) == '{' && is_groups(text, len))
            return MU_SOURCE_YAML;
        if (!yaml)
            return MU_SOURCE_JSON;
    }
    if (yaml || (is_yaml(text, len) && !(dot && strcmp(dot, ".ini") == 0)))
        return MU_SOURCE_YAML;
    if (is_ini(text, len) || (beside && !sets_a_field(text, len)))
        return MU_SOURCE_INI;
    return MU_SOURCE_LIST;
}
