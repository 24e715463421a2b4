/* threshold_json.c: a rule as a JSON object. */
#include <string.h>

#include "results/clocale.h"
#include "results/threshold.h"

static void add_name(struct mu_buf *out, const char *name)
{
    mu_buf_addf(out, "%s\"%s\":", out->len && out->data[out->len - 1] != '{' ? "," : "", name);
}

static void add_number(struct mu_buf *out, const char *name, double v)
{
    add_name(out, name);
    mu_buf_add_number(out, v);
}

static void add_text(struct mu_buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    add_name(out, name);
    mu_buf_add_json(out, text, strlen(text));
}

static void add_amount(struct mu_buf *out, const char *name, const struct mu_amount *a)
{
    if (a->kind == MU_AMOUNT_NONE)
        return;
    add_name(out, name);
    mu_buf_adds(out, a->kind == MU_AMOUNT_PERCENT ? "\"" : "");
    mu_buf_add_number(out, a->n);
    mu_buf_adds(out, a->kind == MU_AMOUNT_PERCENT ? "%\"" : "");
}

static void open_object(struct mu_buf *out, const char *name)
{
    add_name(out, name);
    mu_buf_addc(out, '{');
}

void mu_threshold_add_json(const struct mu_threshold *th, struct mu_buf *out)
{
    struct mu_clocale locale = mu_clocale_enter();
    mu_buf_addc(out, '{');
    if (th->has_reference) {
        add_number(out, "reference", th->reference);
        open_object(out, "tolerance");
        add_amount(out, "lower", &th->lower);
        add_amount(out, "upper", &th->upper);
        mu_buf_addc(out, '}');
    } else {
        if (th->has_min)
            add_number(out, "min", th->min);
        if (th->has_max)
            add_number(out, "max", th->max);
    }
    if (th->peers.on) {
        open_object(out, "peers");
        add_text(out, "group_by", th->peers.group_by);
        add_amount(out, "drop", &th->peers.drop);
        add_amount(out, "rise", &th->peers.rise);
        add_number(out, "min_cohort", th->peers.min_cohort);
        mu_buf_addc(out, '}');
    }
    if (th->history.on) {
        open_object(out, "history");
        add_number(out, "last", th->history.last);
        add_number(out, "min_runs", th->history.min_runs);
        add_amount(out, "drop", &th->history.drop);
        add_amount(out, "rise", &th->history.rise);
        mu_buf_addc(out, '}');
    }
    add_text(out, "unit", th->unit);
    mu_buf_addc(out, '}');
    mu_clocale_leave(locale);
}
