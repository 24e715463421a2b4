/* agent_io.c: see agent.h. */
#include "ssh/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"

#define IDENTITIES_MAX 1024 /* libssh refuses longer lists as a whole */

static uint64_t left_ms(uint64_t deadline_ms)
{
    uint64_t now = mu_clock_ms();

    return deadline_ms > now ? deadline_ms - now : 0;
}

int mu_ssh_agent_connect(const char *path, uint64_t deadline_ms)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd, rc;

    if (strlen(path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    strcpy(addr.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* A non-blocking connect to a full queue fails at once and cannot be polled for; a blocking one waits for the queue
     * at most as long as this says. */
    do {
        uint64_t ms = left_ms(deadline_ms);
        struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
        if (ms == 0) {
            rc = -ETIMEDOUT;
            break;
        }
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
        rc = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
    } while (rc == -EINTR);
    if (rc == -EAGAIN || rc == -EINPROGRESS)
        rc = -ETIMEDOUT;
    if (!rc && fcntl(fd, F_SETFL, O_NONBLOCK))
        rc = -errno;
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

/* Wait for events. 0 or -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        uint64_t ms = left_ms(deadline_ms);
        if (ms == 0)
            return -ETIMEDOUT;
        if (poll(&p, 1, ms > 60000 ? 60000 : (int)ms) > 0)
            return 0;
    }
}

long mu_ssh_agent_frame(const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t n;

    if (len < 4)
        return 0;
    n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n == 0 || n > MU_AGENT_FRAME_MAX)
        return -1;
    return n <= len - 4 ? (long)(n + 4) : 0;
}

int mu_ssh_agent_talk(int fd, const void *request, size_t len, struct mu_buf *answer, uint64_t deadline_ms)
{
    const char *p = request;
    char chunk[4096];
    long frame;
    ssize_t n;
    int rc;

    while (len) {
        n = send(fd, p, len, MSG_NOSIGNAL);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
            return -errno;
        } else if ((rc = wait_for(fd, POLLOUT, deadline_ms))) {
            return rc;
        }
    }
    mu_buf_clear(answer);
    while ((frame = mu_ssh_agent_frame(mu_buf_cstr(answer), answer->len)) == 0) {
        n = recv(fd, chunk, sizeof(chunk), 0);
        if (n > 0)
            mu_buf_add(answer, chunk, (size_t)n);
        else if (n == 0)
            return -EPIPE;
        else if (errno != EAGAIN && errno != EINTR)
            return -errno;
        else if ((rc = wait_for(fd, POLLIN, deadline_ms)))
            return rc;
        if (answer->failed)
            return -ENOMEM;
    }
    return frame < 0 || (size_t)frame != answer->len ? -EBADMSG : 0;
}

/* The next string of a message; NULL at its end or when it is cut. */
static const char *next_string(const char **p, const char *end, size_t *n)
{
    const unsigned char *u = (const unsigned char *)*p;
    const char *s;

    if (end - *p < 4)
        return NULL;
    *n = (size_t)u[0] << 24 | (size_t)u[1] << 16 | (size_t)u[2] << 8 | u[3];
    if (*n > (size_t)(end - *p) - 4)
        return NULL;
    s = *p + 4;
    *p = s + *n;
    return s;
}

ssh_key mu_ssh_agent_import(const unsigned char *blob, size_t len)
{
    const char *p = (const char *)blob, *type;
    char name[128] = "", *b64 = NULL;
    enum ssh_keytypes_e kind;
    ssh_key key = NULL;
    size_t n;

    type = next_string(&p, p + len, &n);
    if (!type || n >= sizeof(name))
        return NULL;
    memcpy(name, type, n);
    kind = ssh_key_type_from_name(name);
    b64 = malloc(len / 3 * 4 + 8);
    if (kind != SSH_KEYTYPE_UNKNOWN && b64) {
        EVP_EncodeBlock((unsigned char *)b64, blob, (int)len);
        if ((strstr(name, "-cert-v01") ? ssh_pki_import_cert_base64(b64, kind, &key)
                                       : ssh_pki_import_pubkey_base64(b64, kind, &key)) != SSH_OK)
            key = NULL;
    }
    free(b64);
    return key;
}

/* Whether libssh can make a key of the blob. */
static bool readable(const char *blob, size_t len)
{
    ssh_key key = mu_ssh_agent_import((const unsigned char *)blob, len);

    ssh_key_free(key);
    return key != NULL;
}

static void put32(char *p, size_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (char)(v & 0xff);
}

long mu_ssh_agent_filter_list(const char *answer, size_t len, struct mu_buf *out)
{
    const char *p = answer + 9, *end = answer + len;
    size_t count, n;
    long kept = 0;

    if (mu_ssh_agent_frame(answer, len) != (long)len || len < 9 || answer[4] != MU_AGENT_LIST_ANSWER)
        return -1;
    count = (size_t)(unsigned char)answer[5] << 24 | (size_t)(unsigned char)answer[6] << 16 |
            (size_t)(unsigned char)answer[7] << 8 | (unsigned char)answer[8];
    mu_buf_add(out, answer, 9);
    for (size_t i = 0; i < count; i++) {
        const char *start = p, *blob = next_string(&p, end, &n);
        size_t comment_len;
        if (!blob || !next_string(&p, end, &comment_len))
            return -1;
        if (kept < IDENTITIES_MAX && readable(blob, n)) {
            mu_buf_add(out, start, (size_t)(p - start));
            kept++;
        }
    }
    if (p != end || out->failed)
        return -1;
    put32(out->data, out->len - 4);
    put32(out->data + 5, (size_t)kept);
    return kept;
}

void mu_ssh_agent_read_list(const struct mu_buf *list, struct mu_ssh_agent_key *keys, size_t n)
{
    const char *p = list->data + 9, *end = list->data + list->len;
    size_t comment_len;

    for (size_t i = 0; i < n; i++) {
        keys[i].blob = (const unsigned char *)next_string(&p, end, &keys[i].len);
        next_string(&p, end, &comment_len);
    }
}

void mu_ssh_agent_list_of_one(const unsigned char *blob, size_t len, struct mu_buf *out)
{
    char head[13] = {0};

    put32(head, 1 + 4 + 4 + len + 4);
    head[4] = MU_AGENT_LIST_ANSWER;
    put32(head + 5, 1);
    put32(head + 9, len);
    mu_buf_add(out, head, sizeof(head));
    mu_buf_add(out, blob, len);
    mu_buf_add(out, "\0\0\0", 4); /* no comment */
}

void mu_ssh_agent_sign_with(const char *request, size_t n, const unsigned char *blob, size_t len, struct mu_buf *out)
{
    const char *p = request + 5;
    size_t former_len;
    char head[9];

    if (!len || n < 5 || !next_string(&p, request + n, &former_len)) {
        mu_buf_add(out, request, n);
        return;
    }
    put32(head, 1 + 4 + len + (size_t)(request + n - p));
    head[4] = MU_AGENT_SIGN;
    put32(head + 5, len);
    mu_buf_add(out, head, sizeof(head));
    mu_buf_add(out, blob, len);
    mu_buf_add(out, p, (size_t)(request + n - p));
}
