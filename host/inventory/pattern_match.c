/* Whom one operand of a pattern names. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/closest.h"
#include "core/nodeset.h"
#include "inventory/pattern.h"

#define EXPAND_MAX 1000000    /* names of one node set; more is a slip of the finger */
#define EXPAND_GLOBS_MAX 1000 /* when each of them is a glob, which has to look at every server */
#define SUBSCRIPTS_MAX 4      /* of subscripts, srv*[0:9][0] */

static int bracket(struct mu_selection *sel, const char *text, int depth, struct mu_err *err);

/* ---- names and globs ---- */

static void take_group(struct mu_selection *sel, const struct mu_group *group)
{
    sel->named = true;
    for (size_t i = 0; i < group->n_members; i++)
        mu_picks_take(sel, group->members[i]);
}

/* An id first, whatever characters it has; then a group. */
static bool take_name(struct mu_selection *sel, const char *name)
{
    const struct mu_server *srv = mu_inventory_find(sel->inv, name);
    const struct mu_group *group = srv ? NULL : mu_inventory_group(sel->inv, name);

    sel->visits++;
    if (srv)
        mu_picks_take(sel, srv->index);
    else if (group)
        take_group(sel, group);
    return srv || group;
}

/* Servers and groups; the groups that every inventory has answer to their names alone. */
static void take_glob(struct mu_selection *sel, const char *glob)
{
    size_t n_groups = mu_inventory_group_count(sel->inv);

    for (size_t i = 2; i < n_groups; i++) {
        const struct mu_group *group = mu_inventory_group_at(sel->inv, i);
        sel->visits++;
        if (fnmatch(glob, group->name, 0) == 0)
            take_group(sel, group);
    }
    for (size_t i = 0; i < sel->inv->n; i++) {
        sel->visits++;
        if (fnmatch(glob, sel->inv->entries[i]->srv.id, 0) == 0)
            mu_picks_take(sel, i);
    }
}

static void take_plain(struct mu_selection *sel, const char *text)
{
    if (!take_name(sel, text) && strpbrk(text, "*?"))
        take_glob(sel, text);
}

/* ---- node sets ---- */

static int on_expanded(void *arg, const char *name)
{
    take_plain(arg, name);
    return 0;
}

/* Whether a bracket holds what only a node set has there, so that its error is the one to report: [01-], [10-1]. What
 * is left for the glob are classes with something else in them, and the likes of [0-9], where both readings agree. */
static bool meant_as_nodeset(const char *term)
{
    const char *open = strchr(term, '['), *close;

    for (; open; open = strchr(close, '[')) {
        size_t n, digits;

        close = strchr(open, ']');
        if (!close || close == open + 1)
            return true;
        n = (size_t)(close - open) - 1;
        if (strspn(open + 1, "0123456789,-/") < n)
            continue;
        digits = strspn(open + 1, "0123456789");
        if (n != 3 || digits != 1 || open[2] != '-' || close[-1] < open[1])
            return true;
    }
    return false;
}

static int take_nodeset(struct mu_selection *sel, const char *text, struct mu_err *err)
{
    int rc = mu_nodeset_expand(text, strpbrk(text, "*?") ? EXPAND_GLOBS_MAX : EXPAND_MAX, on_expanded, sel, err);
    struct mu_quoted q;

    if (rc < 0 && ((rc != MU_EINVAL && rc != MU_ELIMIT) || meant_as_nodeset(text))) {
        mu_err_prefix(err, "server pattern \"%s\"", mu_quote(&q, text, strlen(text)));
        return rc;
    }
    if (rc < 0) {
        mu_err_clear(err);
        take_glob(sel, text);
    }
    return 0;
}

/* ---- subscripts ---- */

static int by_number(const void *pa, const void *pb)
{
    size_t a = *(const size_t *)pa, b = *(const size_t *)pb;

    return (a > b) - (a < b);
}

/* Put the servers in the order of the inventory, in which they are counted. Mostly they are. */
static void sort(struct mu_picks *picks)
{
    for (size_t i = 1; i < picks->n; i++)
        if (picks->at[i] < picks->at[i - 1]) {
            qsort(picks->at, picks->n, sizeof *picks->at, by_number);
            return;
        }
}

static void keep(struct mu_selection *sel, size_t first, size_t last)
{
    const size_t *from = sel->picks.at + first;

    mu_picks_clear(&sel->picks);
    for (size_t i = 0; i <= last - first; i++)
        mu_picks_take(sel, from[i]); /* never behind what is still to be read */
}

static int out_of_range(struct mu_err *err, const char *text, const char *base, size_t n)
{
    char why[256];
    struct mu_quoted q;

    snprintf(why, sizeof why, "\"%s\" stands for %zu server%s, counted from 0", mu_quote(&q, base, strlen(base)), n,
             n == 1 ? "" : "s");
    return mu_pattern_error(err, MU_ENOENT, text, why);
}

static int nobody_to_count(struct mu_err *err, const char *text, const char *base, const struct mu_subscript *s)
{
    char why[768];
    struct mu_quoted q;

    mu_quote(&q, base, strlen(base));
    if (s->range && !s->open)
        snprintf(why, sizeof why,
                 "no server or group of the inventory matches \"%s\", whose servers it counts; for names write "
                 "%s[%lld-%lld]",
                 q.text, q.text, s->first, s->last);
    else
        snprintf(why, sizeof why, "no server or group of the inventory matches \"%s\", whose servers it counts", q.text);
    return mu_pattern_error(err, MU_ENOENT, text, why);
}

/* web[0:4], web[2:], web[-1], web*[0] */
static int cut_out(struct mu_selection *sel, const char *text, const char *base, const struct mu_subscript *s,
                   struct mu_err *err)
{
    size_t n = sel->picks.n, first, last;

    if (n == 0)
        return sel->named ? out_of_range(err, text, base, n) : nobody_to_count(err, text, base, s);
    if (s->range && !s->open && s->last < s->first)
        return mu_pattern_error(err, MU_EINVAL, text, "the range runs backwards");
    if (s->negative ? (size_t)-s->first > n : (size_t)s->first >= n)
        return out_of_range(err, text, base, n);
    first = s->negative ? n - (size_t)-s->first : (size_t)s->first;
    last = s->open ? n - 1 : s->range ? (size_t)s->last : first;
    keep(sel, first, last < n ? last : n - 1);
    return 0;
}

/* web[3] is the server web3, or number 3 of the group web. When it is both, nobody guesses. web*[3] is number 3. */
static int one_of(struct mu_selection *sel, const char *text, const char *base, const struct mu_subscript *s,
                  struct mu_err *err)
{
    size_t n = sel->picks.n, i = (size_t)s->first, counted = i < n ? sel->picks.at[i] : 0;
    char why[768];
    struct mu_quoted q;
    int rc;

    mu_picks_clear(&sel->picks);
    sel->named = false;
    rc = take_nodeset(sel, text, err);
    if (rc < 0)
        return rc;
    if (i >= n && n > 0 && sel->picks.n == 0 && !sel->named)
        return out_of_range(err, text, base, n);
    if (i >= n || (sel->picks.n == 1 && sel->picks.at[0] == counted))
        return 0;
    if (sel->picks.n == 0 && !sel->named) {
        mu_picks_take(sel, counted);
        return 0;
    }
    mu_quote(&q, base, strlen(base));
    snprintf(why, sizeof why, "it is both %s%zu and number %zu of \"%s\": write %s%zu, or %s[%zu:%zu]",
             q.text, i, i, q.text, q.text, i, q.text, i, i);
    return mu_pattern_error(err, MU_EINVAL, text, why);
}

static int take_subscript(struct mu_selection *sel, const char *text, const struct mu_subscript *s, int depth,
                          struct mu_err *err)
{
    char *base = strndup(text, s->base_len);
    bool counts = s->range || s->negative; /* no node set is written like that */
    int rc = 0;

    if (!base)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    counts = counts || strpbrk(base, "*?");
    if (strchr(base, '[')) {
        rc = bracket(sel, base, depth + 1, err);
        if (rc < 0 && rc != MU_ENOMEM && !counts) { /* what is wrong there the node set will tell */
            mu_picks_clear(&sel->picks);
            mu_err_clear(err);
            rc = 0;
        }
    } else {
        take_plain(sel, base);
    }
    sort(&sel->picks);
    if (rc == 0)
        rc = counts ? cut_out(sel, text, base, s, err) : one_of(sel, text, base, s, err);
    free(base);
    return rc;
}

/* A term with brackets: a subscript, a node set, or a glob with a class. */
static int bracket(struct mu_selection *sel, const char *text, int depth, struct mu_err *err)
{
    struct mu_subscript s;

    if (!mu_pattern_subscript(text, &s))
        return take_nodeset(sel, text, err);
    if (depth == SUBSCRIPTS_MAX)
        return mu_pattern_error(err, MU_EINVAL, text, "too many subscripts");
    return take_subscript(sel, text, &s, depth, err);
}

/* ---- */

const char *mu_inventory_closest(const struct mu_inventory *inv, const char *name)
{
    struct mu_closest closest;

    mu_closest_start(&closest, name);
    for (size_t i = 0; i < mu_inventory_group_count(inv); i++)
        mu_closest_offer(&closest, mu_inventory_group_at(inv, i)->name);
    for (size_t i = 0; i < inv->n; i++)
        mu_closest_offer(&closest, inv->entries[i]->srv.id);
    return closest.best;
}

static int unknown(struct mu_selection *sel, const char *text, struct mu_err *err)
{
    const char *closest = strpbrk(text, "*?[~") ? NULL : mu_inventory_closest(sel->inv, text);
    struct mu_quoted q;
    char why[256];

    if (!closest)
        return mu_pattern_error(err, MU_ENOENT, text, "no server or group of the inventory matches");
    snprintf(why, sizeof why, "no server or group of the inventory matches; do you mean \"%s\"?",
             mu_quote(&q, closest, strlen(closest)));
    return mu_pattern_error(err, MU_ENOENT, text, why);
}

int mu_pattern_operand(struct mu_selection *sel, const char *text, struct mu_err *err)
{
    int rc = mu_check_chars("server pattern", text, strlen(text), false, err); /* no id could match it */

    if (rc < 0)
        return rc;
    mu_picks_clear(&sel->picks);
    sel->named = false;
    if (*text == '~')
        rc = mu_pattern_regex(sel, text, err);
    else if (*text == '@')
        rc = mu_pattern_file(sel, text + 1, err);
    else if (take_name(sel, text))
        rc = 0;
    else if (strchr(text, '['))
        rc = bracket(sel, text, 0, err);
    else if (strpbrk(text, "*?"))
        take_glob(sel, text);
    if (rc == 0 && sel->picks.n == 0 && !sel->named)
        rc = unknown(sel, text, err);
    return rc;
}
