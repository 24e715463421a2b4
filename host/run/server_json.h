/* server_json.h: a server written down as an inventory says it, to be read back as one.
 * Owner: nothing is kept. Thread: any. Must not know: what it is written down for.
 */
#ifndef MU_RUN_SERVER_JSON_H
#define MU_RUN_SERVER_JSON_H

#include <stdbool.h>

#include "core/buf.h"
#include "inventory/inventory.h"

struct json_t; /* jansson's */

/* {"id": …, "address": …, "vars": {…}}; paths are made absolute. secrets: variables whose name promises one are there, too;
 * else they are null. NULL: it is not UTF-8 text, or out of memory. */
struct json_t *mu_server_json(const struct mu_server *s, bool secrets);
/* The same as text, without secrets; of a server that cannot be written down its id alone. out->failed: out of memory. */
void mu_server_add_json(struct mu_buf *out, const struct mu_server *s);
bool mu_var_is_withheld(const struct mu_var *var); /* read back from there */
char *mu_path_absolute(const char *path); /* "./x" as a program that is started elsewhere must say it; NULL: no memory */

#endif
