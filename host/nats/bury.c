/* The end of subscriptions. libnats before 3.6 (Debian 12 has 3.4) reads a message for one without holding it: one that is freed in
 * another thread at that moment is read after that. So it is taken off the connection at once, and freed a minute later, when the
 * next one is buried; what is left at the end of the process was of no use any more. */
#include <nats/nats.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/clock.h"
#include "nats/wire.h"

#define REST_MS 60000

struct grave {
    struct grave *next;
    natsSubscription *sub;
    uint64_t since_ms;
};
static struct grave *graves; /* the latest first */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void mu_nats_bury(natsSubscription *sub)
{
    struct grave *g = sub ? malloc(sizeof *g) : NULL, **at, *old;

    if (!sub)
        return;
    (void)natsSubscription_Unsubscribe(sub); /* it may have ended with its connection */
    if (!g)
        return; /* better left than freed too early */
    *g = (struct grave){.sub = sub, .since_ms = mu_clock_ms()};
    pthread_mutex_lock(&lock);
    for (at = &graves; *at && g->since_ms - (*at)->since_ms < REST_MS;)
        at = &(*at)->next;
    old = *at;
    *at = NULL;
    g->next = graves;
    graves = g;
    pthread_mutex_unlock(&lock);
    while (old) {
        g = old;
        old = g->next;
        natsSubscription_Destroy(g->sub);
        free(g);
    }
}
