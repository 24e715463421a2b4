/* claims.h: what the servers of a run have claimed, as the main thread keeps it.
 *
 * Purpose: turn the claims, updates and releases of tasks into lines of the journal, many with one sync, and tell the
 *   tasks when theirs is on the disk; know what is open.
 * Owner: the run. Thread: the main one. Must not know: what a claim is for.
 */
#ifndef MU_RUN_CLAIMS_H
#define MU_RUN_CLAIMS_H

#include "run/journal.h"

enum mu_claim_op { MU_CLAIM, MU_CLAIM_UPDATE, MU_CLAIM_RELEASE };

struct mu_claims;
/* The question with this ticket is answered: err NULL, or why not. Called from mu_claims_flush(). */
typedef void mu_claims_fn(void *arg, int worker, uint64_t ticket, const struct mu_err *err);
/* journal NULL: claims are kept in memory alone. */
int mu_claims_new(struct mu_claims **out, struct mu_journal *journal_take, struct mu_server *const *servers, size_t n,
                  mu_claims_fn *fn, void *arg, struct mu_err *err);
/* Closes the journal, and removes it when nothing is open. NULL allowed. */
void mu_claims_free(struct mu_claims *c);
void mu_claims_let_go(struct mu_claims *c); /* the same, but the journal stays */

/* The journal says already that this server is claimed. MU_ENOMEM. */
int mu_claims_set_open(struct mu_claims *c, size_t server, const char *data);
/* Take the question; data is for MU_CLAIM and MU_CLAIM_UPDATE. The answer comes with the next flush. */
void mu_claims_ask(struct mu_claims *c, size_t server, enum mu_claim_op op, char *data_take, int worker, uint64_t ticket);
/* What this server's claim holds is known from elsewhere; NULL: nothing. Journalled with the next flush, and nobody is
 * answered: what the journal cannot take is logged, and held to be so all the same. */
void mu_claims_set(struct mu_claims *c, size_t server, const char *data);
/* Write what was asked, and answer. To be called after each batch of messages. */
void mu_claims_flush(struct mu_claims *c);
const char *mu_claims_data(const struct mu_claims *c, size_t server); /* NULL: not claimed */
const char *mu_claims_path(const struct mu_claims *c);                /* of the journal; NULL: nothing was claimed */

#endif
