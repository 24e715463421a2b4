/* threshold_json.h: a threshold from JSON, or from text that may be JSON.
 *
 * Purpose: what an inventory and the command line write. Owner: the caller owns threshold and JSON.
 * Thread: any. Must not know: where the text was.
 */
#ifndef MU_RUN_THRESHOLD_JSON_H
#define MU_RUN_THRESHOLD_JSON_H

#include <jansson.h>

#include "run/threshold_read.h"

/* {"min": 40} and the like; th is zeroed but for metric, label names it in messages. MU_EINVAL. */
int mu_threshold_read_json(struct mu_threshold *th, json_t *rule, const char *label, struct mu_err *err);
/* That as text, or ">= 40" (mu_threshold_parse). */
int mu_threshold_read_text(struct mu_threshold *th, const char *text, const char *label, struct mu_err *err);

#endif
