/* wire_step.c: a step's result, and failures. */
#include "agents/wire_form.h"

#include <stdlib.h>
#include <string.h>

/* ---- failures ---- */

void mu_put_failures(msgpack_packer *pk, const struct mu_failure *failures, size_t n)
{
    mu_put_array(pk, n);
    for (size_t i = 0; i < n; i++) {
        const struct mu_failure *f = &failures[i];
        mu_put_array(pk, 6);
        mu_put_uint(pk, f->status);
        mu_put_text(pk, f->type);
        mu_put_must(pk, f->where);
        mu_put_text(pk, f->metric);
        mu_put_must(pk, f->cause);
        mu_put_must(pk, f->message);
    }
}

void mu_get_failures(struct mu_wire_in *in, struct mu_failure **failures, size_t *n)
{
    struct mu_wire_in list, e;
    if (!mu_get_array(in, "list of failures", &list) || !(*failures = mu_get_room(&list, list.n, sizeof **failures)))
        return;
    while (*n < list.n && mu_get_array(&list, "failure", &e)) {
        struct mu_failure *f = &(*failures)[(*n)++];
        f->status = (enum mu_status)mu_get_enum(&e, MU_ST_SKIPPED);
        f->type = mu_get_text(&e);
        f->where = mu_get_must(&e);
        f->metric = mu_get_text(&e);
        f->cause = mu_get_must(&e);
        f->message = mu_get_must(&e);
        mu_get_end(&e);
    }
}

/* ---- metrics ---- */

static void put_past(msgpack_packer *pk, const struct mu_past_verdict *v)
{
    if (v->state == MU_PEERS_NONE) {
        mu_put_nil(pk);
        return;
    }
    mu_put_array(pk, 7);
    mu_put_uint(pk, v->state);
    mu_put_bool(pk, v->below);
    mu_put_bool(pk, v->above);
    mu_put_num(pk, v->median);
    mu_put_num(pk, v->noise);
    mu_put_uint(pk, v->n);
    mu_put_text(pk, v->note);
}

static void get_past(struct mu_wire_in *in, struct mu_past_verdict *v)
{
    struct mu_wire_in e;
    if (!mu_get_array_or_nil(in, "verdict", &e))
        return;
    v->state = (enum mu_peers_state)mu_get_enum(&e, MU_PEERS_NOT_JUDGED);
    v->below = mu_get_bool(&e);
    v->above = mu_get_bool(&e);
    v->median = mu_get_num(&e);
    v->noise = mu_get_num(&e);
    v->n = mu_get_size(&e);
    v->note = mu_get_text(&e);
    mu_get_end(&e);
    if (v->state == MU_PEERS_NOT_JUDGED && !v->note)
        mu_get_refuse(&e, "it does not say why nothing was judged");
}

static void put_peers(msgpack_packer *pk, const struct mu_peer_verdict *v)
{
    if (v->state == MU_PEERS_NONE) {
        mu_put_nil(pk);
        return;
    }
    mu_put_array(pk, 2);
    put_past(pk, &(const struct mu_past_verdict){v->state, v->below, v->above, v->median, v->noise, v->n, v->note});
    mu_put_text(pk, v->group);
}

static void get_peers(struct mu_wire_in *in, struct mu_peer_verdict *v)
{
    struct mu_wire_in e;
    struct mu_past_verdict part = {0};
    if (!mu_get_array_or_nil(in, "verdict", &e))
        return;
    get_past(&e, &part);
    *v = (struct mu_peer_verdict){part.state, part.below, part.above, part.median, part.noise, part.n, NULL, part.note};
    v->group = mu_get_text(&e);
    mu_get_end(&e);
}

static void put_metric(msgpack_packer *pk, const struct mu_metric *m)
{
    mu_put_array(pk, 9);
    mu_put_must(pk, m->name);
    mu_put_num(pk, m->value);
    mu_put_array(pk, m->n_samples);
    for (size_t i = 0; i < m->n_samples; i++)
        mu_put_num(pk, m->samples[i]);
    mu_put_num(pk, m->mad);
    mu_put_text(pk, m->unit);
    mu_put_uint(pk, m->judgement);
    mu_put_threshold(pk, &m->th);
    put_past(pk, &m->history);
    put_peers(pk, &m->peers);
}

static void get_metric(struct mu_wire_in *e, struct mu_metric *m)
{
    struct mu_wire_in samples;
    m->name = mu_get_must(e);
    m->value = mu_get_num(e);
    if (mu_get_array(e, "list of samples", &samples) && (m->samples = mu_get_room(&samples, samples.n, sizeof *m->samples))) {
        m->n_samples = samples.n;
        for (size_t i = 0; i < samples.n; i++)
            m->samples[i] = mu_get_finite(&samples);
    }
    m->mad = mu_get_num(e);
    m->unit = mu_get_text(e);
    m->judgement = (enum mu_judgement)mu_get_enum(e, MU_MISSED);
    mu_get_threshold(e, &m->th);
    get_past(e, &m->history);
    get_peers(e, &m->peers);
    mu_get_end(e);
}

/* ---- the step ---- */

void mu_put_step(msgpack_packer *pk, const struct mu_step_result *s)
{
    if (!s) {
        mu_put_nil(pk);
        return;
    }
    mu_put_array(pk, 10);
    mu_put_must(pk, s->name);
    mu_put_uint(pk, s->status);
    mu_put_int(pk, s->started_ms);
    mu_put_uint(pk, s->duration_ms);
    mu_put_array(pk, s->n_metrics);
    for (size_t i = 0; i < s->n_metrics; i++)
        put_metric(pk, &s->metrics[i]);
    mu_put_failures(pk, s->failures, s->n_failures);
    mu_put_bytes(pk, s->log.data, s->log.len);
    mu_put_uint(pk, s->measured);
    mu_put_bool(pk, s->withheld);
    mu_put_text(pk, s->earlier);
}

static void get_metrics(struct mu_wire_in *in, struct mu_step_result *s)
{
    struct mu_wire_in list, e;
    if (!mu_get_array(in, "list of metrics", &list) || !(s->metrics = mu_get_room(&list, list.n, sizeof *s->metrics)))
        return;
    while (s->n_metrics < list.n && mu_get_array(&list, "metric", &e))
        get_metric(&e, &s->metrics[s->n_metrics++]);
}

struct mu_step_result *mu_get_step(struct mu_wire_in *in)
{
    struct mu_wire_in e;
    if (!mu_get_array_or_nil(in, "step", &e))
        return NULL;
    struct mu_step_result *s = calloc(1, sizeof *s);
    if (!s) {
        mu_get_nomem(&e);
        return NULL;
    }
    s->name = mu_get_must(&e);
    s->status = (enum mu_status)mu_get_enum(&e, MU_ST_SKIPPED);
    s->started_ms = mu_get_int(&e, INT64_MIN, INT64_MAX);
    s->duration_ms = mu_get_uint(&e, UINT64_MAX);
    get_metrics(&e, s);
    mu_get_failures(&e, &s->failures, &s->n_failures);
    mu_get_bytes(&e, &s->log);
    s->measured = mu_get_unsigned(&e);
    s->withheld = mu_get_bool(&e);
    s->earlier = mu_get_text(&e);
    mu_get_end(&e);
    if (mu_get_failed(&e)) {
        mu_step_result_free(s);
        return NULL;
    }
    return s;
}
