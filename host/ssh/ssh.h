/* ssh.h: the only door to libssh: what a run shares, sessions to servers, and commands in them.
 *
 * Purpose: non-blocking SSH on a loop, with libssh's traps cured inside. Callbacks tell when something is done; they
 *   come from the loop, never from inside a call of this header.
 * Owner: the shared part belongs to the run and outlives all sessions; a session belongs to its task and outlives its
 *   commands; strings given are copied.
 * Thread: the shared part may be used by all threads at once (immutable but for host keys learnt and the agent, which
 *   lock inside). A session and its commands belong to the thread of their loop.
 * Must not know: Lua, tasks, thresholds.
 */
#ifndef MU_SSH_SSH_H
#define MU_SSH_SSH_H

#include "core/exec.h"
#include "loop/loop.h"

/* ---- what a run shares ---- */

enum mu_hostkey_policy { MU_HOSTKEY_STRICT, MU_HOSTKEY_ACCEPT_NEW, MU_HOSTKEY_OFF };
int mu_hostkey_policy_parse(const char *name, enum mu_hostkey_policy *out); /* "strict" "accept-new" "off" */

/* Ask a person for the passphrase of a key: at most size - 1 bytes into out, terminated; the caller wipes it. again: the
 * last answer was not it. 0, or another number when there is no answer: the key is left out. */
typedef int mu_ssh_ask_fn(void *arg, const char *key_file, bool again, char *out, size_t size);

struct mu_ssh_config {
    enum mu_hostkey_policy policy;
    const char *const *known_hosts; /* NULL-terminated; the first is where accept-new appends. NULL: ~/.ssh/known_hosts and
                                       /etc/ssh/ssh_known_hosts. A default file may be missing, a named one may not
                                       (except the first with accept-new: it is created, 0600) */
    const char *const *key_files;   /* private keys for servers that name none; NULL: the existing ones of
                                       ~/.ssh/id_ed25519, id_ecdsa, id_rsa (one of these that needs a passphrase is
                                       left out with a debug line; a named one that needs it is an error) */
    const char *passphrase;         /* for encrypted keys, NULL: none */
    mu_ssh_ask_fn *ask_passphrase;  /* without passphrase, for encrypted keys that are needed and no agent holds; called in
                                       mu_ssh_shared_new(), _prepare() and _add_key(), in the thread of the first.
                                       NULL: such a key is not used */
    void *ask_arg;
    const char *password;           /* NULL: password authentication is not tried */
    bool use_agent;                 /* SSH_AUTH_SOCK, when set */
    uint64_t agent_timeout_ms;      /* an agent that is silent longer is named in a warning and not asked again */
    const char *agent_socket;       /* NULL: $SSH_AUTH_SOCK */
    unsigned start_rate;            /* new connections a second, over all threads; 0: as they come */
    const char *config_file;        /* "": ~/.ssh/config and /etc/ssh/ssh_config, as far as they are there; else this file, "none":
                                       nothing. NULL: nothing */
    const char *user;               /* for servers that name none, before ssh_config; NULL: not said */
    bool policy_given, connect_timeout_given; /* said by the user: they go before ssh_config. key_files, known_hosts: as soon
                                       as they are not NULL */
};

struct mu_ssh_shared;
/* Reads ssh_config, known_hosts and keys, asks the agent for its list. Blocks; main thread, before any session. MU_EINVAL names a
 * file that cannot be read, parsed or decrypted. */
int mu_ssh_shared_new(struct mu_ssh_shared **out, const struct mu_ssh_config *config, struct mu_err *err);
/* Reads ssh_config alone, for options.h; no session can be made with it. */
int mu_ssh_shared_new_options(struct mu_ssh_shared **out, const struct mu_ssh_config *config, struct mu_err *err);
/* Load another key file (a server's own) so that sessions can name it; once a path, later calls are cheap. Any thread,
 * also while there are sessions; reading it blocks, decrypting it is left to a helper thread in all threads but the one
 * that made sh. */
int mu_ssh_shared_add_key(struct mu_ssh_shared *sh, const char *path, struct mu_err *err);
struct mu_ssh_target;
/* Read what connecting to target will take, so that no worker has to: known_hosts, keys, certificates, its agent's list.
 * The main thread, before there are sessions. MU_EINVAL: its options make no sense, or the key_file that it names cannot
 * be used; other files that cannot are told in the error of a login that fails. */
int mu_ssh_shared_prepare(struct mu_ssh_shared *sh, const struct mu_ssh_target *target, struct mu_err *err);
void mu_ssh_shared_free(struct mu_ssh_shared *sh);

/* Carry libssh's own log lines of the calling thread into the thread's logger (field logger=libssh), at a verbosity that
 * fits its level. libssh keeps level and callback per thread: call it in every thread that makes sessions. */
void mu_ssh_thread_init(void);

/* ---- what one task trusts ---- */

/* Host keys that hold for one task's sessions instead of known_hosts and the run's policy (but for "off", which holds for
 * all). Nothing of it is ever written to a file. It belongs to one thread, and is counted: sessions keep it. */
struct mu_ssh_trust;
/* keys: NULL-terminated lines "ssh-ed25519 AAAA… comment", and no other key is trusted. NULL: the first key that each
 * host and port shows, which is then the only one. MU_EINVAL says which line is not a key. */
int mu_ssh_trust_new(struct mu_ssh_trust **out, const char *const *keys, struct mu_err *err);
struct mu_ssh_trust *mu_ssh_trust_ref(struct mu_ssh_trust *t); /* NULL allowed; returns t */
void mu_ssh_trust_unref(struct mu_ssh_trust *t);               /* NULL allowed */
bool mu_ssh_trust_learns(const struct mu_ssh_trust *t);        /* made without keys */

/* ---- what the sessions of one loop share ---- */

/* The connections to jump hosts, one each for all sessions of the loop that go through it. They are made when the first
 * session needs them, and closed when nobody has for 30 s, or with the ways. */
struct mu_ssh_ways;
int mu_ssh_ways_new(struct mu_ssh_ways **out, struct mu_loop *loop, struct mu_ssh_shared *sh, struct mu_err *err);
void mu_ssh_ways_free(struct mu_ssh_ways *w); /* after every session that had it as its target's; NULL allowed */

/* ---- sessions ---- */

struct mu_ssh_target {
    const char *host;     /* a name that ssh_config may know, or a numeric address */
    int port;             /* 0: not said: what ssh_config says, else 22 */
    const char *user;     /* NULL: not said: the run's, what ssh_config says, else the user of this process */
    const char *key_file; /* added with mu_ssh_shared_add_key(); tried alone and first. NULL: the shared ones */
    struct mu_ssh_trust *trust; /* NULL: known_hosts and the run's policy */
    const char *args;     /* more options for this server, as ssh's command line has them: "-J bastion -o Ciphers=…"; NULL: none */
    bool jump;            /* it is a jump host: the run's login name is the servers', not its */
    struct mu_ssh_ways *ways; /* borrowed; NULL: a jump host's connection is the session's own */
};

struct mu_ssh_session;
int mu_ssh_session_new(struct mu_ssh_session **out, struct mu_loop *loop, struct mu_ssh_shared *sh,
                       const struct mu_ssh_target *target, struct mu_err *err);

/* err->code 0: connected and authenticated. Otherwise one of MU_ERESOLVE … MU_EAUTH, MU_ELOST, MU_ECONNTIMEOUT (the
 * message names the phase), MU_ECANCELED. */
typedef void mu_ssh_connect_fn(void *arg, const struct mu_err *err);
/* Resolve, connect (to the first of the addresses that answers; through jump hosts; by a proxy command), exchange keys,
 * verify the host key, authenticate: all within timeout_ms, in which waiting for one's turn (the rate of new connections, a
 * place in a jump host's connection) and a jump host's own connecting, with timeout_ms of its own, do not count. One try:
 * see mu_ssh_worth_retrying(). The session must be new or disconnected (MU_ESTATE otherwise). */
int mu_ssh_session_connect(struct mu_ssh_session *s, struct mu_ctx *ctx, uint64_t timeout_ms, mu_ssh_connect_fn *fn,
                           void *arg, struct mu_err *err);
/* Give up a connect under way: its callback comes with `why`. Nothing when none is. */
void mu_ssh_session_connect_abort(struct mu_ssh_session *s, const struct mu_err *why);
bool mu_ssh_session_connected(const struct mu_ssh_session *s);
/* Whether a connect that failed so may well succeed when tried again soon: refused, unreachable, closed by the server before
 * the login. Not after a refused login or host key, nor a timeout, within which TCP has tried again itself. */
bool mu_ssh_worth_retrying(const struct mu_err *err);
struct mu_ssh_options;
const struct mu_ssh_options *mu_ssh_session_options(const struct mu_ssh_session *s); /* options.h */
/* Close at once (a disconnect message is sent when the socket takes it): commands still running are done with
 * MU_ECLOSED, without being ended on the server. The session can be connected again. No waiting, no callback. */
void mu_ssh_session_disconnect(struct mu_ssh_session *s);
void mu_ssh_session_free(struct mu_ssh_session *s); /* as disconnect; no callback after it; NULL allowed */

/* ---- commands ---- */

struct mu_ssh_exec;
typedef void mu_ssh_exec_fn(void *arg, struct mu_ssh_exec *e);
/* Run a command in the user's login shell, as it is. Its process group is learnt from a first line on stderr that the
 * host asks the shell for and takes out again; where no such line comes, pid stays 0 and the command cannot be ended
 * early. Environment values travel on standard input, not in the command line, and need a POSIX login shell (sh, bash,
 * zsh, ...; not csh, fish). MU_EINVAL names a variable that has no proper name; MU_ESTATE: not connected; MU_ELOST: no
 * longer. The callback's errors are MU_ECHANNEL (the server refused it, or closed it without an exit status), MU_ELIMIT,
 * MU_ELOST, MU_ECLOSED and those of an abort. A background process that keeps the output open when the command has
 * ended is waited for until it has been silent for 5 s, or 15 s in all. */
int mu_ssh_exec_start(struct mu_ssh_exec **out, struct mu_ssh_session *s, struct mu_ctx *ctx,
                      const struct mu_exec_request *req, mu_ssh_exec_fn *done, void *arg, struct mu_err *err);
/* End it early, on the server too: TERM over a second channel (a new connection when the server refuses one) to its
 * process group and to all others in its session, KILL after kill_after_ms, and a look whether they are gone (zombies
 * count as gone). Output is dropped from now on. Then done is called with the result's error set to why (copied; must
 * have a code) and unended set when the end could not be confirmed within end_timeout_ms. The output limit takes the
 * same path by itself. A second call shortens the times only. */
void mu_ssh_exec_abort(struct mu_ssh_exec *e, const struct mu_err *why, uint64_t kill_after_ms, uint64_t end_timeout_ms);
/* Read nothing more from the server until let go: who takes the lines is behind, and the server has to wait for him. Ends
 * with an abort, and has no effect while other commands run in the session: they want their answers. */
void mu_ssh_exec_hold(struct mu_ssh_exec *e, bool hold);
const struct mu_exec_result *mu_ssh_exec_result(const struct mu_ssh_exec *e);
void mu_ssh_exec_free(struct mu_ssh_exec *e); /* closes the channel, ends nothing; no callback after it; NULL allowed */

#endif
