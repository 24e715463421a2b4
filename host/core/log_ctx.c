/* The context chain of log.h.
 *
 * A node is never changed once made, so a child shares its parent's nodes. When a child overrides a key, the nodes
 * between it and the overridden one are copied: a chain never holds a key twice, is no longer than the number of keys
 * however often one of them is bound again, and a log line need not look for overridden ones.
 */
#include "core/log_ctx.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct mu_ctx *current;

/* Takes over the reference to parent, also when it fails. */
static struct mu_ctx *node_new(struct mu_ctx *parent, const struct mu_field *field)
{
    const char *key = field->key ? field->key : "";
    const char *str = field->type == MU_FIELD_STR && field->v.str ? field->v.str : "";
    size_t key_size = strlen(key) + 1, str_size = strlen(str) + 1;
    struct mu_ctx *node = malloc(sizeof *node + key_size + str_size);

    if (!node) {
        mu_ctx_unref(parent);
        return NULL;
    }
    atomic_init(&node->refs, 1);
    node->parent = parent;
    node->depth = parent ? parent->depth + 1 : 1;
    node->field = *field;
    memcpy(node->text, key, key_size);
    node->field.key = node->text;
    if (field->type == MU_FIELD_STR) {
        memcpy(node->text + key_size, str, str_size);
        node->field.v.str = node->text + key_size;
    }
    return node;
}

struct mu_ctx *mu_ctx_with(struct mu_ctx *parent, const struct mu_field *field)
{
    const char *key = field->key ? field->key : "";
    struct mu_ctx *same = parent, *base, *node, **between = NULL;
    size_t n, i;

    while (same && strcmp(same->field.key, key) != 0)
        same = same->parent;
    if (!same)
        return node_new(mu_ctx_ref(parent), field);

    n = parent->depth - same->depth;
    if (n > 0) {
        between = malloc(n * sizeof(struct mu_ctx *));
        if (!between)
            return NULL;
        for (i = n, node = parent; i > 0; node = node->parent)
            between[--i] = node;
    }
    base = mu_ctx_ref(same->parent);
    for (i = 0; i < n; i++) {
        base = node_new(base, &between[i]->field);
        if (!base)
            goto out;
    }
    base = node_new(base, field);
out:
    free(between);
    return base;
}

struct mu_ctx *mu_ctx_with_str(struct mu_ctx *parent, const char *key, const char *value)
{
    struct mu_field field = {.key = key, .type = MU_FIELD_STR, .v.str = value};

    return mu_ctx_with(parent, &field);
}

struct mu_ctx *mu_ctx_ref(struct mu_ctx *ctx)
{
    if (ctx)
        atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void mu_ctx_unref(struct mu_ctx *ctx)
{
    while (ctx && atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) == 1) {
        struct mu_ctx *parent = ctx->parent;
        free(ctx);
        ctx = parent;
    }
}

struct mu_ctx *mu_ctx_current(void)
{
    return current;
}

struct mu_ctx *mu_ctx_enter(struct mu_ctx *ctx)
{
    struct mu_ctx *former = current;

    current = ctx;
    return former;
}

void mu_ctx_leave(struct mu_ctx *former)
{
    current = former;
}
