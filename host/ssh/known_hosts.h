/* known_hosts.h: the records of known_hosts files in memory, found by name without walking the file.
 *
 * Purpose: read OpenSSH's known_hosts files once and tell which recorded keys are meant for a name.
 * Owner: the table owns its records; a record handed out lives as long as the table (none is ever taken out).
 * Thread: reading files: one thread, before the others. Visiting and adding: any, they lock inside.
 * Must not know: policies, libssh, what a session is.
 *
 * A name is what OpenSSH records: "host", or "[host]:port" when the port is not 22. Plain names are found in constant
 * time. Lines with wildcards or negations are walked one by one. A hashed line fits one name only, so it is moved to
 * that name when it is first found, and a name that was searched once is not searched again.
 */
#ifndef MU_SSH_KNOWN_HOSTS_H
#define MU_SSH_KNOWN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

enum mu_known_marker { MU_KNOWN_PLAIN, MU_KNOWN_REVOKED, MU_KNOWN_CA };

struct mu_known_key {
    struct mu_known_key *next; /* the table's own */
    const char *file;
    unsigned long line; /* 0: added in this run */
    enum mu_known_marker marker;
    size_t len;
    unsigned char blob[]; /* the key as RFC 4253 writes it; begins with its type, checked */
};

struct mu_known_hosts;
int mu_known_hosts_new(struct mu_known_hosts **out); /* 0 or MU_ENOMEM */
void mu_known_hosts_free(struct mu_known_hosts *kh);

/* Read one file. MU_ENOENT when it is missing, MU_EIO when it cannot be read. Lines that make no sense are left out
 * with one warning a file. */
int mu_known_hosts_read(struct mu_known_hosts *kh, const char *path, struct mu_err *err);

/* Add one line's names (comma list, patterns or hashed) with their key. file is copied once. 0, MU_ENOMEM, or MU_EINVAL
 * when names cannot be understood. */
int mu_known_hosts_add(struct mu_known_hosts *kh, const char *names, const char *file, unsigned long line,
                       enum mu_known_marker marker, const unsigned char *blob, size_t len);

/* Call fn for the keys recorded for name (lower case) until it returns true. With deep, hashed lines are searched too;
 * without, only those already found. Returns whether fn did. fn must not call back. */
typedef bool mu_known_fn(void *arg, const struct mu_known_key *key);
bool mu_known_hosts_visit(struct mu_known_hosts *kh, const char *name, bool deep, mu_known_fn *fn, void *arg);
bool mu_known_hosts_hashed_revoked(
    const struct mu_known_hosts *kh); /* some @revoked line is hashed: search deep at once */

/* For tests: how many names, patterns and hashes were compared so far. */
size_t mu_known_hosts_comparisons(const struct mu_known_hosts *kh);

/* The type at the head of a key blob, not terminated; NULL when the blob is not one. */
const char *mu_known_blob_type(const unsigned char *blob, size_t len, size_t *type_len);

#endif
