/* cert.h: what an OpenSSH certificate says about itself (PROTOCOL.certkeys), as far as choosing and explaining need it.
 *
 * Purpose: which key a certificate is for, when and for whom it holds. Its signature is the server's business.
 * Owner: the caller; the texts point into nothing, they are copies. Thread: any. Must not know: files, sessions.
 */
#ifndef MU_SSH_CERT_H
#define MU_SSH_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/buf.h"

struct mu_cert {
    struct mu_buf plain; /* the blob of the key that it is for */
    uint64_t valid_after, valid_before; /* seconds since 1970; UINT64_MAX: for ever */
    bool user;           /* for a user, not for a host */
    struct mu_buf principals; /* escaped, "ops,deploy"; empty: for anybody */
    struct mu_buf raw_principals; /* as in the certificate: strings with their lengths */
};

/* 0, MU_EINVAL when the blob is not a certificate of a type that is known, MU_ENOMEM. Free it whatever came back. */
int mu_cert_parse(struct mu_cert *c, const unsigned char *blob, size_t len);
void mu_cert_free(struct mu_cert *c);

/* Append why a server would refuse it now for this user: "it expired on 2024-01-31 12:00 UTC"; nothing when it should do. */
void mu_cert_explain(const struct mu_cert *c, const char *user, time_t now, struct mu_buf *out);

#endif
