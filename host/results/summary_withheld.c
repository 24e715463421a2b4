/* summary_withheld.c: destructive steps that nobody allowed, folded by step. */
#include <stdlib.h>
#include <string.h>

#include "results/summary.h"

struct item {
    const char *step;
    size_t task;
};

static int compare(const void *pa, const void *pb)
{
    const struct item *a = pa, *b = pb;
    int c = strcmp(a->step, b->step);
    return c ? c : (a->task > b->task) - (a->task < b->task);
}

static size_t collect(const struct mu_run_result *r, struct item *items)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_tasks; i++) {
        for (size_t j = 0; j < r->tasks[i].n_steps; j++) {
            if (!r->tasks[i].steps[j].withheld)
                continue;
            if (items)
                items[n] = (struct item){r->tasks[i].steps[j].name, i};
            n++;
        }
    }
    return n;
}

void mu_summary_withheld(const struct mu_run_result *r, const char **names, struct mu_buf *out)
{
    size_t n = collect(r, NULL);
    struct item *items = n ? calloc(n, sizeof(*items)) : NULL;
    if (!items) {
        out->failed = out->failed || n;
        return;
    }
    collect(r, items);
    qsort(items, n, sizeof(*items), compare);
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && !strcmp(items[end].step, items[first].step); end++)
            names[end - first] = r->tasks[items[end].task].server_id;
        mu_buf_adds(out, "Not run: step ");
        mu_buf_add_escaped(out, items[first].step, strlen(items[first].step));
        mu_buf_addf(out, " is destructive and was skipped on %zu server%s; --allow-destructive runs it. ", end - first,
                    end - first == 1 ? "" : "s");
        mu_summary_add_list(out, "withheld_servers", names, end - first);
    }
    free(items);
}
