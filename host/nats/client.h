/* client.h: the one door to libnats: a connection to nats-server, what JetStream keeps there, and the work it hands out.
 *
 * Purpose: streams and consumers are made as asked; messages are put, fetched and acknowledged; what happens comes back as
 *   callbacks in the loop's thread, never inside a call. A connection that is lost is made anew, for ever (link.h says how).
 * Owner: the caller owns what _open and _new give; ears and pulls that are still there go with mu_nats_close(), jobs may be
 *   freed after it. Bytes given are copied.
 * Thread: the loop's, but the functions under "that wait", which any thread may call and which block it.
 * Must not know: runs, servers, what the bytes mean.
 *
 * Security: a plain connection to anything but a loopback address is refused unless `insecure` is set; certificates and host
 * names are verified. No secret is ever in a message or an error.
 */
#ifndef MU_NATS_CLIENT_H
#define MU_NATS_CLIENT_H

#include "core/buf.h"
#include "loop/loop.h"

struct mu_nats;

struct mu_nats_config {
    const char *urls;  /* "nats://host:4222", "tls://…"; several, commas between them. No user and no password in them */
    const char *name;  /* of this client, as the server's monitoring shows it; NULL: "muster" */
    const char *user, *password, *token; /* NULL: none */
    const char *nkey_file;  /* a file with an nkey's seed; NULL: none */
    const char *creds_file; /* JWT and seed, as nsc writes them; NULL: none */
    const char *ca_file;    /* PEM, instead of the system's authorities; NULL: those. Any of these three asks for TLS */
    const char *cert_file, *key_file; /* of this client; NULL: none */
    bool insecure;
};

/* The connection was lost, or is there again. why: in words; "" when it is there. Called again, with the same `connected`, when
 * there is another reason why it cannot be made: credentials that are refused now. */
typedef void mu_nats_state_fn(void *arg, bool connected, const char *why);

/* Blocks until the first connection is made. MU_EINVAL: a bad URL, a file that cannot be read, plain text off the loopback;
 * MU_EIO: nobody there, TLS; MU_EAUTH: refused credentials; MU_ENOMEM. Each message names the URL and what to do. */
int mu_nats_open(struct mu_nats **out, const struct mu_nats_config *config, struct mu_loop *loop, mu_nats_state_fn *fn, void *arg,
                 struct mu_err *err);
/* Sends what is still to be sent (at most a second; with libnats stuck in a call, two in all). Posts and pulls end without a
 * word. Allowed in a callback. NULL allowed. */
void mu_nats_close(struct mu_nats *n);
bool mu_nats_connected(const struct mu_nats *n);
size_t mu_nats_max_payload(const struct mu_nats *n); /* bytes of one message */
const char *mu_nats_where(const struct mu_nats *n);  /* the server's URL, for messages; nothing secret in it */

/* ---- that wait, each at most 5 s for a connection, when there is none, and 5 s for an answer ----
 * MU_EIO: none of them; MU_EPERM: these credentials may not; MU_ENOENT: no such stream, or consumer. */

enum mu_nats_retention { MU_NATS_LIMITS, MU_NATS_WORK_QUEUE };
struct mu_nats_stream {
    const char *name;
    const char *const *subjects; /* NULL-terminated */
    enum mu_nats_retention retention;
    int64_t max_age_ms;        /* 0: for ever */
    int64_t max_bytes;         /* 0: no bound; when it is reached new messages are refused, none is dropped */
    int64_t max_per_subject;   /* 0: no bound; else the oldest of the subject goes */
};
/* Make the stream, on file storage, unless it is there: then it stays as whoever made it wants it, but MU_ESTATE when its
 * retention is another. MU_EPERM: these credentials may not. */
int mu_nats_stream_ensure(struct mu_nats *n, const struct mu_nats_stream *s, struct mu_err *err);

struct mu_nats_consumer {
    const char *stream, *durable, *filter;
    int64_t ack_wait_ms;
    int64_t max_deliver;     /* 0: no bound */
    int64_t max_ack_pending;
};
/* Make the durable pull consumer, with explicit acknowledgement; one that is there gets these settings. */
int mu_nats_consumer_ensure(struct mu_nats *n, const struct mu_nats_consumer *c, struct mu_err *err);
/* *left: messages that it has to hand out yet, or has handed out and nobody has acknowledged. */
int mu_nats_consumer_left(struct mu_nats *n, const char *stream, const char *durable, uint64_t *left, struct mu_err *err);
/* 0 also when there is none. */
int mu_nats_consumer_remove(struct mu_nats *n, const char *stream, const char *durable, struct mu_err *err);

/* What is expected to be the last message of a subject, for whoever puts the next: anything; none; the one with this
 * sequence. */
#define MU_NATS_ANY UINT64_MAX
#define MU_NATS_NONE 0
/* Put a message and wait until it is stored; *seq (may be NULL): its sequence. MU_EEXIST: another one than expected is there. */
int mu_nats_put(struct mu_nats *n, const char *subject, const void *bytes, size_t len, uint64_t expected, uint64_t *seq,
                struct mu_err *err);
/* The last message of a subject. MU_ENOENT: there is none. */
int mu_nats_last(struct mu_nats *n, const char *stream, const char *subject, struct mu_buf *out, uint64_t *seq,
                 struct mu_err *err);
/* The last message of each subject that fits the filter, in no order; of a stream with limits. age_ms: since it was stored, by
 * the server's clock. fn returns 0 to go on. Returns what ended it. */
typedef int mu_nats_each_fn(void *arg, const char *subject, const void *bytes, size_t len, uint64_t seq, int64_t age_ms);
int mu_nats_each_last(struct mu_nats *n, const char *stream, const char *filter, mu_nats_each_fn *fn, void *arg,
                      struct mu_err *err);
/* The subjects alone, which costs one question, where the messages of a work queue cost one each. */
int mu_nats_each_subject(struct mu_nats *n, const char *stream, const char *filter, int (*fn)(void *arg, const char *subject),
                         void *arg, struct mu_err *err);
/* Remove all messages whose subject fits the filter; *removed (may be NULL): how many. */
int mu_nats_purge(struct mu_nats *n, const char *stream, const char *filter, uint64_t *removed, struct mu_err *err);
/* Until the server has read all that was sent so far: proof that it can be reached. MU_EIO after timeout_ms. */
int mu_nats_flush(struct mu_nats *n, uint64_t timeout_ms, struct mu_err *err);

/* ---- from the loop ---- */

/* A message that nobody keeps: who listens now gets it. 0, MU_EIO (not connected), MU_EINVAL, MU_ENOMEM. */
int mu_nats_say(struct mu_nats *n, const char *subject, const char *reply /* NULL: none */, const void *bytes, size_t len);
struct mu_nats_heard {
    const char *subject, *reply; /* reply NULL: none is wanted */
    const void *bytes;
    size_t len;
};
typedef void mu_nats_hear_fn(void *arg, const struct mu_nats_heard *heard); /* everything is borrowed for the call */
struct mu_nats_ear;
int mu_nats_listen(struct mu_nats_ear **out, struct mu_nats *n, const char *subject, mu_nats_hear_fn *fn, void *arg,
                   struct mu_err *err);
void mu_nats_listen_end(struct mu_nats_ear *e); /* NULL allowed; fn is not called any more */
void mu_nats_inbox(struct mu_nats *n, char out[64]); /* a subject that nobody else has, for replies */

/* Put a message without waiting; done comes from the loop, once, with 0, MU_EEXIST, or why not: MU_EPERM; MU_EINVAL, larger than
 * the server takes; MU_EIO, the connection was lost, or there was no answer within 5 s: it may be stored all the same. Messages
 * are stored in the order in which they were posted. With a connection all posts that wait for an answer are lost, in that
 * order, before a later one is sent: whoever posts them again, each when it is told, or all of them, keeps the order.
 * Without a connection a post waits for one. id (NULL: none): what is put twice with the same within two minutes is stored once.
 * Returns 0, or MU_ENOMEM or MU_EINVAL and done is not called; the caller bounds how many wait. */
typedef void mu_nats_post_fn(void *arg, int rc, uint64_t seq, const struct mu_err *err);
int mu_nats_post(struct mu_nats *n, const char *subject, const char *id, const void *bytes, size_t len, uint64_t expected,
                 mu_nats_post_fn *done, void *arg);

/* Work from one or several durable consumers of a stream, fetched by a thread of its own, in turn when there are several. */
struct mu_nats_pull;
struct mu_nats_job;
typedef void mu_nats_pull_fn(void *arg, struct mu_nats_job *job_take);
int mu_nats_pull_new(struct mu_nats_pull **out, struct mu_nats *n, const char *stream, const char *const *durables /* to NULL */,
                     mu_nats_pull_fn *fn, void *arg, struct mu_err *err);
/* Before the first is wanted: what comes too late for the request that it answers (a server, or we, stood still meanwhile) is not handed
 * over, since its ack wait may be over, and somebody else may have it. It is handed out again. */
void mu_nats_pull_only_fresh(struct mu_nats_pull *p);
void mu_nats_pull_want(struct mu_nats_pull *p, unsigned more); /* so many more than those that were wanted before */
/* A consumer that cannot be asked (it is not there, these credentials may not) is one warning in the log, and asked again. */
/* Whatever was fetched and not yet handed over goes back to the queue at once. NULL allowed. */
void mu_nats_pull_free(struct mu_nats_pull *p);

const char *mu_nats_job_subject(const struct mu_nats_job *j);
const void *mu_nats_job_bytes(const struct mu_nats_job *j, size_t *len);
uint64_t mu_nats_job_delivery(const struct mu_nats_job *j); /* from 1 */
uint64_t mu_nats_job_seq(const struct mu_nats_job *j);      /* in the stream */
void mu_nats_job_working(struct mu_nats_job *j);            /* it is being worked on: its ack wait begins anew */
/* Each of these ends it, and frees it; sent, not waited for. */
void mu_nats_job_ack_free(struct mu_nats_job *j);
void mu_nats_job_give_back_free(struct mu_nats_job *j);     /* somebody else is to have it at once */
void mu_nats_job_free(struct mu_nats_job *j);               /* nothing is said; NULL allowed */

#endif
