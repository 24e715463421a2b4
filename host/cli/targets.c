#include "targets.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* The terms found so far, joined with commas: what muster_select() takes. */
struct choice {
    struct muster *m;
    const char *command; /* for messages */
    bool inventory; /* there were servers before the command line named any */
    char *pattern;
    size_t len, size;
};

static int choose(struct choice *c, const char *term)
{
    size_t len = strlen(term);

    if (c->len + len + 2 > c->size) {
        size_t size = (c->len + len + 2) * 2;
        char *grown = realloc(c->pattern, size);
        if (!grown)
            return cli_error(c->command, "out of memory");
        c->pattern = grown;
        c->size = size;
    }
    if (c->len > 0)
        c->pattern[c->len++] = ',';
    memcpy(c->pattern + c->len, term, len + 1);
    c->len += len;
    return 0;
}

static int complain(const char *command, const struct muster_error *err)
{
    return cli_error(command, "%s", err->message);
}

static int add_host(struct choice *c, const char *term)
{
    struct target_spec spec;
    struct muster_error err;
    char why[128], port[16], line[512];

    if (target_spec_parse(term, &spec, why, sizeof why) < 0)
        return cli_misuse(c->command, "server '%s': %s", term, why);
    if (muster_server_known(c->m, spec.id)) {
        if (strcmp(term, spec.host) == 0)
            return choose(c, spec.id);
        return cli_misuse(c->command,
                          "server '%s': there is a server '%s' already; its user and port are those of its "
                          "inventory, or of its first mention",
                          term, spec.id);
    }
    if (muster_server_add(c->m, spec.id, spec.host, &err) < 0)
        return complain(c->command, &err);
    if (spec.user[0] && muster_server_set(c->m, spec.id, "user", spec.user, &err) < 0)
        return complain(c->command, &err);
    if (spec.port) {
        snprintf(port, sizeof port, "%u", spec.port);
        if (muster_server_set(c->m, spec.id, "port", port, &err) < 0)
            return complain(c->command, &err);
    }
    if (c->inventory) { /* perhaps a slip of the finger: say what becomes of it */
        snprintf(line, sizeof line, "%s is not in the inventory: taken as a host name", term);
        muster_log(c->m, MUSTER_INFO, line);
    }
    return choose(c, spec.id);
}

/* A glob, a node set or an exclusion; an IPv6 address in brackets is none. */
static bool is_pattern(const char *term)
{
    const char *open = strchr(term, '[');

    if (term[0] == '!' || strpbrk(term, "*?"))
        return true;
    return open && !memchr(open, ':', strcspn(open, "]"));
}

static int one_term(struct choice *c, const char *term)
{
    if (term[0] == '-')
        return cli_misuse(c->command, "'%s' is not a server: a name does not start with '-'", term);
    if (muster_server_known(c->m, term))
        return choose(c, term);
    if (!is_pattern(term))
        return add_host(c, term);
    if (!c->inventory)
        return cli_misuse(c->command, "'%s' chooses servers from an inventory, and none is given (-i FILE)", term);
    return choose(c, term);
}

static bool separates(char c)
{
    return c == ',' || c == ' ' || (c >= '\t' && c <= '\r');
}

/* Terms of a word are separated by commas and white space outside brackets; empty ones are left out, so that a list
 * pasted from a summary (5304, 11673) works quoted and unquoted. */
static int one_word(struct choice *c, const char *word)
{
    char *copy = strdup(word), *term = copy;
    int rc = copy ? 0 : cli_error(c->command, "out of memory");

    while (rc == 0 && term) {
        char *p = term;
        for (bool inside = false; *p && (inside || !separates(*p)); p++)
            inside = *p == '[' || (inside && *p != ']');
        char *next = *p ? p + 1 : NULL;
        *p = '\0';
        if (*term)
            rc = one_term(c, term);
        term = next;
    }
    free(copy);
    return rc;
}

size_t targets_count(const struct muster *m)
{
    size_t n = 0, all = muster_server_count(m);

    for (size_t i = 0; i < all; i++)
        n += muster_server_selected(m, i);
    return n;
}

int targets_choose(struct muster *m, const char *command, const char *const *words, size_t n_words,
                   const char *const *limits, size_t n_limits)
{
    struct choice c = {.m = m, .command = command, .inventory = muster_server_count(m) > 0};
    struct muster_error err;
    int rc = 0;

    for (size_t i = 0; i < n_words && rc == 0; i++)
        rc = one_word(&c, words[i]);
    if (rc == 0 && n_words > 0 && !c.pattern) /* an empty shell variable must not mean the whole fleet */
        rc = cli_misuse(command, "the servers given are empty");
    if (rc == 0 && c.pattern && muster_select(m, c.pattern, &err) < 0)
        rc = complain(command, &err);
    for (size_t i = 0; i < n_limits && rc == 0; i++)
        if (muster_select(m, limits[i], &err) < 0)
            rc = complain(command, &err);
    free(c.pattern);
    if (rc == 0 && targets_count(m) == 0)
        rc = n_limits > 0 ? cli_error(command, "no server is left after --limit")
                          : cli_misuse(command, "no servers: name them, give an inventory with -i FILE, or use --local");
    return rc;
}
