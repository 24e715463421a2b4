/* Terms that start with "~": Perl's regular expressions, which for names are those of Python. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "inventory/pattern.h"

#define MATCH_LIMIT 1000000 /* steps for one name: an expression that backtracks for ever is told, not waited for */

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

/* 1: it matches at the start of the name; 0; or an error. */
static int matches(struct mu_selection *sel, const struct regex *re, const char *expression, const char *name,
                   struct mu_err *err)
{
    int rc = pcre2_match(re->code, (PCRE2_SPTR)name, strlen(name), 0, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, re->data,
                         re->context);
    struct mu_quoted q, n;

    sel->visits++;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
        return rc >= 0;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    return mu_err_set(err, MU_ELIMIT, "server pattern \"%s\": it takes too many steps to try it on \"%s\"",
                      mu_quote(&q, expression, strlen(expression)), mu_quote(&n, name, strlen(name)));
}

static int match_all(struct mu_selection *sel, const struct regex *re, const char *expression, struct mu_err *err)
{
    const struct mu_inventory *inv = sel->inv;
    int rc = 0;

    for (size_t i = 2; i < mu_inventory_group_count(inv) && rc >= 0; i++) {
        const struct mu_group *group = mu_inventory_group_at(inv, i);
        rc = matches(sel, re, expression, group->name, err);
        sel->named |= rc > 0;
        for (size_t k = 0; rc > 0 && k < group->n_members; k++)
            mu_picks_take(sel, group->members[k]);
    }
    for (size_t i = 0; i < inv->n && rc >= 0; i++) {
        rc = matches(sel, re, expression, inv->entries[i]->srv.id, err);
        if (rc > 0)
            mu_picks_take(sel, i);
    }
    return rc < 0 ? rc : 0;
}

int mu_pattern_regex(struct mu_selection *sel, const char *expression, struct mu_err *err)
{
    struct regex re = {0};
    PCRE2_SIZE where = 0;
    int number = 0, rc;
    struct mu_quoted q;

    re.code = pcre2_compile((PCRE2_SPTR)expression + 1, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &number, &where, NULL);
    if (!re.code && number == PCRE2_ERROR_HEAP_FAILED)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!re.code) {
        char why[128];
        pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof why);
        return mu_err_set(err, MU_EINVAL, "server pattern \"%s\": character %zu of the regular expression: %s",
                          mu_quote(&q, expression, strlen(expression)), (size_t)where, why);
    }
    re.data = pcre2_match_data_create_from_pattern(re.code, NULL);
    re.context = pcre2_match_context_create(NULL);
    if (!re.data || !re.context) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto out;
    }
    pcre2_set_match_limit(re.context, MATCH_LIMIT);
    rc = match_all(sel, &re, expression, err);
out:
    pcre2_match_context_free(re.context);
    pcre2_match_data_free(re.data);
    pcre2_code_free(re.code);
    return rc;
}
