/* A brief as MessagePack, and back. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agents/brief.h"
#include "agents/bundle_internal.h"
#include "agents/form.h"

#define FORM 1
#define RUN_ID_MAX 64

/* ---- writing ---- */

static void put_flag(msgpack_packer *p, bool yes)
{
    if (yes)
        msgpack_pack_true(p);
    else
        msgpack_pack_false(p);
}

static void put_pairs(msgpack_packer *p, const struct mu_brief_pair *pairs, size_t n)
{
    msgpack_pack_array(p, 2 * n);
    for (size_t i = 0; i < n; i++) {
        mu_form_put_text(p, pairs[i].name);
        mu_form_put_text(p, pairs[i].value);
    }
}

static void put_steps(msgpack_packer *p, char *const *steps)
{
    size_t n = 0;
    while (steps && steps[n])
        n++;
    if (!steps) {
        msgpack_pack_nil(p);
        return;
    }
    msgpack_pack_array(p, n);
    for (size_t i = 0; i < n; i++)
        mu_form_put_text(p, steps[i]);
}

#define ELEMENTS 25

void mu_brief_write(const struct mu_brief *b, struct mu_buf *out)
{
    msgpack_packer p;
    msgpack_packer_init(&p, out, mu_form_write);
    msgpack_pack_array(&p, ELEMENTS);
    msgpack_pack_uint32(&p, FORM);
    msgpack_pack_uint32(&p, (uint32_t)b->state);
    mu_form_put_text(&p, b->run_id);
    mu_form_put_text(&p, b->owner);
    mu_form_put_text(&p, b->bundle);
    mu_form_put_text(&p, b->user);
    mu_form_put_text(&p, b->script_path);
    put_pairs(&p, b->params, b->n_params);
    put_pairs(&p, b->thresholds, b->n_thresholds);
    put_steps(&p, b->steps);
    put_flag(&p, b->local);
    put_flag(&p, b->fail_fast);
    put_flag(&p, b->dry_run);
    put_flag(&p, b->allow_destructive);
    put_flag(&p, b->cleanup);
    put_flag(&p, b->pairs);
    msgpack_pack_uint64(&p, b->timeout_ms);
    msgpack_pack_uint64(&p, b->connect_timeout_ms);
    msgpack_pack_uint64(&p, b->setup_timeout_ms);
    msgpack_pack_uint64(&p, b->teardown_timeout_ms);
    msgpack_pack_int64(&p, b->connect_retries);
    msgpack_pack_uint64(&p, b->task_memory);
    msgpack_pack_uint32(&p, (uint32_t)b->level);
    put_flag(&p, b->has_shared);
    msgpack_pack_bin_with_body(&p, mu_buf_cstr(&b->shared), b->shared.len);
}

/* ---- reading ---- */

/* What must be there. */
static char *need(struct mu_form *f, bool *failed)
{
    char *text = mu_form_copy(f, failed);
    f->bad = f->bad || (!text && !*failed);
    return text;
}

static void read_pairs(struct mu_form *f, struct mu_brief_pair **pairs, size_t *n, bool *failed)
{
    size_t all = mu_form_array(f) / 2;
    *pairs = calloc(all ? all : 1, sizeof **pairs);
    *failed = *failed || !*pairs;
    for (size_t i = 0; i < all && !f->bad && !*failed; i++) {
        *n = i + 1;
        (*pairs)[i].name = need(f, failed);
        (*pairs)[i].value = need(f, failed);
    }
}

static void read_steps(struct mu_form *f, char ***steps, bool *failed)
{
    if (mu_form_is_nil(f))
        return;
    size_t n = mu_form_array(f);
    *steps = calloc(n + 1, sizeof **steps);
    *failed = *failed || !*steps;
    for (size_t i = 0; i < n && !f->bad && !*failed; i++)
        (*steps)[i] = need(f, failed);
}

static unsigned read_one_of(struct mu_form *f, unsigned last)
{
    uint64_t v = mu_form_count(f);
    f->bad = f->bad || v > last;
    return f->bad ? 0 : (unsigned)v;
}

static void read_all(struct mu_brief *b, struct mu_form *f, bool *failed)
{
    b->state = (enum mu_brief_state)read_one_of(f, MU_BRIEF_OVER);
    b->run_id = need(f, failed);
    b->owner = need(f, failed);
    b->bundle = need(f, failed);
    b->user = mu_form_copy(f, failed);
    b->script_path = need(f, failed);
    read_pairs(f, &b->params, &b->n_params, failed);
    read_pairs(f, &b->thresholds, &b->n_thresholds, failed);
    read_steps(f, &b->steps, failed);
    b->local = mu_form_flag(f);
    b->fail_fast = mu_form_flag(f);
    b->dry_run = mu_form_flag(f);
    b->allow_destructive = mu_form_flag(f);
    b->cleanup = mu_form_flag(f);
    b->pairs = mu_form_flag(f);
    b->timeout_ms = mu_form_count(f);
    b->connect_timeout_ms = mu_form_count(f);
    b->setup_timeout_ms = mu_form_count(f);
    b->teardown_timeout_ms = mu_form_count(f);
    int64_t retries = mu_form_number(f);
    f->bad = f->bad || retries < INT_MIN || retries > INT_MAX;
    b->connect_retries = f->bad ? 0 : (int)retries;
    uint64_t memory = mu_form_count(f);
    f->bad = f->bad || memory > SIZE_MAX;
    b->task_memory = (size_t)memory;
    b->level = (enum mu_level)read_one_of(f, MU_LEVEL_OFF);
    b->has_shared = mu_form_flag(f);
    size_t len;
    const void *shared = mu_form_bytes(f, &len);
    mu_buf_add(&b->shared, shared, len);
    *failed = *failed || b->shared.failed;
}

/* They become parts of subjects and of paths. */
static bool names_are_good(const struct mu_brief *b)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t n = strlen(b->run_id);
    return n && n <= RUN_ID_MAX && strspn(b->run_id, plain) == n && mu_bundle_name_is_good(b->bundle);
}

int mu_brief_read(struct mu_brief *out, const void *bytes, size_t len, struct mu_err *err)
{
    struct mu_form f = MU_FORM_INIT(bytes, len);
    struct mu_brief b = {0};
    bool failed = false;
    int rc = 0;
    size_t n = mu_form_array(&f);
    if (mu_form_count(&f) != FORM || n != ELEMENTS || f.bad)
        return mu_err_set(err, MU_EINVAL, "a run's brief is of another form than that of this muster (" MUSTER_VERSION ")");
    read_all(&b, &f, &failed);
    if (failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (f.bad || f.at != f.end || !names_are_good(&b))
        rc = mu_err_set(err, MU_EINVAL, "a run's brief cannot be read: it is damaged, or nothing that muster wrote");
    if (rc)
        mu_brief_clear(&b);
    else
        *out = b;
    return rc;
}
