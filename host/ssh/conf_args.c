/* conf_args.c: options as ssh's command line has them. */
#include <ctype.h>
#include <string.h>

#include "core/log.h"
#include "ssh/conf_internal.h"

#define ORIGIN "ssh_args"

/* Letters of ssh's options, as getopt() wants them. */
#define HARMLESS "2AaCfgKkMNnqsTtvXxYy"       /* without a value, and nothing to muster */
#define HARMLESS_VALUE "DEeLRSw"              /* with one, likewise */
#define SENSELESS "1GVOQW"                    /* these make ssh something else than a way to a server */

struct reading {
    struct mu_conf_arena *a;
    struct mu_conf_found *found;
    const char **config_file;
    const char *ignored; /* IgnoreUnknown so far */
};

/* ---- a shell's words ---- */

/* One word from *at on into out; false: a quote is left open. */
static bool shell_word(const char **at, char *out)
{
    const char *p = *at;
    char quote = 0;

    for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
        if (quote == '\'' && *p != '\'') {
            *out++ = *p;
        } else if (*p == '\\') {
            if (!p[1])
                return false;
            if (quote && !strchr("\"\\$`", p[1]))
                *out++ = *p;
            *out++ = *++p;
        } else if (*p == quote) {
            quote = 0;
        } else if (!quote && (*p == '"' || *p == '\'')) {
            quote = *p;
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
    *at = p;
    return !quote;
}

static int split(struct mu_conf_arena *a, const char *text, char ***out, size_t *n, struct mu_err *err)
{
    size_t len = strlen(text);
    char *room = mu_conf_alloc(a, len + 1), **list = mu_conf_alloc(a, (len / 2 + 2) * sizeof(*list));

    if (!room || !list)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *n = 0;
    while (*(text += strspn(text, " \t\r\n\v\f"))) {
        list[(*n)++] = room;
        if (!shell_word(&text, room))
            return mu_err_set(err, MU_EINVAL, ORIGIN ": a quote or a backslash is left open");
        room += strlen(room) + 1;
    }
    *out = list;
    return 0;
}

/* ---- options ---- */

static int take(struct reading *r, struct mu_conf_line *l, struct mu_err *err)
{
    if (r->a->failed)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    return mu_conf_take(r->found, l, err);
}

/* -o "Keyword=value" */
static int option_line(struct reading *r, const char *text, struct mu_err *err)
{
    char *copy = mu_conf_strdup(r->a, text);
    struct mu_conf_line *l = NULL;
    int rc = copy ? mu_conf_line_parse(r->a, copy, ORIGIN, 0, true, r->ignored, &l, err)
                  : mu_err_set(err, MU_ENOMEM, "out of memory");

    if (rc || !l)
        return rc;
    if (l->key == MU_CONF_HOST || l->key == MU_CONF_MATCH || l->key == MU_CONF_INCLUDE)
        return mu_err_set(err, MU_EINVAL, ORIGIN ": %s belongs into a file, not behind -o", l->keyword);
    if (l->key == MU_CONF_IGNORE_UNKNOWN)
        r->ignored = l->text;
    return take(r, l, err);
}

/* The same as -o KEYWORD=value, however value is written. */
static int short_for(struct reading *r, const char *keyword, const char *value, struct mu_err *err)
{
    const struct mu_conf_keyword *k = mu_conf_keyword_find(keyword);
    struct mu_conf_line *l = mu_conf_said(r->a, k->key, ORIGIN, value);

    if (!l)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    l->keyword = k->name;
    if (mu_conf_value(r->a, l, k, value, err))
        return mu_conf_at(l, err);
    return take(r, l, err);
}

static int one(struct reading *r, char letter, const char *value, struct mu_err *err)
{
    switch (letter) {
    case '4':
        return short_for(r, "AddressFamily", "inet", err);
    case '6':
        return short_for(r, "AddressFamily", "inet6", err);
    case 'b':
        return short_for(r, "BindAddress", value, err);
    case 'B':
        return short_for(r, "BindInterface", value, err);
    case 'c':
        return short_for(r, "Ciphers", value, err);
    case 'F':
        if (!*r->config_file)
            *r->config_file = value;
        return 0;
    case 'i':
        return short_for(r, "IdentityFile", value, err);
    case 'I':
        return short_for(r, "PKCS11Provider", value, err);
    case 'J':
        return short_for(r, "ProxyJump", value, err);
    case 'l':
        return short_for(r, "User", value, err);
    case 'm':
        return short_for(r, "MACs", value, err);
    case 'o':
        return option_line(r, value, err);
    case 'p':
        return short_for(r, "Port", value, err);
    default:
        mu_log(MU_DEBUG, ORIGIN ": -%c does not matter here, passed over", letter);
        return 0;
    }
}

/* The letters of one word; *next: the word behind it, taken when a letter wants a value. */
static int cluster(struct reading *r, const char *letters, char ***next, struct mu_err *err)
{
    for (; *letters; letters++) {
        const char *value = NULL;
        char letter = *letters;
        int rc;

        if (!isalnum((unsigned char)letter) ||
            !strchr(HARMLESS HARMLESS_VALUE SENSELESS "46bBcFiIJlmop", letter))
            return mu_err_set(err, MU_EINVAL, ORIGIN ": ssh has no option -%c", letter);
        if (strchr(SENSELESS, letter))
            return mu_err_set(err, MU_EINVAL, ORIGIN ": -%c makes no sense for a server to run steps on", letter);
        if (!strchr(HARMLESS "46", letter)) {
            value = letters[1] ? letters + 1 : *(*next)++;
            if (!value)
                return mu_err_set(err, MU_EINVAL, ORIGIN ": -%c wants a value", letter);
        }
        rc = one(r, letter, value, err);
        if (rc || value)
            return rc;
    }
    return 0;
}

int mu_conf_args(struct mu_conf_arena *a, const char *args, struct mu_conf_found *f, const char **config_file,
                 struct mu_err *err)
{
    struct reading r = {.a = a, .found = f, .config_file = config_file};
    char **words = NULL, **at, *word;
    size_t n = 0;
    int rc = split(a, args, &words, &n, err);

    *config_file = NULL;
    at = words;
    while (!rc && (word = *at)) {
        at++;
        if (!strcmp(word, "--") && !*at)
            break;
        if (*word != '-' || !word[1])
            rc = mu_err_set(err, MU_EINVAL, ORIGIN ": '%s' is no option; a value with blanks wants quotes", word);
        else
            rc = cluster(&r, word + 1, &at, err);
    }
    return rc;
}
