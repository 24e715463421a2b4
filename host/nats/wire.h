/* wire.h: one connection of libnats, and the subscriptions on it.
 * Owner: counted, see link.h. Thread: the sending thread's, and of the first connection the opener's; callbacks are libnats'. Must
 *   not know: what is sent.
 */
#ifndef MU_NATS_WIRE_H
#define MU_NATS_WIRE_H

#include "nats/link.h"

/* The sending thread: of a link with a wire, until it is closing. */
void *mu_nats_send_thread(void *link);

/* Connect once. MU_EIO, MU_EAUTH, MU_ENOMEM. */
int mu_nats_wire_new(struct mu_nats_wire **out, struct mu_nats_link *l, struct mu_err *err);
void mu_nats_wire_free(struct mu_nats_wire *w);
/* It is the link's from now on. */
void mu_nats_wire_use(struct mu_nats_link *l, struct mu_nats_wire *w);
void mu_nats_mail_state(struct mu_nats_link *l, bool connected, const char *why);

/* The end of a subscription, whichever thread's: instead of natsSubscription_Destroy(), since a message may be coming. NULL allowed. */
void mu_nats_bury(natsSubscription *sub);

/* Do an ear's item. Whether the connection is good for more. */
bool mu_nats_sub_do(struct mu_nats_link *l, struct mu_nats_wire *w, const struct mu_nats_item *item);
void mu_nats_subs_open(struct mu_nats_link *l, struct mu_nats_wire *w); /* all anew, on another wire */
void mu_nats_subs_close(struct mu_nats_link *l, bool forget);           /* the wire is gone */

#endif
