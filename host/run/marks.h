/* marks.h: who is marked as broken, and when: the cap, and the decisions under it. Pure.
 *
 * Purpose: marking is safe. Nobody is marked as long as it could still turn out that more servers are to be marked than the
 *   cap allows, since then the script or the firmware is the likelier culprit.
 * Owner: the run (run/deal.c) owns a mu_marks.
 * Thread: the main one. Must not know: how a mark is made; messages.
 */
#ifndef MU_RUN_MARKS_H
#define MU_RUN_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "results/results.h"

/* "5%", "20", or "5%,20": with both the smaller holds. */
struct mu_cap {
    bool has_percent, has_count;
    uint64_t percent; /* in ten-thousandths of a percent, so that rounding is exact */
    uint64_t count;
};
#define MU_CAP_FORM "\"5%%\", \"20\" or \"5%%,20\"" /* for printf */
#define MU_CAP_DEFAULT "5%"
int mu_cap_parse(struct mu_cap *cap, const char *text, struct mu_err *err);
/* How many of so many selected servers may be marked: a percentage is rounded down, but is at least 1. */
size_t mu_cap_of(const struct mu_cap *cap, size_t selected);

struct mu_marks {
    unsigned on;       /* a bit a status that marks; 0: nobody is marked */
    size_t cap;
    size_t *queue;     /* the candidates' indices, as they finished */
    size_t n_candidates, n_dealt, n_settled;
};

/* n: servers of the run. MU_ENOMEM. */
int mu_marks_init(struct mu_marks *m, unsigned on, size_t cap, size_t n);
void mu_marks_free(struct mu_marks *m);
/* A server's task has finished, its status is final. Returns whether it is to be marked. */
bool mu_marks_finished(struct mu_marks *m, size_t index, enum mu_status status);
/* More are to be marked than the cap allows: nobody will be. Once true it stays true. */
bool mu_marks_over(const struct mu_marks *m);
/* The next one to mark now, while so many servers have not finished; false when there is none (yet). */
bool mu_marks_next(struct mu_marks *m, size_t unfinished, size_t *index);
/* A mark that was dealt was made, or could not be. */
void mu_marks_settled(struct mu_marks *m);
/* Whether marks are under way or still to be made, once no server is unfinished. */
bool mu_marks_open(const struct mu_marks *m);

#endif
