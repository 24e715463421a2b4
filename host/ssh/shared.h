/* shared.h: what a run's sessions share, as the sessions themselves see it.
 *
 * Purpose: host keys, private keys and the agent, read once a run, for the files of ssh/ only; the outside sees ssh.h.
 * Owner: struct mu_ssh_shared (the run's); keys handed out are borrowed and live as long as it does.
 * Thread: any, all at once; learning host keys and talking to the agent lock inside.
 * Must not know: sessions, loops.
 */
#ifndef MU_SSH_SHARED_H
#define MU_SSH_SHARED_H

#include <libssh/libssh.h>

#include "core/buf.h"
#include "core/err.h"
#include "ssh/ssh.h"

/* Judge the key that a server presented, with the run's policy applied (accept-new stores it). host is what the
 * inventory says, name or numeric address; port 0 means 22. 0, or MU_EHOSTKEYUNKNOWN, MU_EHOSTKEYCHANGED,
 * MU_EHOSTKEYREVOKED. Causes are "host key unknown", "host key changed", "host key revoked". A new key that cannot be
 * stored in the file is accepted for this run with a warning, as OpenSSH does. */
int mu_hostkey_check(struct mu_ssh_shared *sh, const char *host, int port, ssh_key key, struct mu_err *err);

/* The value for SSH_OPTIONS_HOSTKEYS: all supported algorithms, those of recorded keys first, so that the server
 * presents a key that we know when it has one. Left empty when nothing is recorded: then libssh's default holds. 0 or
 * MU_ENOMEM. */
int mu_hostkey_algorithms(struct mu_ssh_shared *sh, const char *host, int port, struct mu_buf *out);

/* The same for a server with options: its own files and policy, HostKeyAlias, HostKeyAlgorithms. A policy given by words,
 * "accept-new" or "no", holds in place of the run's. _load reads the files that they name and that were not read
 * before: later calls do so by themselves, and block for as long. */
struct mu_ssh_options;
int mu_hostkey_check_for(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, ssh_key key, struct mu_err *err);
int mu_hostkey_algorithms_for(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_buf *out,
                              struct mu_err *err);
int mu_hostkey_load(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, struct mu_err *err);

/* The same two for a session that has its own trust (trust.c). */
int mu_trust_check(struct mu_ssh_trust *t, struct mu_ssh_shared *sh, const char *host, int port, ssh_key key,
                   struct mu_err *err);
int mu_trust_algorithms(const struct mu_ssh_trust *t, const char *host, int port, struct mu_buf *out);

/* Private keys to try in order. key_file NULL: the shared ones; else the one added with mu_ssh_shared_add_key(), count
 * 0 when it was never added. The key may be used by several threads at once. *name (may be NULL) is the file's path.
 * Ask with ssh_service_request("ssh-userauth") before (no extra round trip): only from its answer on libssh surely
 * knows the server's signature algorithms (RFC 8308), and without them it offers an RSA key, of a file or of the agent,
 * with SHA-1 alone, in vain. */
size_t mu_ssh_shared_key_count(const struct mu_ssh_shared *sh, const char *key_file);
ssh_key mu_ssh_shared_key(const struct mu_ssh_shared *sh, const char *key_file, size_t i, const char **name);

/* A fresh descriptor, the caller's, that speaks the agent protocol with the run's agent proxy; libssh takes it with
 * ssh_set_agent_socket() and closes it with the session. Every request on it is answered within agent_timeout_ms. When
 * a signature fails, ssh_userauth_agent() gives SSH_AUTH_ERROR ("Out of memory") on a session that is well: go on with
 * the next method. -1: no agent, or it is out of use; then do not let libssh look for one: it would connect to
 * $SSH_AUTH_SOCK by itself and wait there without end. */
int mu_ssh_shared_agent_fd(struct mu_ssh_shared *sh);

/* NULL: password authentication is not tried. */
const char *mu_ssh_shared_password(const struct mu_ssh_shared *sh);

#endif
