/* agent.h: between the agent's proxy and its conversation with the real agent.
 *
 * Purpose: connecting and the identity list, asked once a run, both bounded in time.
 * Owner: the caller owns descriptors and buffers. Thread: any, one at a time. Must not know: sessions, the proxy.
 *
 * A message is a 4-byte length (network order) and that many bytes, the first of which is its type.
 */
#ifndef MU_SSH_AGENT_H
#define MU_SSH_AGENT_H

#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

enum { MU_AGENT_FAILURE = 5, MU_AGENT_LIST = 11, MU_AGENT_LIST_ANSWER = 12, MU_AGENT_SIGN = 13 };
#define MU_AGENT_FRAME_MAX ((size_t)256 << 10) /* what libssh and OpenSSH take */

/* A connected, non-blocking, close-on-exec descriptor, or a negative errno: -ETIMEDOUT when the agent does not accept
 * before deadline_ms (mu_clock_ms()). */
int mu_ssh_agent_connect(const char *path, uint64_t deadline_ms);

/* Send one framed message and read the answer, framed. 0 or a negative errno: -ETIMEDOUT, -EPIPE (it hung up), -EBADMSG
 * (too long or empty), -ENOMEM. */
int mu_ssh_agent_talk(int fd, const void *request, size_t len, struct mu_buf *answer, uint64_t deadline_ms);

/* The length of the frame that begins at data, its 4 bytes included; 0: not there yet; -1: too long or empty. */
long mu_ssh_agent_frame(const char *data, size_t len);

/* Copy a list answer, framed, without the identities that libssh cannot read: it would stop at the first of them and
 * never see those behind. The number kept, or -1 when the answer is malformed or out of memory. */
long mu_ssh_agent_filter_list(const char *answer, size_t len, struct mu_buf *out);

/* One identity of a list that was filtered; points into it. */
struct mu_ssh_agent_key {
    const unsigned char *blob;
    size_t len;
};
/* libssh's key, or certificate, of a blob; the caller's. NULL when libssh cannot read it. */
ssh_key mu_ssh_agent_import(const unsigned char *blob, size_t len);

/* The identities of a filtered list, n as it says; keys has room for them. */
void mu_ssh_agent_read_list(const struct mu_buf *list, struct mu_ssh_agent_key *keys, size_t n);

/* Append a framed list answer with this one identity. */
void mu_ssh_agent_list_of_one(const unsigned char *blob, size_t len, struct mu_buf *out);

/* Copy a framed sign request, with blob as the key to sign with when len is not 0. */
void mu_ssh_agent_sign_with(const char *request, size_t n, const unsigned char *blob, size_t len, struct mu_buf *out);

#endif
