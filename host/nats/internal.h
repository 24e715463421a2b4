/* internal.h: what the parts of nats/ that run in the loop share.
 * Owner: struct mu_nats owns posts, ears and pulls that are still there. Thread: the loop's. Must not know: runs, servers.
 */
#ifndef MU_NATS_INTERNAL_H
#define MU_NATS_INTERNAL_H

#include "nats/link.h"

struct mu_nats_post_entry;
struct mu_nats {
    struct mu_nats_link *link;
    struct mu_loop *loop;
    struct mu_mailbox *box;
    mu_nats_state_fn *fn;
    void *arg;
    bool connected;
    bool *freed; /* set when it is closed in a callback */
    char where[256];
    uint64_t last_id;    /* of ears and pulls */
    uint64_t generation; /* of the connection that posts are for */
    /* Posts by id, from `oldest` on: ring[id % cap], NULL: it has ended. All wait equally long, so the oldest ends first. */
    struct mu_nats_post_entry **ring;
    size_t cap;
    uint64_t oldest, next_post;
    struct mu_timer *timer;
    struct mu_nats_ear *ears;
    struct mu_nats_pull *pulls;
};

/* Each what mails of that kind are for; and the end of what is still there. */
void mu_nats_posts_answer(struct mu_nats *n, const struct mu_nats_mail *m);
void mu_nats_posts_denied(struct mu_nats *n, const char *text);
void mu_nats_posts_lost(struct mu_nats *n, uint64_t generation); /* ends those that were for an earlier one */
void mu_nats_posts_free(struct mu_nats *n);
void mu_nats_ears_hear(struct mu_nats *n, const struct mu_nats_mail *m);
void mu_nats_ears_free(struct mu_nats *n);
void mu_nats_pulls_take(struct mu_nats *n, struct mu_nats_mail *m); /* hands the mail's job over */
void mu_nats_pulls_trouble(struct mu_nats *n, const struct mu_nats_mail *m); /* says it once; "": it is over */
void mu_nats_pulls_free(struct mu_nats *n);

/* Takes the message also when it fails. MU_ENOMEM. */
int mu_nats_job_new(struct mu_nats_job **out, struct mu_nats_link *l, natsMsg *msg_take);

#endif
