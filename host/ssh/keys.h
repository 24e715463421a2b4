/* keys.h: identity files and certificates in memory, for the files that read, keep and use them.
 *
 * Purpose: each file is read, and its key decrypted, once a run, whoever names it. What cannot be used is kept too, with the
 *   reason, for the error of whoever is not let in.
 * Owner: struct mu_keys (shared_parts.h) owns all of it; what is handed out lives as long as that and never changes.
 * Thread: any; loading locks inside and blocks. Must not know: sessions, loops.
 */
#ifndef MU_SSH_KEYS_H
#define MU_SSH_KEYS_H

#include <libssh/libssh.h>

#include "core/err.h"
#include "ssh/cert.h"
#include "ssh/shared_parts.h"

struct mu_certificate {
    char *path; /* as it was named */
    ssh_key key; /* the certificate alone; NULL: see why */
    unsigned char *blob;
    size_t len;
    struct mu_cert about;
    const char *why;
};

struct mu_identity {
    char *path;  /* as it was named */
    ssh_key key; /* the private key; NULL: see err and why */
    unsigned char *blob; /* its public part; NULL: not known */
    size_t len;
    struct mu_certificate *certificate; /* PATH-cert.pub, or NULL */
    bool missing; /* there is no such file */
    bool locked;  /* it is encrypted, and there was no passphrase for it */
    struct mu_err err;
    const char *why; /* the same in few words: "not there" */
};

/* Where passphrases come from. Tried in this order. */
struct mu_unlock {
    const struct mu_ssh_agent *agent; /* a key that it holds is left encrypted; NULL: none */
    const char *passphrase;       /* NULL: none */
    mu_ssh_ask_fn *ask;           /* NULL: nobody is there */
    void *ask_arg;
    bool later; /* an encrypted key costs time: leave it for another time, *out stays NULL */
};

/* key_file.c: read one. The result says what is wrong with the file; MU_ENOMEM alone is a failure of the call. */
int mu_identity_read(struct mu_identity **out, const char *path, const struct mu_unlock *unlock, struct mu_err *err);
void mu_identity_free(struct mu_identity *id);
int mu_certificate_read(struct mu_certificate **out, const char *path, struct mu_err *err);
void mu_certificate_free(struct mu_certificate *c);
/* The public part of a key as RFC 4253 writes it; the caller frees *blob. 0 or MU_ENOMEM. */
int mu_key_blob(ssh_key key, unsigned char **blob, size_t *len);

/* keys.c: what was loaded so far, or NULL. */
const struct mu_identity *mu_keys_find(struct mu_keys *keys, const char *path);
const struct mu_certificate *mu_keys_find_certificate(struct mu_keys *keys, const char *path);
/* Load it unless it is there. 0 or MU_ENOMEM: a file that cannot be used is no error here. */
int mu_keys_load(struct mu_keys *keys, const char *path, const struct mu_ssh_agent *agent, const struct mu_identity **out,
                 struct mu_err *err);
int mu_keys_load_certificate(struct mu_keys *keys, const char *path, struct mu_err *err);
/* The run's own identities, for servers that name none. */
size_t mu_keys_shared(struct mu_keys *keys, const struct mu_identity *const **out);

#endif
