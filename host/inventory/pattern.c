#include "inventory/inventory.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "core/nodeset.h"
#include "inventory/internal.h"

#define EXPAND_MAX 1000000    /* names of one node set; more is a slip of the finger */
#define EXPAND_GLOBS_MAX 1000 /* when each of them is a glob, which has to look at every server */

struct selection {
    const struct mu_inventory *inv;
    bool *in;  /* chosen by a term */
    bool *out; /* taken out by a term: that wins, wherever the term stands */
    bool *set; /* where the current term puts its servers */
    size_t n_matched;
    size_t n_plain; /* terms without "!" */
};

static void take(struct selection *sel, size_t i)
{
    sel->set[i] = true;
    sel->n_matched++;
}

static void take_glob(struct selection *sel, const char *glob)
{
    for (size_t i = 0; i < sel->inv->n; i++)
        if (fnmatch(glob, sel->inv->entries[i]->srv.id, 0) == 0)
            take(sel, i);
}

/* An id first, whatever characters it has. */
static void take_name(struct selection *sel, const char *name)
{
    const struct mu_server *srv = mu_inventory_find(sel->inv, name);

    if (srv)
        take(sel, srv->index);
    else if (strpbrk(name, "*?"))
        take_glob(sel, name);
}

static int on_expanded(void *arg, const char *name)
{
    take_name(arg, name);
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

static int take_term(struct selection *sel, const char *term, struct mu_err *err)
{
    struct mu_quoted q;
    int rc;

    rc = mu_check_chars("server pattern", term, strlen(term), false, err); /* no id could match it */
    if (rc < 0)
        return rc;
    mu_quote(&q, term, strlen(term));
    sel->n_matched = 0;
    if (!strchr(term, '[')) {
        take_name(sel, term);
    } else {
        rc = mu_nodeset_expand(term, strpbrk(term, "*?") ? EXPAND_GLOBS_MAX : EXPAND_MAX, on_expanded, sel, err);
        if (rc < 0 && ((rc != MU_EINVAL && rc != MU_ELIMIT) || meant_as_nodeset(term))) {
            mu_err_prefix(err, "server pattern \"%s\"", q.text);
            return rc;
        }
        if (rc < 0) {
            mu_err_clear(err);
            take_glob(sel, term);
        }
    }
    if (sel->n_matched == 0)
        return mu_err_set(err, MU_ENOENT, "server pattern \"%s\": no server of the inventory matches", q.text);
    return 0;
}

/* ---- terms ---- */

static bool white(char c)
{
    return c && strchr(" \t\r\n", c);
}

/* Copy the next term of *at, which ends at a comma or at white space outside brackets; white space inside them is left
 * out, since no id has any. The copy is empty when there is none between two commas. */
static int next_term(const char **at, struct mu_buf *term)
{
    size_t depth = 0;
    const char *p = *at;

    mu_buf_clear(term);
    while (white(*p))
        p++;
    for (; *p && (depth || (*p != ',' && !white(*p))); p++) {
        depth += *p == '[';
        depth -= *p == ']' && depth;
        if (!white(*p))
            mu_buf_addc(term, *p);
    }
    while (white(*p))
        p++;
    *at = p;
    return term->failed ? MU_ENOMEM : 0;
}

/* A list in brackets as the summary of a run prints it, [srv0401, srv0402], is the list; [01-04,07] is a node set. */
static char *without_list_brackets(const char *pattern)
{
    size_t len, depth = 0, i;
    bool comma = false, other = false;

    while (white(*pattern))
        pattern++;
    len = strlen(pattern);
    while (len && white(pattern[len - 1]))
        len--;
    for (i = 0; i < len; i++) {
        depth += pattern[i] == '[';
        depth -= pattern[i] == ']' && depth;
        if (depth == 0)
            break;
        comma |= pattern[i] == ',' && depth == 1;
        other |= !strchr("0123456789,-/[] \t\r\n", pattern[i]);
    }
    if (comma && other && i == len - 1 && pattern[0] == '[')
        return strndup(pattern + 1, len - 2);
    return strndup(pattern, len);
}

static int select_terms(struct selection *sel, const char *pattern, struct mu_err *err)
{
    struct mu_buf term = MU_BUF_INIT;
    struct mu_quoted q;
    const char *at = pattern;
    int rc;

    for (;;) {
        const char *text;

        rc = next_term(&at, &term);
        if (rc < 0) {
            mu_err_set(err, rc, "out of memory");
            break;
        }
        text = mu_buf_cstr(&term);
        sel->set = *text == '!' ? sel->out : sel->in;
        sel->n_plain += *text != '!';
        text += *text == '!';
        if (!*text) {
            rc = mu_err_set(err, MU_EINVAL, "server pattern \"%s\" has an empty term",
                            mu_quote(&q, pattern, strlen(pattern)));
            break;
        }
        rc = take_term(sel, text, err);
        if (rc < 0 || !*at)
            break;
        if (*at == ',')
            at++;
    }
    mu_buf_free(&term);
    return rc;
}

int mu_pattern_select(const struct mu_inventory *inv, const char *pattern, bool *selected, struct mu_err *err)
{
    struct selection sel = {.inv = inv};
    char *list = NULL;
    int rc = MU_ENOMEM;

    memset(selected, 0, inv->n * sizeof *selected);
    sel.in = calloc(inv->n + 1, sizeof *sel.in);
    sel.out = calloc(inv->n + 1, sizeof *sel.out);
    list = without_list_brackets(pattern);
    if (!sel.in || !sel.out || !list) {
        mu_err_set(err, rc, "out of memory");
        goto out;
    }
    rc = select_terms(&sel, list, err);
    if (rc < 0)
        goto out;
    for (size_t i = 0; i < inv->n; i++)
        selected[i] = (sel.in[i] || sel.n_plain == 0) && !sel.out[i];
out:
    free(list);
    free(sel.in);
    free(sel.out);
    return rc;
}
