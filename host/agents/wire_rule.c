/* wire_rule.c: thresholds. */
#include "agents/wire_form.h"

#include <string.h>

static void put_amount(msgpack_packer *pk, const struct mu_amount *a)
{
    mu_put_uint(pk, (unsigned)a->kind);
    mu_put_num(pk, a->n);
}

static void get_amount(struct mu_wire_in *in, struct mu_amount *a)
{
    int kind = mu_get_enum(in, MU_AMOUNT_PERCENT);
    a->n = mu_get_finite(in);
    if (a->n < 0)
        mu_get_refuse(in, "an amount is negative");
    if (kind == MU_AMOUNT_PERCENT)
        a->kind = MU_AMOUNT_PERCENT;
    else if (kind == MU_AMOUNT_PLAIN)
        a->kind = MU_AMOUNT_PLAIN;
}

void mu_put_threshold(msgpack_packer *pk, const struct mu_threshold *th)
{
    static const struct mu_threshold none;
    if (!memcmp(th, &none, sizeof none)) { /* most metrics have none; told in full it would be the same */
        mu_put_nil(pk);
        return;
    }
    mu_put_array(pk, 28);
    mu_put_text(pk, th->metric);
    mu_put_text(pk, th->unit);
    mu_put_bool(pk, th->has_min);
    mu_put_bool(pk, th->has_max);
    mu_put_bool(pk, th->min_open);
    mu_put_bool(pk, th->max_open);
    mu_put_num(pk, th->min);
    mu_put_num(pk, th->max);
    mu_put_bool(pk, th->has_reference);
    mu_put_num(pk, th->reference);
    put_amount(pk, &th->lower);
    put_amount(pk, &th->upper);
    mu_put_bool(pk, th->peers.on);
    mu_put_text(pk, th->peers.group_by);
    put_amount(pk, &th->peers.drop);
    put_amount(pk, &th->peers.rise);
    mu_put_uint(pk, th->peers.min_cohort);
    mu_put_bool(pk, th->history.on);
    mu_put_uint(pk, th->history.last);
    mu_put_uint(pk, th->history.min_runs);
    put_amount(pk, &th->history.drop);
    put_amount(pk, &th->history.rise);
}

void mu_get_threshold(struct mu_wire_in *in, struct mu_threshold *th)
{
    struct mu_wire_in e;
    if (!mu_get_array_or_nil(in, "threshold", &e))
        return;
    th->metric = mu_get_text(&e);
    th->unit = mu_get_text(&e);
    th->has_min = mu_get_bool(&e);
    th->has_max = mu_get_bool(&e);
    th->min_open = mu_get_bool(&e);
    th->max_open = mu_get_bool(&e);
    th->min = mu_get_num(&e);
    th->max = mu_get_num(&e);
    th->has_reference = mu_get_bool(&e);
    th->reference = mu_get_num(&e);
    get_amount(&e, &th->lower);
    get_amount(&e, &th->upper);
    th->peers.on = mu_get_bool(&e);
    th->peers.group_by = mu_get_text(&e);
    get_amount(&e, &th->peers.drop);
    get_amount(&e, &th->peers.rise);
    th->peers.min_cohort = mu_get_unsigned(&e);
    th->history.on = mu_get_bool(&e);
    th->history.last = mu_get_unsigned(&e);
    th->history.min_runs = mu_get_unsigned(&e);
    get_amount(&e, &th->history.drop);
    get_amount(&e, &th->history.rise);
    mu_get_end(&e);
}
