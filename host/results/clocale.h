/* clocale.h: numbers with a point, whatever locale the embedding program has set.
 *
 * Purpose: reports are read by programs and thresholds are written by people of all countries: "0.5" is never "0,5".
 * Owner: the caller, on its stack. Thread: any; the switch is the calling thread's alone.
 * Must not know: who formats what.
 */
#ifndef MU_RESULTS_CLOCALE_H
#define MU_RESULTS_CLOCALE_H

#include <locale.h>

struct mu_clocale {
    locale_t c, former;
};

static inline struct mu_clocale mu_clocale_enter(void)
{
    struct mu_clocale l = {newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), (locale_t)0};
    if (l.c)
        l.former = uselocale(l.c);
    return l;
}

/* Back to the locale that mu_clocale_enter() found. */
static inline void mu_clocale_leave(struct mu_clocale l)
{
    if (!l.c)
        return;
    uselocale(l.former);
    freelocale(l.c);
}

#endif
