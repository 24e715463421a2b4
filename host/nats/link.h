/* link.h: the connection as the threads of nats/ share it: who sends, who makes it anew when it is lost, and how what
 * libnats says gets into the loop.
 *
 * Purpose: libnats calls back in threads of its own and may block whoever sends, so a thread of ours sends, and mails carry
 *   everything else to the loop. It makes every connection itself and libnats never reconnects: libnats would give up for
 *   good when the same refusal comes twice, would send again what nobody waits for any more, and would not say why it was lost.
 * Owner: counted references: of mu_nats, of the sending thread, of every callback that libnats may still call, of jobs.
 * Thread: any, but where it says otherwise.
 * Must not know: runs, servers, what the bytes mean.
 */
#ifndef MU_NATS_LINK_H
#define MU_NATS_LINK_H

#include <pthread.h>
#include <signal.h>

#include <nats/nats.h>

#include "loop/mailbox.h"
#include "nats/client.h"

#define MU_NATS_ANSWER_MS 5000 /* for whatever the server is asked */

/* One connection. When it is lost it stays until nobody uses it any more. */
struct mu_nats_wire {
    natsConnection *nc;
    jsCtx *js;
    natsSubscription *answers;
    unsigned refs; /* under the link's lock */
};

/* What the sending thread has to do. */
enum mu_nats_task { MU_NATS_SEND, MU_NATS_EAR_OPEN, MU_NATS_EAR_CLOSE };
struct mu_nats_item {
    struct mu_nats_item *next;
    enum mu_nats_task task;
    natsMsg *msg;         /* SEND */
    uint64_t id;          /* of the post, or 0; of the ear */
    uint64_t deadline_ms; /* after it nobody waits for the post any more; 0: none */
    uint64_t generation;  /* the connection that the post is for */
    char subject[];       /* of the ear */
};

/* What goes to the loop. */
enum mu_nats_kind { MU_NATS_STATE, MU_NATS_ANSWER, MU_NATS_DENIED, MU_NATS_HEARD, MU_NATS_JOB, MU_NATS_TROUBLE };
struct mu_nats_mail {
    struct mu_msg msg;
    uint64_t id;              /* of the post, ear, or pull */
    int rc;                   /* ANSWER */
    uint64_t seq;             /* ANSWER; STATE: the generation of the connection, or of the next one */
    bool connected;           /* STATE */
    natsMsg *heard;           /* HEARD */
    struct mu_nats_job *job;  /* JOB */
    char text[];              /* why; the subject that was denied */
};

struct mu_nats_link {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_cond_t items;         /* the sending thread's: there are some, or the connection changed */
    unsigned refs;
    struct mu_mailbox *box;       /* NULL: nobody listens any more */
    natsOptions *options;
    struct mu_nats_wire *wire;    /* NULL: not connected */
    bool lost;                    /* the wire is of no use */
    uint64_t generation;          /* how many were lost */
    bool closing, ended;          /* the sending thread is to end, and has */
    uint64_t close_by_ms;
    struct mu_nats_item *first, **last;
    uint64_t queued, sent;        /* items, since the beginning */
    unsigned pulls;               /* threads that fetch */
    uint64_t n_denied;            /* how often the server said that these credentials may not, and the last time what */
    char denied[256];
    char why[256];                /* it is not connected */
    char where[256];
    size_t max_payload;
    char inbox[64];               /* answers to posts come to INBOX.ID */
    struct mu_nats_sub *subs;     /* the sending thread's */
    pthread_t sender;
};

/* Connect, and start the thread. The options become the link's with success. */
int mu_nats_link_open(struct mu_nats_link **out, natsOptions *options, const char *urls, struct mu_mailbox *box,
                      struct mu_err *err);
/* Ends the thread: sends what is queued, for at most a second. A reference is given up. */
void mu_nats_link_close(struct mu_nats_link *l);
struct mu_nats_link *mu_nats_link_ref(struct mu_nats_link *l);
void mu_nats_link_unref(struct mu_nats_link *l);

/* The connection, for a call that waits: waits for one, too, at most wait_ms. NULL and MU_EIO: there is none. */
struct mu_nats_wire *mu_nats_wire_take(struct mu_nats_link *l, uint64_t wait_ms, struct mu_err *err);
void mu_nats_wire_give(struct mu_nats_link *l, struct mu_nats_wire *w);

/* Queue; takes the item, also where the link is closing and nothing is sent any more. */
void mu_nats_link_put(struct mu_nats_link *l, struct mu_nats_item *item_take);
/* Queue a message, which is taken. 0 or MU_ENOMEM. Those with an id are posts, and sent on the connection of their
 * generation only: none that comes later overtakes one that was lost. */
int mu_nats_link_send(struct mu_nats_link *l, natsMsg *msg_take, uint64_t id, uint64_t deadline_ms, uint64_t generation);

struct mu_nats_mail *mu_nats_mail_new(enum mu_nats_kind kind, uint64_t id, const char *text); /* NULL: no memory */
void mu_nats_mail_free(struct mu_nats_mail *m);
void mu_nats_link_mail(struct mu_nats_link *l, struct mu_nats_mail *mail_take); /* NULL allowed */

/* The callback of a wire's answers; in post.c. */
void mu_nats_on_answer(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg);

/* Until the moment, by mu_clock_ms(), or a change. The lock is held. */
void mu_nats_link_wait(struct mu_nats_link *l, uint64_t until_ms);
/* Threads of libnats and of ours take no signals: those are for the program's own. */
void mu_nats_signals_block(sigset_t *former);
int mu_nats_thread(pthread_t *out, void *(*fn)(void *), void *arg); /* 0 or errno */

/* Text of a server, or of libnats about one: one line, escaped, cut. */
const char *mu_nats_plain(char *out, size_t size, const char *text);
/* What libnats says about the last call of this thread. */
const char *mu_nats_said(char *out, size_t size, natsStatus s);

#endif
