/* shared_parts.h: the parts that struct mu_ssh_shared is made of, each in a file of its own.
 *
 * Purpose: lets shared.c put hostkey.c, keys.c and agent.c together without knowing their insides.
 * Owner: mu_ssh_shared owns one of each. Thread: making and freeing: the main thread; the rest as shared.h says.
 * Must not know: sessions, loops.
 */
#ifndef MU_SSH_SHARED_PARTS_H
#define MU_SSH_SHARED_PARTS_H

#include <pthread.h>

#include "ssh/gate.h"
#include "ssh/shared.h"

/* host keys: hostkey.c */
struct mu_hostkeys;
int mu_hostkeys_new(struct mu_hostkeys **out, const struct mu_ssh_config *config, struct mu_err *err);
void mu_hostkeys_free(struct mu_hostkeys *hk);
size_t mu_hostkeys_comparisons(const struct mu_hostkeys *hk); /* for tests */

/* the agent: agent.c. *out stays NULL when there is none to use, which is no error. */
struct mu_ssh_agent;
struct mu_ssh_agent_key;
int mu_ssh_agent_new(struct mu_ssh_agent **out, const char *socket_path, uint64_t timeout_ms);
/* A descriptor for libssh, which is shown one identity, or all that the agent lists when `shown` is NULL. signer: the key
 * that the agent is asked to sign with (for a certificate that it does not have itself); NULL: the one that was shown. */
int mu_ssh_agent_client_fd(struct mu_ssh_agent *agent, const struct mu_ssh_agent_key *shown, const struct mu_ssh_agent_key *signer);
const struct mu_ssh_agent_key *mu_ssh_agent_keys(const struct mu_ssh_agent *agent, size_t *n); /* NULL allowed: none */
bool mu_ssh_agent_holds(const struct mu_ssh_agent *agent, const unsigned char *blob, size_t len); /* NULL, 0 allowed: no */
void mu_ssh_agent_free(struct mu_ssh_agent *agent);

/* private keys: keys.c; agent: whose keys need no passphrase, or NULL */
struct mu_keys;
int mu_keys_new(struct mu_keys **out, const struct mu_ssh_config *config, const struct mu_ssh_agent *agent,
                struct mu_err *err);
int mu_keys_add(struct mu_keys *keys, const char *path, const struct mu_ssh_agent *agent, struct mu_err *err);
/* A server names no key: when the run's own are only there by default, encrypted, and nothing else could log in, the
 * passphrase of one of them is asked for, once. */
int mu_keys_need_shared(struct mu_keys *keys, const struct mu_ssh_agent *agent, struct mu_err *err);
void mu_keys_free(struct mu_keys *keys);
size_t mu_keys_count(struct mu_keys *keys, const char *path);
ssh_key mu_keys_get(struct mu_keys *keys, const char *path, size_t i, const char **name);

struct mu_other_agent {
    struct mu_other_agent *next;
    struct mu_ssh_agent *agent; /* NULL: it cannot be used */
    char path[];
};

struct mu_confs; /* ssh_config: conf_shared.h */

struct mu_ssh_shared {
    struct mu_confs *confs;
    struct mu_hostkeys *hostkeys;
    struct mu_keys *keys;
    struct mu_gates *gates;
    struct mu_ssh_agent *agent; /* the run's */
    char *agent_socket;     /* its path; NULL: no agent is used at all */
    uint64_t agent_timeout_ms;
    pthread_mutex_t lock;         /* over the list of other agents; entries stay */
    struct mu_other_agent *agents; /* that single servers name */
    char *password;
    void *chains; /* tsearch() tree of text: the jump hosts whose files were read before the run; the main thread's */
};

/* shared_login.c: what logging in to a server with these options takes: its agent, keys and certificates. */
struct mu_ssh_options;
/* Read all of it that was not read before. Blocks. 0 or MU_ENOMEM. */
int mu_shared_load_login(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_err *err);
bool mu_shared_login_loaded(struct mu_ssh_shared *sh, const struct mu_ssh_options *o);
/* The agent that they name, when it was loaded and can be used, or NULL. */
struct mu_ssh_agent *mu_shared_agent(struct mu_ssh_shared *sh, const char *identity_agent);

/* path with "~/" replaced by the user's home (HOME, else the password database). The caller frees; NULL: out of memory.
 */
char *mu_ssh_expand_home(const char *path);

#endif
