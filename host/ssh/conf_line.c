/* conf_line.c: one line of ssh_config, "Keyword value" or "Keyword=value". */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "ssh/conf_internal.h"

#define BLANKS " \t\r\n"

int mu_conf_at(const struct mu_conf_line *l, struct mu_err *err)
{
    if (l->line)
        mu_err_prefix(err, "%s:%u", l->origin, l->line);
    else
        mu_err_prefix(err, "%s", l->origin);
    return err ? err->code : MU_EINVAL;
}

void mu_conf_warn_once(const struct mu_conf_line *l, const char *why)
{
    const struct mu_conf_keyword *k = mu_conf_keyword_find(l->keyword);

    if (!l->line && k && !mu_conf_keyword_warn(k))
        return;
    if (atomic_exchange(&((struct mu_conf_line *)(uintptr_t)l)->warned, true))
        return;
    if (l->line)
        mu_log(MU_WARNING, "%s:%u: %s: %s", l->origin, l->line, l->keyword, why);
    else
        mu_log(MU_WARNING, "%s: %s: %s", l->origin, l->keyword, why);
}

static int unknown(const char *keyword, struct mu_err *err)
{
    struct mu_buf said = MU_BUF_INIT;

    mu_buf_add_quoted(&said, keyword, strlen(keyword));
    mu_err_set(err, MU_EINVAL, "%s is no option of ssh (a line \"IgnoreUnknown %.40s\" before it passes it over)",
               mu_buf_cstr(&said), keyword);
    mu_err_cause(err, "ssh_config: bad configuration option");
    mu_buf_free(&said);
    return MU_EINVAL;
}

static void strip(char *text)
{
    size_t n = strlen(text);

    while (n && strchr(BLANKS "\f", text[n - 1]))
        text[--n] = '\0';
}

static int parse(struct mu_conf_arena *a, struct mu_conf_line *l, const char *keyword, char *rest, const char *ignored,
                 struct mu_err *err)
{
    const struct mu_conf_keyword *k = mu_conf_keyword_find(keyword);
    char *copy = NULL;

    if (rest)
        rest += strspn(rest, BLANKS);
    if (!k && ignored && mu_conf_glob_list(keyword, ignored, true) > 0) {
        l->key = MU_CONF_PASSED_OVER;
        l->keyword = mu_conf_strdup(a, keyword);
        return 0;
    }
    if (!k)
        return unknown(keyword, err);
    l->key = k->key;
    l->keyword = k->name;
    if (!rest || !*rest)
        return mu_err_set(err, MU_EINVAL, "%s: no value", k->name);
    if (k->key == MU_CONF_MATCH) /* it has words of its own kind, which are taken apart where they are */
        l->text = copy = mu_conf_strdup(a, rest);
    if (!mu_conf_words(a, rest, true, &l->args, &l->n_args))
        return a->failed ? MU_ENOMEM : mu_err_set(err, MU_EINVAL, "%s: a quote is left open", k->name);
    if (k->key == MU_CONF_MATCH)
        return 0;
    return mu_conf_value(a, l, k, rest, err);
}

int mu_conf_line_parse(struct mu_conf_arena *a, char *text, const char *origin, unsigned number, bool user,
                       const char *ignored, struct mu_conf_line **out, struct mu_err *err)
{
    struct mu_conf_line *l;
    char *rest = text, *keyword;
    int rc;

    *out = NULL;
    strip(text);
    rest += strspn(rest, BLANKS);
    if (!*rest || *rest == '#')
        return 0;
    keyword = mu_conf_token(&rest);
    l = mu_conf_alloc(a, sizeof(*l));
    if (!l)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    l->origin = origin;
    l->line = number;
    l->user = user;
    l->keyword = "";
    rc = keyword && *keyword ? parse(a, l, keyword, rest, ignored, err)
                             : mu_err_set(err, MU_EINVAL, "a quote is left open");
    if (a->failed)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc)
        return mu_conf_at(l, err);
    *out = l;
    return 0;
}

struct mu_conf_line *mu_conf_said(struct mu_conf_arena *a, enum mu_conf_key key, const char *origin, const char *text)
{
    struct mu_conf_line *l = mu_conf_alloc(a, sizeof(*l));

    if (!l)
        return NULL;
    l->key = key;
    l->keyword = mu_conf_keyword_name(key);
    l->origin = origin;
    l->user = true;
    l->text = mu_conf_strdup(a, text);
    l->args = mu_conf_alloc(a, 2 * sizeof(*l->args));
    if (!l->args || !l->text)
        return NULL;
    l->args[0] = l->text;
    l->n_args = 1;
    return l;
}
