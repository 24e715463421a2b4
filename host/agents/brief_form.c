/* A brief as MessagePack, and back. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agents/brief.h"
#include "agents/bundle_internal.h"
#include "agents/subjects.h"
#include "agents/wire_form.h"

/* ---- writing ---- */

static void put_pairs(msgpack_packer *pk, const struct mu_brief_pair *pairs, size_t n)
{
    mu_put_array(pk, 2 * n);
    for (size_t i = 0; i < n; i++) {
        mu_put_text(pk, pairs[i].name);
        mu_put_text(pk, pairs[i].value);
    }
}

static void put_steps(msgpack_packer *pk, char *const *steps)
{
    size_t n = 0;
    while (steps && steps[n])
        n++;
    if (!steps) {
        mu_put_nil(pk);
        return;
    }
    mu_put_array(pk, n);
    for (size_t i = 0; i < n; i++)
        mu_put_text(pk, steps[i]);
}

void mu_brief_write(const struct mu_brief *b, struct mu_buf *out)
{
    msgpack_packer pk;
    mu_put_start(&pk, out, MU_WIRE_BRIEF, 24);
    mu_put_uint(&pk, b->state);
    mu_put_text(&pk, b->run_id);
    mu_put_text(&pk, b->owner);
    mu_put_text(&pk, b->bundle);
    mu_put_text(&pk, b->user);
    mu_put_text(&pk, b->script_path);
    put_pairs(&pk, b->params, b->n_params);
    put_pairs(&pk, b->thresholds, b->n_thresholds);
    put_steps(&pk, b->steps);
    mu_put_bool(&pk, b->local);
    mu_put_bool(&pk, b->fail_fast);
    mu_put_bool(&pk, b->dry_run);
    mu_put_bool(&pk, b->allow_destructive);
    mu_put_bool(&pk, b->cleanup);
    mu_put_bool(&pk, b->pairs);
    mu_put_uint(&pk, b->timeout_ms);
    mu_put_uint(&pk, b->connect_timeout_ms);
    mu_put_uint(&pk, b->setup_timeout_ms);
    mu_put_uint(&pk, b->teardown_timeout_ms);
    mu_put_int(&pk, b->connect_retries);
    mu_put_uint(&pk, b->task_memory);
    mu_put_uint(&pk, b->level);
    mu_put_bool(&pk, b->has_shared);
    mu_put_bytes(&pk, b->shared.data, b->shared.len);
}

/* ---- reading ---- */

static void get_pairs(struct mu_wire_in *in, struct mu_brief_pair **pairs, size_t *n)
{
    struct mu_wire_in list;
    if (!mu_get_array(in, "list of names and values", &list))
        return;
    *pairs = mu_get_room(&list, list.n / 2, sizeof **pairs);
    while (*pairs && *n < list.n / 2) {
        struct mu_brief_pair *pair = &(*pairs)[(*n)++];
        pair->name = mu_get_must(&list);
        pair->value = mu_get_must(&list);
    }
    mu_get_end(&list);
}

static void get_steps(struct mu_wire_in *in, char ***steps)
{
    struct mu_wire_in list;
    if (!mu_get_array_or_nil(in, "list of steps", &list))
        return;
    *steps = mu_get_room(&list, list.n + 1, sizeof **steps);
    for (size_t i = 0; *steps && i < list.n; i++)
        (*steps)[i] = mu_get_must(&list);
}

static void get_all(struct mu_brief *b, struct mu_wire_in *in)
{
    b->state = (enum mu_brief_state)mu_get_enum(in, MU_BRIEF_OVER);
    b->run_id = mu_get_must(in);
    b->owner = mu_get_must(in);
    b->bundle = mu_get_must(in);
    b->user = mu_get_text(in);
    b->script_path = mu_get_must(in);
    get_pairs(in, &b->params, &b->n_params);
    get_pairs(in, &b->thresholds, &b->n_thresholds);
    get_steps(in, &b->steps);
    b->local = mu_get_bool(in);
    b->fail_fast = mu_get_bool(in);
    b->dry_run = mu_get_bool(in);
    b->allow_destructive = mu_get_bool(in);
    b->cleanup = mu_get_bool(in);
    b->pairs = mu_get_bool(in);
    b->timeout_ms = mu_get_uint(in, UINT64_MAX);
    b->connect_timeout_ms = mu_get_uint(in, UINT64_MAX);
    b->setup_timeout_ms = mu_get_uint(in, UINT64_MAX);
    b->teardown_timeout_ms = mu_get_uint(in, UINT64_MAX);
    b->connect_retries = (int)mu_get_int(in, INT_MIN, INT_MAX);
    b->task_memory = mu_get_size(in);
    b->level = (enum mu_level)mu_get_enum(in, MU_LEVEL_OFF);
    b->has_shared = mu_get_bool(in);
    mu_get_bytes(in, &b->shared);
    mu_get_end(in);
}

int mu_brief_read(struct mu_brief *out, const void *bytes, size_t len, struct mu_err *err)
{
    struct mu_wire_doc doc;
    struct mu_wire_in in;
    struct mu_brief b = {0};
    size_t at = 0;
    int rc = mu_wire_open(&doc, &in, "a run's brief", bytes, len, &at, err);
    if (rc)
        return rc;
    if (doc.kind != MU_WIRE_BRIEF)
        mu_get_refuse(&in, "it is something else");
    if (at != len)
        mu_get_refuse(&in, "something comes after its end");
    get_all(&b, &in);
    if (!mu_get_failed(&in) && (!mu_subject_is_run(b.run_id, strlen(b.run_id)) || !mu_bundle_name_is_good(b.bundle)))
        mu_get_refuse(&in, "its run, or its bundle, has a name that cannot be one");
    mu_wire_close(&doc);
    if (doc.rc)
        mu_brief_clear(&b);
    else
        *out = b;
    return doc.rc;
}
