/* hostkey.h: between the files that judge, learn and order host keys.
 *
 * Purpose: their shared structs. Owner: mu_ssh_shared owns the one mu_hostkeys; a mu_host lives for one check.
 * Thread: any, except mu_hostkey_prepare_file(): the main thread, at the start. Must not know: sessions, loops.
 */
#ifndef MU_SSH_HOSTKEY_H
#define MU_SSH_HOSTKEY_H

#include <pthread.h>
#include <stdatomic.h>

#include "ssh/known_hosts.h"
#include "ssh/shared_parts.h"

struct mu_hostkeys {
    enum mu_hostkey_policy policy; /* the run's */
    struct mu_known_hosts *known;
    char *path; /* the first file: where accept-new appends and what messages name */
    pthread_mutex_t learning;
    atomic_bool off_warned, store_warned;
    pthread_mutex_t lock;       /* over others, for all that is below the run's */
    struct mu_hostkeys *others; /* of servers with files of their own; entries stay */
    char *files;                /* of such an entry: their paths, one a line */
};

/* The table of the files that the options name, read now or earlier; the run's when they name none. 0 or MU_ENOMEM. */
struct mu_ssh_options;
int mu_hostkeys_of(struct mu_hostkeys **out, struct mu_hostkeys *run, const struct mu_ssh_options *o, struct mu_err *err);

/* A server and the key that it offers. */
struct mu_host {
    const char *name;       /* as known_hosts records it */
    const char *bare;       /* without the port; NULL when that is the same */
    const char *shown;      /* name, safe to print */
    const char *host_shown; /* the host itself, without the port, safe to print */
    int port;
    bool alias; /* name is a HostKeyAlias */
    unsigned char *blob;
    size_t len;
    char *b64;
    struct mu_buf texts[4]; /* where the first four are kept */
};

/* Make one, port 0 is 22, alias stands for host and port in known_hosts (NULL: none); close it whatever open returned. 0 or MU_ENOMEM. */
int mu_host_open(struct mu_host *h, const char *host, int port, const char *alias, ssh_key key, struct mu_err *err);
void mu_host_close(struct mu_host *h);

/* Append "ED25519 SHA256:…". */
void mu_hostkey_add_fingerprint(struct mu_buf *out, const unsigned char *blob, size_t len);
/* Warn once a run that nothing is checked. */
void mu_hostkey_warn_off(struct mu_hostkeys *hk);

struct mu_hostkey_found {
    const struct mu_known_key *revoked, *other; /* the offered key revoked; another key recorded */
    const struct mu_known_key *ca;              /* some certificate authority recorded */
    bool same;                                  /* the offered key recorded */
};

/* Whether the offered key is revoked for its name, with or without its port: then err says so. */
bool mu_hostkey_is_revoked(struct mu_hostkeys *hk, const struct mu_host *h, struct mu_err *err);

/* hostkey_say.c: each fills err and returns its code. */
int mu_hostkey_unknown(const struct mu_hostkeys *hk, const struct mu_host *h, struct mu_err *err);
int mu_hostkey_only_ca(const struct mu_hostkeys *hk, const struct mu_host *h, const struct mu_known_key *ca,
                       struct mu_err *err);
int mu_hostkey_changed(const struct mu_host *h, const struct mu_known_key *other, struct mu_err *err);
int mu_hostkey_revoked(const struct mu_host *h, const struct mu_known_key *revoked, struct mu_err *err);

/* hostkey_order.c: the algorithms that a key of this type signs with, as a set; all supported ones in order, those of the
 * set first. */
unsigned mu_hostkey_algorithms_of(const unsigned char *blob, size_t len);
void mu_hostkey_order(unsigned known, struct mu_buf *out);

/* Append the name as known_hosts records it: lower case, "[host]:port" when the port is neither 0 nor 22. */
void mu_hostkey_name(struct mu_buf *out, const char *host, int port);

struct mu_hostkey_found mu_hostkey_search(struct mu_hostkeys *hk, const char *name, const struct mu_host *host);

/* Create the file that accept-new appends to and see that it can be written. A file that was named must be writable; a
 * default one only gives a warning when a key cannot be stored. */
int mu_hostkey_prepare_file(struct mu_hostkeys *hk, bool named, struct mu_err *err);
/* Record the offered key for its name, unless another thread was faster: then what that one recorded is returned. A key
 * that cannot be stored in the file is known for this run, with one warning. */
struct mu_hostkey_found mu_hostkey_learn(struct mu_hostkeys *hk, const struct mu_host *host);

#endif
