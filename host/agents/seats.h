/* seats.h: the tasks that an agent has of one run: each with its job, what came of it, and, while it is at work, a place in the
 * arrays that the workers read.
 *
 * Purpose: a run's servers have indexes that say nothing here, where only a few of them are: workers are told the number of a
 * place, and messages are told by it whose they are.
 * Owner: the guest. A seat owns its task and its job; what workers read of
 * it stays until mu_seats_leave().
 * Thread: the loop's; workers read servers and pasts of a place that is dealt to them. Must
 * not know: how a seat comes to its end.
 */
#ifndef MU_AGENTS_SEATS_H
#define MU_AGENTS_SEATS_H

#include "agents/fence.h"
#include "agents/wire.h"
#include "core/list.h"
#include "nats/client.h"

enum mu_seat_state {
    MU_SEAT_NEW,      /* waits: for the script, or for an earlier delivery of the same task to be over */
    MU_SEAT_STARTED,  /* that was written down; when it must be stored first, it waits for that */
    MU_SEAT_CHECKED,  /* a helper thread looks at its way and its claim */
    MU_SEAT_RUNS,     /* dealt to a worker */
    MU_SEAT_OVER      /* here; what came of it is told, or is not to be: the job alone is left */
};

struct mu_seat {
    struct mu_list link;         /* in seats */
    struct mu_wire_task task;
    struct mu_nats_job *job;     /* NULL: nothing is owed to the queue any more */
    uint64_t delivery;
    enum mu_seat_state state;
    size_t place;                /* while it RUNS */
    struct mu_server *server, *peer; /* its task's inventory's */
    bool told;                   /* its result, or that there is none, is in the outbox */
    bool silent;                 /* nothing of it is told any more: somebody else may have it */
    bool unwanted;               /* it is not to begin, or to end as soon as it can */
    bool give_back;              /* the job, when it is over */
    uint64_t mark;               /* of STARTED, in the outbox */
    uint64_t again_ms;           /* CHECKED anew from then on, since the queue could not be asked; 0: at once */
    struct mu_buf notes;         /* what came of it so far */
    struct mu_fence fence;       /* of its claim */
    void *guest;                 /* of a change of it under way, for whoever is told of it: whose it is, and who waits */
    int asker;
    uint64_t ticket;
};

struct mu_seats {
    struct mu_list all;
    size_t n_places;
    struct mu_server **servers;  /* 2 * n_places: of tasks, then of their peers */
    struct mu_past **pasts;      /* the same; NULL: not known */
    const char **past_whys;
    struct mu_seat **at;         /* a place each, NULL: free */
};

int mu_seats_init(struct mu_seats *s, size_t n_places, struct mu_err *err); /* MU_ENOMEM */
void mu_seats_clear(struct mu_seats *s); /* every seat has left */
/* Take task (which is empty then) and job. MU_ENOMEM: neither is taken. */
int mu_seats_add(struct mu_seats *s, struct mu_wire_task *task_take, struct mu_nats_job *job_take, uint64_t delivery,
                 struct mu_seat **out, struct mu_err *err);
/* Of the task with this index, any delivery or this one; NULL: none. */
struct mu_seat *mu_seats_find(const struct mu_seats *s, size_t index, uint64_t delivery /* 0: any */);
/* One of the same task that came earlier and is still at work here. */
struct mu_seat *mu_seats_earlier(const struct mu_seats *s, const struct mu_seat *seat);
size_t mu_seats_at_work(const struct mu_seats *s); /* that are not OVER */

/* Give it a place; MU_ELIMIT: all are taken. */
int mu_seats_sit(struct mu_seats *s, struct mu_seat *seat);
void mu_seats_rise(struct mu_seats *s, struct mu_seat *seat); /* no worker has it any more. Harmless without a place */
/* Whose messages are about this place, or this place's peer; NULL: nobody's. */
struct mu_seat *mu_seats_at(const struct mu_seats *s, size_t place);
/* What the place is in the run. */
size_t mu_seats_index(const struct mu_seats *s, size_t place);
/* Nothing is left of it: the job is acknowledged, given back, or left alone before. */
void mu_seats_leave(struct mu_seats *s, struct mu_seat *seat);

#endif
