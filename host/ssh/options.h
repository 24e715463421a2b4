/* options.h: what holds for the connection to one server, put together from whoever has a say: the call, the inventory, the
 * command line, ssh_config.
 *
 * Purpose: the one struct that connecting reads. Who is asked in which order, and what an option's text means, is settled
 *   before: connecting finds values, never sources.
 * Owner: whoever looked it up; a session owns its own.
 * Thread: looking up: any; the result belongs to one thread.
 * Must not know: loops, sessions, libssh.
 *
 * Names, units and defaults are those of ssh_config(5). Lists of names ("a,b,c") are as OpenSSH writes them.
 */
#ifndef MU_SSH_OPTIONS_H
#define MU_SSH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct mu_ssh_shared;
struct mu_ssh_target;

enum mu_ssh_family { MU_SSH_ANY, MU_SSH_INET, MU_SSH_INET6 };

struct mu_ssh_options {
    char *hostname;          /* where to connect: a name, in lower case, or a numeric address. Never NULL */
    int port;                /* 1–65535 */
    char *user;              /* never NULL */
    char **identity_files;   /* paths, tokens expanded, NULL-terminated: the server's own, --key, ssh_config's. They need not
                                exist. Empty ("IdentityFile none"): no key file at all. NULL: none named but by the run */
    char **certificate_files; /* likewise; NULL: none named */
    bool identities_only;    /* of the agent's keys, those that are named alone */
    char *identity_agent;    /* path of the agent's socket; "none": no agent; NULL: $SSH_AUTH_SOCK */
    char *proxy_jump;        /* "[user@]host[:port],…", the nearest first; NULL: none */
    char *proxy_command;     /* tokens expanded; NULL: none. Never both */
    char **known_hosts;      /* UserKnownHostsFile, empty for "none"; NULL: the run's */
    char **global_known_hosts; /* GlobalKnownHostsFile, likewise */
    char *host_key_alias;    /* what known_hosts is asked for in place of the name; NULL: none */
    char *strict_host_key;   /* "yes" (also for "ask": nobody is there to answer), "accept-new", "no"; NULL: the run's policy */
    char *ciphers, *macs, *kex_algorithms, *host_key_algorithms, *pubkey_algorithms; /* names that libssh knows, no
                                prefixes; NULL: libssh's own */
    char *preferred_authentications; /* NULL: as auth.c orders them */
    bool no_publickey, no_password, no_kbdint; /* PubkeyAuthentication no, …: not to be tried */
    char *bind_address;      /* a name or address of this machine to connect from; NULL: any */
    enum mu_ssh_family family;
    unsigned server_alive_interval_s; /* 0: no keepalive, which must be said: by default 30 */
    unsigned server_alive_count_max;
    unsigned connect_timeout_s;   /* 0: the run's */
    unsigned connection_attempts; /* 0: the run's */
};

/* What holds for target: what the target itself says, then its args, then the run's command line, then ssh_config. Where that
 * depends on a command of a Match line: as if no such line matched. MU_EINVAL says what is wrong, MU_ENOMEM. */
int mu_ssh_options_lookup(struct mu_ssh_options **out, struct mu_ssh_shared *sh, const struct mu_ssh_target *target,
                          struct mu_err *err);
/* The same with the outcomes of such commands that are known. *pending NULL: all were. Else one whose outcome is not (conf_exec.h
 * runs it), which the caller frees: *out is as above, and is to be looked up again when it is. */
int mu_ssh_options_try(struct mu_ssh_options **out, char **pending, struct mu_ssh_shared *sh,
                       const struct mu_ssh_target *target, struct mu_err *err);
/* The same with such commands run now: for whoever may block. */
int mu_ssh_options_wait(struct mu_ssh_options **out, struct mu_ssh_shared *sh, const struct mu_ssh_target *target,
                        struct mu_err *err);
/* For people and tests: a line an option, "keyword value", in the words of ssh -G; what is not said is left out. */
void mu_ssh_options_tell(const struct mu_ssh_options *o, struct mu_buf *out);
void mu_ssh_options_free(struct mu_ssh_options *o); /* NULL allowed */

#endif
