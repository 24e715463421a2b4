/* Thresholds that are set from outside the script: by the command line, or an embedder. */
#include <stdlib.h>
#include <string.h>

#include "run/script.h"
#include "run/threshold_json.h"

/* Who says nothing of the unit means the one that the script says. */
static const char *unit_of(const struct mu_step *st, const char *metric)
{
    for (size_t i = 0; i < st->n_rules; i++)
        if (!strcmp(st->rules[i].th.metric, metric) && st->rules[i].th.unit)
            return st->rules[i].th.unit;
    return NULL;
}

static int make(struct mu_threshold *th, const struct mu_step *st, const char *metric, const char *rule, struct mu_err *err)
{
    int rc = mu_threshold_read_text(th, rule, metric, err);
    const char *unit = rc || th->unit ? NULL : unit_of(st, metric);
    if (!rc && (!(th->metric = strdup(metric)) || (unit && !(th->unit = strdup(unit)))))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    return rc;
}

int mu_script_set_threshold(struct mu_script *s, const char *name, const char *rule, struct mu_err *err)
{
    struct mu_threshold th = {0};
    size_t step = 0, i = 0;
    const char *metric = NULL;
    int rc = mu_rules_target(s, name, &step, &metric, err);
    if (rc)
        return rc;
    struct mu_step *st = &s->steps[step];
    rc = make(&th, st, metric, rule, err);
    if (rc) {
        mu_err_prefix(err, "%s", name);
        goto out;
    }
    while (i < st->n_set && strcmp(st->set[i].metric, metric) != 0)
        i++;
    if (i == st->n_set) {
        struct mu_threshold *more = realloc(st->set, (st->n_set + 1) * sizeof *more);
        if (!more) {
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
            goto out;
        }
        st->set = more;
        st->set[st->n_set++] = (struct mu_threshold){0};
    }
    mu_threshold_clear(&st->set[i]);
    st->set[i] = th;
    return 0;
out:
    mu_threshold_clear(&th);
    return rc;
}
