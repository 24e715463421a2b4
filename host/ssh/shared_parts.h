/* shared_parts.h: the parts that struct mu_ssh_shared is made of, each in a file of its own.
 *
 * Purpose: lets shared.c put hostkey.c, keys.c and agent.c together without knowing their insides.
 * Owner: mu_ssh_shared owns one of each. Thread: making and freeing: the main thread; the rest as shared.h says.
 * Must not know: sessions, loops.
 */
#ifndef MU_SSH_SHARED_PARTS_H
#define MU_SSH_SHARED_PARTS_H

#include "ssh/gate.h"
#include "ssh/shared.h"

/* host keys: hostkey.c */
struct mu_hostkeys;
int mu_hostkeys_new(struct mu_hostkeys **out, const struct mu_ssh_config *config, struct mu_err *err);
void mu_hostkeys_free(struct mu_hostkeys *hk);
size_t mu_hostkeys_comparisons(const struct mu_hostkeys *hk); /* for tests */

/* private keys: keys.c */
struct mu_keys;
int mu_keys_new(struct mu_keys **out, const struct mu_ssh_config *config, struct mu_err *err);
int mu_keys_add(struct mu_keys *keys, const char *path, struct mu_err *err);
void mu_keys_free(struct mu_keys *keys);
size_t mu_keys_count(struct mu_keys *keys, const char *path);
ssh_key mu_keys_get(struct mu_keys *keys, const char *path, size_t i, const char **name);

/* the agent: agent.c. *out stays NULL when there is none to use, which is no error. */
struct mu_agent;
int mu_agent_new(struct mu_agent **out, const char *socket_path, uint64_t timeout_ms);
int mu_agent_client_fd(struct mu_agent *agent);
void mu_agent_free(struct mu_agent *agent);

struct mu_confs; /* ssh_config: conf_shared.h */

struct mu_ssh_shared {
    struct mu_confs *confs;
    struct mu_hostkeys *hostkeys;
    struct mu_keys *keys;
    struct mu_agent *agent;
    struct mu_gates *gates;
    char *password;
};

/* path with "~/" replaced by the user's home (HOME, else the password database). The caller frees; NULL: out of memory.
 */
char *mu_ssh_expand_home(const char *path);

#endif
