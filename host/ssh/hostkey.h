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
    enum mu_hostkey_policy policy;
    struct mu_known_hosts *known;
    char *path; /* the first file: where accept-new appends and what messages name */
    pthread_mutex_t learning;
    atomic_bool off_warned, store_warned;
};

/* A server and the key that it offers. */
struct mu_host {
    const char *name;       /* as known_hosts records it */
    const char *bare;       /* without the port; NULL when that is the same */
    const char *shown;      /* name, safe to print */
    const char *host_shown; /* bare, safe to print */
    int port;
    unsigned char *blob;
    size_t len;
    char *b64;
    struct mu_buf texts[4]; /* where the first four are kept */
};

/* Make one, port 0 is 22; close it whatever open returned. 0 or MU_ENOMEM. */
int mu_host_open(struct mu_host *h, const char *host, int port, ssh_key key, struct mu_err *err);
void mu_host_close(struct mu_host *h);

/* Append "ED25519 SHA256:…". */
void mu_hostkey_add_fingerprint(struct mu_buf *out, const unsigned char *blob, size_t len);
/* Warn once a run that nothing is checked. */
void mu_hostkey_warn_off(struct mu_hostkeys *hk);

struct mu_hostkey_found {
    const struct mu_known_key *revoked, *other; /* the offered key revoked; another key recorded */
    bool same, ca;                              /* the offered key recorded; some certificate authority recorded */
};

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
