/* secret_name.h: which names of parameters and variables promise a secret, so that its value is written down nowhere.
 * Owner: nothing is kept. Thread: any. Must not know: what the name is of.
 */
#ifndef MU_CORE_SECRET_NAME_H
#define MU_CORE_SECRET_NAME_H

#include <stdbool.h>

/* "bmc_password", "API-Token", "secret": whatever the case; not "tokens_per_second". */
bool mu_name_is_secret(const char *name);

#endif
