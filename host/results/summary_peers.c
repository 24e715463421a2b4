/* summary_peers.c: what was to be compared with its peers, or its past, and could not be, folded by metric and why. */
#include <stdlib.h>
#include <string.h>

#include "results/summary.h"

enum { NOTE_CUT = 200 };

struct item {
    const char *step, *metric, *by, *note;
    size_t task;
};

static int same(const struct item *a, const struct item *b)
{
    int c = strcmp(a->step, b->step);
    c = c ? c : strcmp(a->metric, b->metric);
    c = c ? c : strcmp(a->by, b->by);
    return c ? c : strcmp(a->note, b->note);
}

static int compare(const void *pa, const void *pb)
{
    const struct item *a = pa, *b = pb;
    int c = same(a, b);
    return c ? c : (a->task > b->task) - (a->task < b->task);
}

/* Into items, when there are any. */
static void add_item(struct item *items, size_t *n, struct item it)
{
    if (items)
        items[*n] = it;
    ++*n;
}

/* How many there are. */
static size_t collect(const struct mu_run_result *r, struct item *items)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_tasks; i++)
        for (size_t j = 0; j < r->tasks[i].n_steps; j++)
            for (size_t k = 0; k < r->tasks[i].steps[j].n_metrics; k++) {
                const char *step = r->tasks[i].steps[j].name;
                const struct mu_metric *m = &r->tasks[i].steps[j].metrics[k];
                if (m->judgement == MU_MISSED)
                    continue; /* what failed by another rule is told already */
                if (m->history.state == MU_PEERS_NOT_JUDGED)
                    add_item(items, &n, (struct item){step, m->name, "its history", m->history.note ? m->history.note : "", i});
                if (m->peers.state == MU_PEERS_NOT_JUDGED)
                    add_item(items, &n, (struct item){step, m->name, "peers", m->peers.note ? m->peers.note : "", i});
            }
    return n;
}

void mu_summary_peers(const struct mu_run_result *r, const char **names, struct mu_buf *out)
{
    size_t n = collect(r, NULL);
    struct item *items = n ? calloc(n, sizeof(*items)) : NULL;
    if (n && !items)
        out->failed = true;
    if (!items)
        return;
    collect(r, items);
    qsort(items, n, sizeof(*items), compare);
    for (size_t first = 0, end; first < n; first = end) {
        const struct item *it = &items[first];
        for (end = first; end < n && !same(&items[end], it); end++)
            names[end - first] = r->tasks[items[end].task].server_id;
        mu_buf_adds(out, "Not judged: ");
        mu_buf_add_escaped(out, it->step, strlen(it->step));
        mu_buf_addc(out, '.');
        mu_buf_add_escaped(out, it->metric, strlen(it->metric));
        mu_buf_addf(out, " of %zu server%s by %s", end - first, end - first == 1 ? "" : "s", it->by);
        mu_buf_adds(out, *it->note ? ": " : "");
        mu_summary_add_cut(out, it->note, strlen(it->note), NOTE_CUT);
        mu_buf_adds(out, ". ");
        mu_summary_add_list(out, "unjudged_servers", names, end - first);
    }
    free(items);
}
