#include "run/where.h"

#include <stdlib.h>

#include "core/clock.h"

#define STEPS_MAX 0xffff

struct mu_where *mu_where_new(size_t n)
{
    struct mu_where *w = malloc(sizeof *w + n * sizeof w->at[0]);
    if (!w)
        return NULL;
    w->n = n;
    for (size_t i = 0; i < n; i++)
        atomic_init(&w->at[i], 0);
    return w;
}

void mu_where_set(struct mu_where *w, size_t server, enum mu_phase phase, size_t step)
{
    uint64_t at = step < STEPS_MAX ? step : STEPS_MAX;
    if (w && server < w->n)
        atomic_store_explicit(&w->at[server], mu_clock_ms() << 24 | at << 8 | ((uint64_t)phase + 1), memory_order_relaxed);
}

void mu_where_clear(struct mu_where *w, size_t server)
{
    if (w && server < w->n)
        atomic_store_explicit(&w->at[server], 0, memory_order_relaxed);
}

bool mu_where_get(const struct mu_where *w, size_t server, enum mu_phase *phase, size_t *step, uint64_t *since_ms)
{
    uint64_t at = w && server < w->n ? atomic_load_explicit(&w->at[server], memory_order_relaxed) : 0;
    if (!at)
        return false;
    *phase = (enum mu_phase)((at & 0xff) - 1);
    *step = at >> 8 & STEPS_MAX;
    *since_ms = at >> 24;
    return true;
}
