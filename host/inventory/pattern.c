#include "inventory/pattern.h"

#include <stdlib.h>
#include <string.h>

int mu_pattern_error(struct mu_err *err, int code, const char *term, const char *why)
{
    struct mu_quoted q;

    return mu_err_set(err, code, "server pattern \"%s\": %s", mu_quote(&q, term, strlen(term)), why);
}

int mu_choice_new(struct mu_choice *choice, size_t n_servers)
{
    *choice = (struct mu_choice){.in = calloc(n_servers + 1, sizeof *choice->in)};
    choice->out = calloc(n_servers + 1, sizeof *choice->out);
    choice->common = calloc(n_servers + 1, sizeof *choice->common);
    return choice->in && choice->out && choice->common ? 0 : MU_ENOMEM;
}

void mu_choice_free(struct mu_choice *choice)
{
    free(choice->in);
    free(choice->out);
    free(choice->common);
}

bool mu_choice_has(const struct mu_choice *choice, size_t server)
{
    return (choice->in[server] || choice->n_plain == 0) && choice->common[server] == choice->n_common &&
           !choice->out[server];
}

/* ---- operators inside a term ---- */

/* left becomes left OP what is in sel->picks; it has room for both. */
static void combine(struct mu_selection *sel, size_t *left, size_t *n_left, char operation)
{
    struct mu_picks *right = &sel->picks;
    size_t n = 0;

    for (size_t i = 0; i < *n_left; i++) {
        bool both = right->seen[left[i]] == right->turn;
        if (operation == '^' && both)
            right->seen[left[i]] = 0; /* so that it is in neither */
        else if (operation == '&' ? both : !both)
            left[n++] = left[i];
    }
    for (size_t i = 0; operation == '^' && i < right->n; i++)
        if (right->seen[right->at[i]] == right->turn)
            left[n++] = right->at[i];
    *n_left = n;
}

/* operand, then operator and operand as often as there are any, from left to right. text is taken apart. */
static int read_operation(struct mu_selection *sel, char *text, size_t first_len, struct mu_err *err)
{
    size_t *left = NULL, n_left = 0;
    char *at = text + first_len, operation = *at;
    int rc;

    *at = '\0';
    rc = mu_pattern_operand(sel, text, err);
    while (rc == 0 && operation) {
        const char *next;
        char *operand = at + 1;
        size_t *grown;

        if (!left) {
            left = reallocarray(NULL, sel->picks.n + 1, sizeof *left);
            n_left = sel->picks.n;
            if (left)
                memcpy(left, sel->picks.at, n_left * sizeof *left);
        }
        next = mu_pattern_operator(operand);
        at = next ? operand + (next - operand) : operand + strlen(operand);
        char following = *at;
        *at = '\0';
        if (!*operand || strchr("!&^@~", *operand))
            rc = mu_pattern_error(err, MU_EINVAL, operand, "behind an operator stands the name of a server or group");
        if (rc == 0)
            rc = mu_pattern_operand(sel, operand, err);
        grown = left ? reallocarray(left, n_left + sel->picks.n + 1, sizeof *left) : NULL;
        if (rc == 0 && !grown)
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        left = grown ? grown : left;
        if (rc == 0)
            combine(sel, left, &n_left, operation);
        operation = following;
    }
    if (rc == 0) {
        mu_picks_clear(&sel->picks);
        for (size_t i = 0; i < n_left; i++)
            mu_picks_take(sel, left[i]);
        sel->named = true; /* every operand was there; what is left may be nobody */
    }
    free(left);
    return rc;
}

static int read_term(struct mu_selection *sel, char *text, struct mu_err *err)
{
    const char *operation = mu_pattern_operator(text);

    /* ids may have a ^ */
    if (!operation || mu_inventory_find(sel->inv, text) || mu_inventory_group(sel->inv, text))
        return mu_pattern_operand(sel, text, err);
    return read_operation(sel, text, (size_t)(operation - text), err);
}

/* ---- terms ---- */

static void apply(struct mu_choice *choice, const struct mu_picks *picks, char sign)
{
    choice->n_terms++;
    choice->n_plain += sign != '!' && sign != '&';
    choice->n_common += sign == '&';
    for (size_t i = 0; i < picks->n; i++) {
        if (sign == '!')
            choice->out[picks->at[i]] = true;
        else if (sign == '&')
            choice->common[picks->at[i]]++;
        else
            choice->in[picks->at[i]] = true;
    }
}

int mu_choice_read(struct mu_selection *sel, struct mu_choice *choice, const char *pattern, struct mu_err *err)
{
    struct mu_buf term = MU_BUF_INIT;
    char *list = mu_pattern_without_list(pattern), sign;
    const char *at = list;
    int rc = list ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");

    while (rc == 0) {
        char *text;

        rc = mu_pattern_next_term(&at, &term);
        if (rc < 0) {
            mu_err_set(err, rc, "out of memory");
            break;
        }
        text = term.len ? term.data : (char[1]){""};
        sign = *text;
        text += sign == '!' || sign == '&';
        if (!*text) {
            struct mu_quoted q;
            rc = mu_err_set(err, MU_EINVAL, "server pattern \"%s\" has an empty term",
                            mu_quote(&q, pattern, strlen(pattern)));
            break;
        }
        rc = read_term(sel, text, err);
        if (rc == 0)
            apply(choice, &sel->picks, sign);
        if (!*at)
            break;
        if (*at == ',' || *at == ':')
            at++;
    }
    mu_buf_free(&term);
    free(list);
    return rc;
}

int mu_pattern_select_counted(const struct mu_inventory *inv, const char *pattern, bool *selected, uint64_t *visits,
                              struct mu_err *err)
{
    struct mu_selection sel = {.inv = inv};
    struct mu_choice choice = {0};
    size_t n = 0;
    int rc;

    memset(selected, 0, inv->n * sizeof *selected);
    sel.picks.at = calloc(inv->n + 1, sizeof *sel.picks.at);
    sel.picks.seen = calloc(inv->n + 1, sizeof *sel.picks.seen);
    rc = mu_choice_new(&choice, inv->n);
    if (!sel.picks.at || !sel.picks.seen || rc < 0) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto out;
    }
    rc = mu_inventory_groups_ready(inv, err);
    if (rc == 0)
        rc = mu_choice_read(&sel, &choice, pattern, err);
    if (rc < 0)
        goto out;
    for (size_t i = 0; i < inv->n; i++) {
        selected[i] = mu_choice_has(&choice, i);
        n += selected[i];
    }
    if (n == 0)
        rc = mu_pattern_error(err, MU_ENOENT, pattern, "it leaves no server");
    if (visits)
        *visits = sel.visits;
out:
    free(sel.picks.at);
    free(sel.picks.seen);
    mu_choice_free(&choice);
    return rc;
}

int mu_pattern_select(const struct mu_inventory *inv, const char *pattern, bool *selected, struct mu_err *err)
{
    return mu_pattern_select_counted(inv, pattern, selected, NULL, err);
}
