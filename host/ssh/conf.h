/* conf.h: the user's ssh_config: read once a run, asked for each server.
 *
 * Purpose: what ~/.ssh/config and /etc/ssh/ssh_config say, by the rules of OpenSSH 9.2, so that a server is reached as
 *   `ssh NAME` reaches it. Options of ssh's command line are read here, too (conf_args.c).
 * Owner: whoever read it; lines that an evaluation found belong to the configuration, or to the arena they were made in.
 * Thread: reading: the main one, or one that may block; a configuration never changes then, any number may ask it at once.
 * Must not know: loops, sessions, what connecting does with a value.
 */
#ifndef MU_SSH_CONF_H
#define MU_SSH_CONF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

/* ---- memory that is freed as a whole ---- */

struct mu_conf_chunk;
struct mu_conf_arena {
    struct mu_conf_chunk *chunks;
    bool failed; /* an allocation failed; what was asked for then is NULL */
};
void *mu_conf_alloc(struct mu_conf_arena *a, size_t size); /* zeroed; NULL: out of memory, and failed is set */
char *mu_conf_strndup(struct mu_conf_arena *a, const char *s, size_t n);
char *mu_conf_strdup(struct mu_conf_arena *a, const char *s);
void mu_conf_arena_free(struct mu_conf_arena *a);

/* ---- lines ---- */

enum mu_conf_key {
    /* The first value holds. */
    MU_CONF_ADDRESS_FAMILY,
    MU_CONF_BATCH_MODE,
    MU_CONF_BIND_ADDRESS,
    MU_CONF_CANONICALIZE_HOSTNAME,
    MU_CONF_CIPHERS,
    MU_CONF_CONNECTION_ATTEMPTS,
    MU_CONF_CONNECT_TIMEOUT,
    MU_CONF_GLOBAL_KNOWN_HOSTS_FILE,
    MU_CONF_HOST_KEY_ALGORITHMS,
    MU_CONF_HOST_KEY_ALIAS,
    MU_CONF_HOST_NAME,
    MU_CONF_IDENTITIES_ONLY,
    MU_CONF_IDENTITY_AGENT,
    MU_CONF_KBD_INTERACTIVE,
    MU_CONF_KEX_ALGORITHMS,
    MU_CONF_MACS,
    MU_CONF_PASSWORD,
    MU_CONF_PORT,
    MU_CONF_PREFERRED_AUTHENTICATIONS,
    MU_CONF_PROXY_COMMAND,
    MU_CONF_PROXY_JUMP,
    MU_CONF_PUBKEY,
    MU_CONF_PUBKEY_ALGORITHMS,
    MU_CONF_SERVER_ALIVE_COUNT_MAX,
    MU_CONF_SERVER_ALIVE_INTERVAL,
    MU_CONF_STRICT_HOST_KEY,
    MU_CONF_USER,
    MU_CONF_USER_KNOWN_HOSTS_FILE,
    MU_CONF_N_SINGLE,
    /* These add up. */
    MU_CONF_IDENTITY_FILE = MU_CONF_N_SINGLE,
    MU_CONF_CERTIFICATE_FILE,
    /* These say what the others are for. */
    MU_CONF_HOST,
    MU_CONF_MATCH,
    MU_CONF_INCLUDE,
    MU_CONF_IGNORE_UNKNOWN,
    MU_CONF_PASSED_OVER, /* does not matter to muster */
    MU_CONF_NOT_HONOURED /* matters, and muster does not do it: warned of when it holds for a server */
};

enum { MU_CONF_NO, MU_CONF_YES, MU_CONF_ASK, MU_CONF_ACCEPT_NEW, MU_CONF_ALWAYS }; /* values of choices */

struct mu_conf_file;

struct mu_conf_line {
    enum mu_conf_key key;
    const char *keyword; /* as ssh_config(5) writes it */
    const char *origin;  /* the file's path; "ssh_args" for the command line's */
    unsigned line;       /* from 1; 0: not of a file */
    bool user;           /* of the user's file, not the system's */
    char **args;         /* unquoted, NULL-terminated */
    size_t n_args;
    char *text; /* the value as one text: of a command all that is left of the line, of algorithms those that libssh knows
                   ("": none of them) */
    int value;  /* a number, a choice, seconds */
    struct mu_conf_file **included; /* NULL-terminated */
    atomic_bool warned;  /* that it is not honoured */
};

/* Put "FILE:LINE: " or "ssh_args: " before the message. Returns err->code. */
int mu_conf_at(const struct mu_conf_line *l, struct mu_err *err);

/* ---- a configuration ---- */

struct mu_conf;
/* path NULL: ~/.ssh/config, then /etc/ssh/ssh_config, either of which may be missing. Else that file alone; "none": nothing.
 * MU_EINVAL says what is wrong and where, as "FILE:LINE: …". */
int mu_conf_read(struct mu_conf **out, const char *path, struct mu_err *err);
void mu_conf_free(struct mu_conf *c);              /* NULL allowed */
bool mu_conf_has_exec(const struct mu_conf *c);    /* some Match line runs a command */

/* ---- asking ---- */

#define MU_CONF_FILES_MAX 100 /* of IdentityFile, of CertificateFile: as OpenSSH */

/* What holds so far. Zeroed: nothing yet. */
struct mu_conf_found {
    const struct mu_conf_line *one[MU_CONF_N_SINGLE];
    const struct mu_conf_line *identities[MU_CONF_FILES_MAX], *certificates[MU_CONF_FILES_MAX];
    size_t n_identities, n_certificates;
};

/* Who asks, and what about. */
struct mu_conf_who {
    const char *original;          /* the server's name as it was given */
    const char *local_user, *home; /* of this process */
    /* Match exec: 1 when command ended with status 0, 0 when with another, MU_CONF_PENDING when it is not known yet.
     * NULL: no command is run, and it does not match. */
    int (*exec)(void *arg, const char *command);
    void *exec_arg;
};

enum { MU_CONF_PENDING = 2 };

/* Add one line, as ssh does: unless a former one holds. MU_EINVAL: too many identity files. */
int mu_conf_take(struct mu_conf_found *f, const struct mu_conf_line *l, struct mu_err *err);
/* Add all that holds for who->original; f already has what goes before. *hostname: where that leads (the HostName, in lower
 * case; numeric addresses in their usual form), the caller frees. MU_CONF_PENDING: a command's outcome is not known; ask
 * again from the start when it is. */
int mu_conf_ask(const struct mu_conf *c, const struct mu_conf_who *who, struct mu_conf_found *f, char **hostname,
                struct mu_err *err);

/* ---- the command line ---- */

/* Options as ssh's command line has them, in a shell's quoting ("-J bastion -o 'Ciphers=aes256-ctr' -i key"), each as a
 * line into f. *config_file: what -F names, or NULL. Lines and strings are of the arena. MU_EINVAL. */
int mu_conf_args(struct mu_conf_arena *a, const char *args, struct mu_conf_found *f, const char **config_file,
                 struct mu_err *err);
/* A line as one that a file has. */
struct mu_conf_line *mu_conf_said(struct mu_conf_arena *a, enum mu_conf_key key, const char *origin, const char *text);

/* ---- tokens ---- */

/* What %h and the like stand for. */
struct mu_conf_tokens {
    const char *original, *hostname, *alias, *user, *local_user, *home; /* alias: %k */
    int port;
};
/* text with the tokens of set replaced ("%%" always is), with env also ${NAME}, with home also a leading ~. The caller
 * frees *out. MU_EINVAL says which token or variable is not known. */
int mu_conf_expand(const char *text, const char *set, bool env, bool home, const struct mu_conf_tokens *t, char **out,
                   struct mu_err *err);
#define MU_CONF_TOKENS_ALL "CLdhiklnpru"
#define MU_CONF_TOKENS_PROXY "hknpr"

#endif
