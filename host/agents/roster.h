/* roster.h: which agents there are: what each says of itself, and when it did last.
 * Owner: a roster owns its entries. Thread: the loop's; mu_roster_read() waits. Must not know: tasks.
 */
#ifndef MU_AGENTS_ROSTER_H
#define MU_AGENTS_ROSTER_H

#include "core/buf.h"
#include "nats/client.h"

#define MU_BEAT_EVERY_MS 10000
#define MU_BEAT_ALIVE_MS 30000 /* without a beat for so long it is not there */

struct mu_roster_agent {
    char *id, *name, *host, *version;
    char **groups;          /* NULL-terminated; empty: serves whoever has no agent of its own */
    unsigned slots, in_flight;
    bool leaving;           /* it drains, or has left: it takes nothing any more */
    int64_t age_ms;         /* since its last word, when the roster was read, or counted on from there */
    uint64_t heard_ms;      /* mu_clock_ms() of its last word to us */
};
struct mu_roster {
    struct mu_roster_agent *items;
    size_t n;
};
void mu_roster_write(struct mu_buf *out, const struct mu_roster_agent *a); /* a beat: JSON */
/* Take a beat in; age_ms: how old it is. Returns whose, or NULL: no beat, or out of memory. */
struct mu_roster_agent *mu_roster_note(struct mu_roster *r, const void *bytes, size_t len, int64_t age_ms);
/* All that the stream knows of. Waits. */
int mu_roster_read(struct mu_roster *r, struct mu_nats *n, struct mu_err *err);
bool mu_roster_is_alive(const struct mu_roster_agent *a); /* now, and takes work */
void mu_roster_clear(struct mu_roster *r);

#endif
