/* records_head.h: what is known of a run before it begins, written down.
 * Owner: nothing is kept. Thread: the main one. Must not know: how it is stored.
 */
#ifndef MU_RUN_RECORDS_HEAD_H
#define MU_RUN_RECORDS_HEAD_H

#include <stddef.h>

#include "core/err.h"
#include "ssh/sha256.h"

struct mu_run;
/* {"seconds": 30}, secrets as null. */
struct mu_buf;
struct mu_script;
void mu_records_params(struct mu_buf *out, const struct mu_script *s);
int mu_records_insert(struct mu_run *run, struct mu_err *err); /* as mu_store_begin() */
void mu_records_hash(const char *text, size_t len, char hex[MU_SHA256_HEX + 1]); /* "": it could not be made */

#endif
