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
    char **hosts; /* terms that are no patterns: added at the end, so that the inventory is as it was until then */
    size_t n_hosts, room;
};

#define NEAR_MAX 10 /* hosts for which a similar name is looked for, among all of the inventory */

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

static int keep_host(struct choice *c, const char *term)
{
    if (c->n_hosts == c->room) {
        size_t room = c->room ? c->room * 2 : 16;
        char **grown = reallocarray(c->hosts, room, sizeof *grown);
        if (!grown)
            return cli_error(c->command, "out of memory");
        c->hosts = grown;
        c->room = room;
    }
    c->hosts[c->n_hosts] = strdup(term);
    return c->hosts[c->n_hosts] ? c->n_hosts++, 0 : cli_error(c->command, "out of memory");
}

/* With an inventory another name is perhaps a slip of the finger: say what becomes of it. near: a similar one, or NULL. */
static void say_added(struct choice *c, const char *term, const char *near)
{
    char line[1024];

    if (near)
        snprintf(line, sizeof line, "%s is not in the inventory: taken as a host name (do you mean %s?)", term, near);
    else
        snprintf(line, sizeof line, "%s is not in the inventory: taken as a host name", term);
    muster_log(c->m, near ? MUSTER_WARNING : MUSTER_INFO, line);
}

static int add_host(struct choice *c, size_t i)
{
    const char *term = c->hosts[i], *near;
    char similar[256] = "";
    struct target_spec spec;
    struct muster_error err;
    char why[128], port[16];

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
    near = c->inventory && i < NEAR_MAX ? muster_name_closest(c->m, term) : NULL;
    if (near) /* adding may take it away */
        snprintf(similar, sizeof similar, "%s", near);
    if (muster_server_add(c->m, spec.id, spec.host, &err) < 0)
        return complain(c->command, &err);
    if (spec.user[0] && muster_server_set(c->m, spec.id, "user", spec.user, &err) < 0)
        return complain(c->command, &err);
    if (spec.port) {
        snprintf(port, sizeof port, "%u", spec.port);
        if (muster_server_set(c->m, spec.id, "port", port, &err) < 0)
            return complain(c->command, &err);
    }
    if (c->inventory)
        say_added(c, term, similar[0] ? similar : NULL);
    return choose(c, spec.id);
}

static bool known(const struct muster *m, const char *name)
{
    return muster_server_known(m, name) || muster_group_known(m, name);
}

/* [::1], ops@[::1]:22; the brackets of a node set have no colon, those of a subscript stand behind a name. */
static bool has_address(const char *term)
{
    const char *at = strrchr(term, '@'), *host = at ? at + 1 : term;

    return host[0] == '[' && memchr(host, ':', strcspn(host, "]"));
}

/* Of name:name the inventory knows both, or the first as a group, which has no port; web1:22 is a host with a port. */
static bool joins_names(const struct muster *m, const char *term)
{
    char *copy = strdup(term), *rest = copy, *part;
    bool all = copy && strchr(term, ':'), group = false;

    for (size_t i = 0; all && (part = strsep(&rest, ":")); i++) {
        all = known(m, part);
        group |= i == 0 && all && !muster_server_known(m, part);
    }
    free(copy);
    return all || group;
}

/* What chooses from the inventory, and cannot be a host's name. */
static bool is_pattern(const struct choice *c, const char *term)
{
    if (strchr("!&~@", term[0]) || strpbrk(term, "*?!&^="))
        return true;
    if (strchr(term, '[') && !has_address(term))
        return true;
    return c->inventory && (muster_group_known(c->m, term) || joins_names(c->m, term));
}

static int no_inventory(const struct choice *c, const char *term)
{
    return cli_misuse(c->command, "'%s' chooses servers from an inventory, and none is given (-i FILE)", term);
}

static int one_term(struct choice *c, const char *term)
{
    if (term[0] == '-')
        return cli_misuse(c->command, "'%s' is not a server: a name does not start with '-'", term);
    if (muster_server_known(c->m, term))
        return choose(c, term);
    if (!is_pattern(c, term))
        return keep_host(c, term);
    if (!c->inventory)
        return no_inventory(c, term);
    return choose(c, term);
}

static bool separates(char c)
{
    return c == ',' || c == ' ' || (c >= '\t' && c <= '\r');
}

/* Whether a term of the word is a regular expression, whose commas only the engine can tell from those between terms. */
static bool has_expression(const char *word)
{
    for (const char *p = word; (p = strchr(p, '~')); p++) {
        const char *before = p;
        while (before > word && strchr("!&", before[-1]))
            before--;
        if (before == word || separates(before[-1]) || before[-1] == ':')
            return true;
    }
    return false;
}

/* Terms of a word are separated by commas and white space outside brackets; empty ones are left out, so that a list
 * pasted from a summary (5304, 11673) works quoted and unquoted. */
static int one_word(struct choice *c, const char *word)
{
    char *copy = strdup(word), *term = copy;
    int rc = copy ? 0 : cli_error(c->command, "out of memory");

    if (rc == 0 && has_expression(word)) {
        free(copy);
        return c->inventory ? choose(c, word) : no_inventory(c, word);
    }
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

char *targets_fold(const struct muster *m)
{
    size_t n = 0, all = muster_server_count(m);
    const char **names = calloc(all + 1, sizeof *names);
    char *text;

    for (size_t i = 0; names && i < all; i++)
        if (muster_server_selected(m, i))
            names[n++] = muster_server_id(m, i);
    text = names ? muster_names_fold(names, n) : NULL;
    free(names);
    return text;
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
    for (size_t i = 0; i < c.n_hosts && rc == 0; i++)
        rc = add_host(&c, i);
    if (rc == 0 && n_words > 0 && !c.pattern) /* an empty shell variable must not mean the whole fleet */
        rc = cli_misuse(command, "the servers given are empty");
    if (rc == 0 && c.pattern && muster_select(m, c.pattern, &err) < 0)
        rc = complain(command, &err);
    for (size_t i = 0; i < n_limits && rc == 0; i++)
        if (muster_select(m, limits[i], &err) < 0)
            rc = cli_error(command, "--limit: %s", err.message);
    free(c.pattern);
    while (c.n_hosts > 0)
        free(c.hosts[--c.n_hosts]);
    free(c.hosts);
    if (rc == 0 && targets_count(m) == 0)
        rc = n_limits > 0 ? cli_error(command, "no server is left after --limit")
                          : cli_misuse(command, "no servers: name them, give an inventory with -i FILE, or use --local");
    return rc;
}
