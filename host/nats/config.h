/* config.h: where to connect, and as whom: checked, and made into libnats' options.
 * Owner: the caller owns the options. Thread: any. Must not know: what is sent.
 */
#ifndef MU_NATS_CONFIG_H
#define MU_NATS_CONFIG_H

#include <nats/nats.h>

#include "nats/client.h"

/* *out is for natsOptions_Destroy(). MU_EINVAL or MU_ENOMEM, with a line that has nothing secret in it. */
int mu_nats_options(natsOptions **out, const struct mu_nats_config *config, struct mu_err *err);

/* The public key of the user whose seed is in the text, which may have other lines: "UABC…", 56 characters. MU_EINVAL: there
 * is no seed of a user in it. */
#define MU_NATS_KEY_SIZE 64
int mu_nats_nkey_public(char out[MU_NATS_KEY_SIZE], const char *text);

#endif
