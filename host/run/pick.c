#include "run/pick.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "run/script.h"

static int no_such(const struct mu_script *s, const char *word, struct mu_err *err)
{
    struct mu_buf known = MU_BUF_INIT, shown = MU_BUF_INIT;
    size_t len = strlen(word);
    mu_buf_add_escaped(&shown, word, len > 60 ? 60 : len);
    for (size_t i = 0; i < s->n_steps; i++)
        mu_buf_addf(&known, "%s%s", i ? ", " : "", s->steps[i].name);
    if (*word)
        mu_err_set(err, MU_EINVAL, "%s has no step '%s'; its steps are: %s", s->path, mu_buf_cstr(&shown), mu_buf_cstr(&known));
    else
        mu_err_set(err, MU_EINVAL, "the name of a step is empty; the steps of %s are: %s", s->path, mu_buf_cstr(&known));
    mu_buf_free(&known);
    mu_buf_free(&shown);
    return MU_EINVAL;
}

static int pick_word(bool *picked, const struct mu_script *s, const char *word, struct mu_err *err)
{
    bool any = false;
    for (size_t i = 0; i < s->n_steps; i++) {
        bool fits = fnmatch(word, s->steps[i].name, 0) == 0;
        picked[i] = picked[i] || fits;
        any = any || fits;
    }
    return any ? 0 : no_such(s, word, err);
}

static int pick_list(bool *picked, const struct mu_script *s, const char *list, struct mu_err *err)
{
    int rc = 0;
    while (!rc) {
        size_t n = strcspn(list, ",");
        char *word = strndup(list, n);
        rc = word ? pick_word(picked, s, word, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
        free(word);
        if (!list[n])
            break;
        list += n + 1;
    }
    return rc;
}

static int check_needs(const bool *picked, const struct mu_script *s, struct mu_err *err)
{
    for (size_t i = 0; i < s->n_steps; i++)
        for (size_t j = 0; picked[i] && j < s->steps[i].n_needs; j++)
            for (size_t k = 0; k < i; k++)
                if (!picked[k] && !strcmp(s->steps[k].name, s->steps[i].needs[j]))
                    return mu_err_set(err, MU_EINVAL, "step %s of %s needs step %s, which is not picked: pick it as well",
                                      s->steps[i].name, s->path, s->steps[k].name);
    return 0;
}

int mu_pick_steps(bool **out, const struct mu_script *s, const char *const *words, struct mu_err *err)
{
    int rc = 0;
    *out = NULL;
    if (!words || !words[0])
        return 0;
    bool *picked = calloc(s->n_steps + 1, sizeof *picked);
    if (!picked)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; !rc && words[i]; i++)
        rc = pick_list(picked, s, words[i], err);
    if (!rc)
        rc = check_needs(picked, s, err);
    if (rc)
        free(picked);
    else
        *out = picked;
    return rc;
}
