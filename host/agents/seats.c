#include "agents/seats.h"

#include <stdlib.h>
#include <string.h>

int mu_seats_init(struct mu_seats *s, size_t n_places, struct mu_err *err)
{
    *s = (struct mu_seats){.n_places = n_places, .servers = calloc(2 * n_places, sizeof *s->servers),
                           .pasts = calloc(2 * n_places, sizeof *s->pasts), .past_whys = calloc(2 * n_places, sizeof *s->past_whys),
                           .at = calloc(n_places, sizeof *s->at)};
    mu_list_init(&s->all);
    if (s->servers && s->pasts && s->past_whys && s->at)
        return 0;
    mu_seats_clear(s);
    return mu_err_set(err, MU_ENOMEM, "out of memory");
}

void mu_seats_clear(struct mu_seats *s)
{
    free(s->servers);
    free(s->pasts);
    free(s->past_whys);
    free(s->at);
    s->servers = NULL;
    s->pasts = NULL;
    s->past_whys = NULL;
    s->at = NULL;
    s->n_places = 0;
}

int mu_seats_add(struct mu_seats *s, struct mu_wire_task *task, struct mu_nats_job *job, uint64_t delivery, struct mu_seat **out,
                 struct mu_err *err)
{
    struct mu_seat *seat = calloc(1, sizeof *seat);
    if (!seat)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    seat->task = *task;
    memset(task, 0, sizeof *task);
    seat->job = job;
    seat->delivery = delivery;
    size_t n = seat->task.servers ? mu_inventory_count(seat->task.servers) : 0;
    seat->server = n > 0 ? mu_inventory_at(seat->task.servers, 0) : NULL;
    seat->peer = n > 1 ? mu_inventory_at(seat->task.servers, 1) : NULL;
    mu_list_push(&s->all, &seat->link);
    *out = seat;
    return 0;
}

struct mu_seat *mu_seats_find(const struct mu_seats *s, size_t index, uint64_t delivery)
{
    for (struct mu_list *l = s->all.next; l != &s->all; l = l->next) {
        struct mu_seat *seat = mu_list_entry(l, struct mu_seat, link);
        if (seat->task.index == index && (!delivery || seat->delivery == delivery))
            return seat;
    }
    return NULL;
}

struct mu_seat *mu_seats_earlier(const struct mu_seats *s, const struct mu_seat *seat)
{
    for (struct mu_list *l = s->all.next; l != &seat->link && l != &s->all; l = l->next) {
        struct mu_seat *other = mu_list_entry(l, struct mu_seat, link);
        if (other->task.index == seat->task.index && other->state != MU_SEAT_OVER)
            return other;
    }
    return NULL;
}

size_t mu_seats_at_work(const struct mu_seats *s)
{
    size_t n = 0;
    for (struct mu_list *l = s->all.next; l != &s->all; l = l->next)
        n += mu_list_entry(l, struct mu_seat, link)->state != MU_SEAT_OVER;
    return n;
}

int mu_seats_sit(struct mu_seats *s, struct mu_seat *seat)
{
    size_t i = 0;
    while (i < s->n_places && s->at[i])
        i++;
    if (i == s->n_places)
        return MU_ELIMIT;
    s->at[i] = seat;
    s->servers[i] = seat->server;
    s->servers[s->n_places + i] = seat->peer;
    s->pasts[i] = seat->task.past;
    s->past_whys[i] = seat->task.past_why;
    seat->place = i;
    seat->state = MU_SEAT_RUNS;
    return 0;
}

void mu_seats_rise(struct mu_seats *s, struct mu_seat *seat)
{
    size_t i = seat->place;
    if (i >= s->n_places || s->at[i] != seat)
        return;
    s->at[i] = NULL;
    s->servers[i] = s->servers[s->n_places + i] = NULL;
    s->pasts[i] = NULL;
    s->past_whys[i] = NULL;
}

struct mu_seat *mu_seats_at(const struct mu_seats *s, size_t place)
{
    return place < 2 * s->n_places ? s->at[place % s->n_places] : NULL;
}

size_t mu_seats_index(const struct mu_seats *s, size_t place)
{
    const struct mu_seat *seat = mu_seats_at(s, place);
    return !seat ? 0 : place < s->n_places ? seat->task.index : seat->task.peer;
}

void mu_seats_leave(struct mu_seats *s, struct mu_seat *seat)
{
    mu_seats_rise(s, seat);
    mu_list_remove(&seat->link);
    mu_nats_job_free(seat->job);
    mu_wire_task_clear(&seat->task);
    mu_buf_free(&seat->notes);
    mu_fence_clear(&seat->fence);
    free(seat);
}
