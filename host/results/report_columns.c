/* Results by column: each step and each metric with its values from server to server. */
#include <stdlib.h>
#include <string.h>

#include "results/report_html.h"

/* A cell with its names, to be sorted by them. */
struct named {
    const char *step, *metric;
    struct mu_cell cell;
};

static int by_name(const struct named *a, const struct named *b)
{
    int c = strcmp(a->step, b->step);
    return c || !a->metric ? c : strcmp(a->metric, b->metric);
}

static int by_name_and_order(const void *pa, const void *pb)
{
    const struct named *a = pa, *b = pb;
    int c = by_name(a, b);
    return c ? c : (a->cell.order > b->cell.order) - (a->cell.order < b->cell.order);
}

/* Sort n names into columns; their cells go to `cells`. A task's second cell of the same name is left out. */
static int fold(struct named *all, size_t n, struct mu_cell *cells, struct mu_column **out, size_t *n_out)
{
    struct mu_column *columns = calloc(n ? n : 1, sizeof *columns);
    if (!columns)
        return MU_ENOMEM;
    *out = columns;
    *n_out = 0;
    qsort(all, n, sizeof *all, by_name_and_order);
    for (size_t i = 0, at = 0; i < n; i++) {
        bool begins = i == 0 || by_name(&all[i - 1], &all[i]) != 0;
        if (begins)
            columns[(*n_out)++] = (struct mu_column){.step = all[i].step, .metric = all[i].metric, .cells = cells + at};
        else if (all[i - 1].cell.task == all[i].cell.task)
            continue;
        cells[at++] = all[i].cell;
        columns[*n_out - 1].n++;
    }
    return 0;
}

static int by_first(const void *pa, const void *pb)
{
    const struct mu_column *const *a = pa, *const *b = pb;
    return ((*a)->cells->order > (*b)->cells->order) - ((*a)->cells->order < (*b)->cells->order);
}

/* As the tree first has them. */
static int settle_order(struct mu_column *columns, size_t n)
{
    struct mu_column **sorted = calloc(n ? n : 1, sizeof *sorted);
    if (!sorted)
        return MU_ENOMEM;
    for (size_t i = 0; i < n; i++)
        sorted[i] = &columns[i];
    qsort(sorted, n, sizeof *sorted, by_first);
    for (size_t i = 0; i < n; i++)
        sorted[i]->shown = i;
    free(sorted);
    return 0;
}

int mu_columns_make(struct mu_columns *out, const struct mu_run_result *r)
{
    size_t n_steps = 0, n_metrics = 0, k = 0, m = 0;
    *out = (struct mu_columns){0};
    for (size_t i = 0; i < r->n_tasks; i++) {
        n_steps += r->tasks[i].n_steps;
        for (size_t j = 0; j < r->tasks[i].n_steps; j++)
            n_metrics += r->tasks[i].steps[j].n_metrics;
    }
    struct named *steps = calloc(n_steps + 1, sizeof *steps), *metrics = calloc(n_metrics + 1, sizeof *metrics);
    out->cells = calloc(n_steps + n_metrics + 1, sizeof *out->cells);
    int rc = steps && metrics && out->cells ? 0 : MU_ENOMEM;
    for (size_t i = 0; !rc && i < r->n_tasks; i++)
        for (size_t j = 0; j < r->tasks[i].n_steps; j++) {
            const struct mu_step_result *s = &r->tasks[i].steps[j];
            steps[k] = (struct named){s->name, NULL, {i, j, 0, k}};
            k++;
            for (size_t x = 0; x < s->n_metrics; x++, m++)
                metrics[m] = (struct named){s->name, s->metrics[x].name, {i, j, x, m}};
        }
    if (!rc)
        rc = fold(steps, n_steps, out->cells, &out->steps, &out->n_steps);
    if (!rc)
        rc = fold(metrics, n_metrics, out->cells + n_steps, &out->metrics, &out->n_metrics);
    if (!rc)
        rc = settle_order(out->steps, out->n_steps);
    if (!rc)
        rc = settle_order(out->metrics, out->n_metrics);
    free(steps);
    free(metrics);
    if (rc)
        mu_columns_clear(out);
    return rc;
}

void mu_columns_clear(struct mu_columns *c)
{
    free(c->steps);
    free(c->metrics);
    free(c->cells);
    *c = (struct mu_columns){0};
}

const struct mu_column *mu_columns_find(const struct mu_columns *c, const char *step, const char *metric)
{
    const struct named key = {.step = step, .metric = metric};
    size_t low = 0, high = c->n_metrics;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = by_name(&key, &(struct named){.step = c->metrics[middle].step, .metric = c->metrics[middle].metric});
        if (order == 0)
            return &c->metrics[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
