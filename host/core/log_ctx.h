/* log_ctx.h: the inside of a context node, for log.c alone.
 * Purpose: let the logger read the chain. Owner: reference counted, see log.h. Thread: any, nodes never change.
 * Must not know: loggers.
 */
#ifndef MU_CORE_LOG_CTX_H
#define MU_CORE_LOG_CTX_H

#include <stdatomic.h>

#include "core/log.h"

struct mu_ctx {
    atomic_uint refs;
    size_t depth; /* nodes from here to the root */
    struct mu_ctx *parent;
    struct mu_field field;
    char text[]; /* the key, and a string's value */
};

#endif
