/* agent_support.h: what the tests of the agent's proxy have in common: a shared part that uses an agent, requests and
 * what answers them, and an agent made up here, in a thread, that does what a test wants.
 *
 * Purpose: for test programs only. Owner: each program has its own copy. Thread: a made-up agent's on_sign is called in
 * that agent's thread; asking may be done in any. Must not know: sessions.
 */
#ifndef AGENT_SUPPORT_H
#define AGENT_SUPPORT_H

#include "shared_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libssh/libssh.h>

#include "core/clock.h"
#include "ssh/agent.h"
#include "ssh/known_match.h"
#include "ssh/shared_parts.h"

static const char list_request[] = {0, 0, 0, 1, MU_AGENT_LIST};
static const char sign_request[] = {0, 0, 0, 13, MU_AGENT_SIGN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static const char failure[] = {0, 0, 0, 1, MU_AGENT_FAILURE};
static const char signature[] = {0, 0, 0, 7, 14, 0, 0, 0, 2, 'o', 'k'};

static struct mu_buf one_identity; /* a list answer, framed */

static struct mu_ssh_shared *shared_with(const char *socket_path, uint64_t timeout_ms)
{
    static const char *const none[] = {NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_OFF,
                                   .key_files = none,
                                   .use_agent = true,
                                   .agent_socket = socket_path,
                                   .agent_timeout_ms = timeout_ms};
    struct mu_ssh_shared *sh = NULL;
    struct mu_err err = {0};

    if (mu_ssh_shared_new(&sh, &config, &err))
        fail_msg("%s", err.msg);
    return sh;
}

/* Ask through the proxy; what it must answer. */
static bool asks(int fd, const void *request, size_t len, const void *expected, size_t expected_len)
{
    struct mu_buf answer = MU_BUF_INIT;
    bool ok = mu_ssh_agent_talk(fd, request, len, &answer, mu_clock_ms() + 60000) == 0 && answer.len == expected_len &&
              !memcmp(answer.data, expected, expected_len);

    mu_buf_free(&answer);
    return ok;
}
#define ASKS(fd, request, expected) asks((fd), (request), sizeof(request), (expected), sizeof(expected))

/* ---- fake agents ---- */

struct fake {
    const char *path;
    int listen_fd;
    pthread_t thread;
    atomic_uint connections, lists, signs;
    const struct mu_buf *list; /* NULL: no answer to a list request */
    /* For sign requests: 0 stay, 1 hang up. */
    int (*on_sign)(struct fake *f, int fd, const char *frame, size_t len);
};

static void send_all(int fd, const void *data, size_t len)
{
    if (send(fd, data, len, MSG_NOSIGNAL) < 0)
        return; /* the proxy gave up on us */
}

static void *fake_run(void *arg)
{
    struct fake *f = arg;
    char chunk[4096];
    int fd;

    while ((fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct mu_buf in = MU_BUF_INIT;
        int end = 0;
        ssize_t n;
        atomic_fetch_add(&f->connections, 1);
        while (!end && (n = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
            long frame;
            mu_buf_add(&in, chunk, (size_t)n);
            while (!end && (frame = mu_ssh_agent_frame(in.data, in.len)) > 0) {
                if (in.data[4] == MU_AGENT_LIST) {
                    atomic_fetch_add(&f->lists, 1);
                    if (f->list)
                        send_all(fd, f->list->data, f->list->len);
                } else {
                    atomic_fetch_add(&f->signs, 1);
                    end = f->on_sign(f, fd, in.data, (size_t)frame);
                }
                memmove(in.data, in.data + frame, in.len - (size_t)frame);
                in.len -= (size_t)frame;
            }
        }
        mu_buf_free(&in);
        close(fd);
    }
    return NULL;
}

static void fake_start(struct fake *f, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    f->path = path;
    strcpy(addr.sun_path, path);
    unlink(path);
    f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(f->listen_fd, 8), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

static void fake_stop(struct fake *f)
{
    shutdown(f->listen_fd, SHUT_RDWR); /* ends accept */
    pthread_join(f->thread, NULL);
    close(f->listen_fd);
}

static int keep_silent(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    (void)fd;
    (void)frame;
    (void)len;
    return 0;
}

static int sign(struct fake *f, int fd, const char *frame, size_t len)
{
    (void)f;
    assert_int_equal(len, sizeof(sign_request));
    assert_memory_equal(frame, sign_request, len);
    send_all(fd, signature, sizeof(signature));
    return 0;
}

/* ---- every program's set-up ---- */

static int set_up_identity(void **state)
{
    ssh_key key = NULL;
    char *b64 = NULL;
    unsigned char blob[128];
    long len;

    if (set_up(state) || ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) || ssh_pki_export_pubkey_base64(key, &b64))
        return -1;
    len = mu_known_base64(b64, strlen(b64), blob, sizeof(blob));
    mu_buf_add(&one_identity, (char[]){0, 0, 0, (char)(5 + 4 + len + 4 + 3), MU_AGENT_LIST_ANSWER, 0, 0, 0, 1}, 9);
    mu_buf_add(&one_identity, (char[]){0, 0, 0, (char)len}, 4);
    mu_buf_add(&one_identity, blob, (size_t)len);
    mu_buf_add(&one_identity, "\0\0\0\3key", 7);
    ssh_string_free_char(b64);
    ssh_key_free(key);
    return len > 0 ? 0 : -1;
}

static int tear_down_identity(void **state)
{
    mu_buf_free(&one_identity);
    return tear_down(state);
}

#endif
