/* summary_table.c: every reason of every server, folded by what is the same.
 *
 * Reasons are sorted by (status, key) and then stand in groups, so the time is n log n in servers however many causes
 * there are. A key holds the parts that must be equal, a NUL between them; of a missed threshold the value is not one. */
#include "results/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nodeset.h"
#include "results/reason.h"

/* Column widths: at least the first, so that small tables look alike; beyond the second a cell no longer widens its
 * column; beyond the third it is cut. */
enum { STATUS_WIDTH = 11, CAUSE_MIN = 32, CAUSE_PAD = 60, CAUSE_CUT = 100, NODES_MIN = 16, NODES_PAD = 40, NODES_CUT = 400,
       COUNT_MIN = 2 };

struct entry {
    struct mu_reason reason;
    size_t task;
    size_t key, key_len; /* in table.keys */
    const char *keys;    /* the text of all keys, once it no longer moves */
};

struct row {
    enum mu_status status;
    size_t first, n;             /* its entries */
    size_t servers;
    size_t cause, nodes;         /* in table.text */
    size_t cause_cols, nodes_cols;
    const char *text;            /* as entry.keys */
};

struct table {
    const struct mu_run_result *run;
    size_t task; /* the one being collected */
    struct entry *entries;
    size_t n_entries, cap;
    struct mu_buf keys, text;
    struct row *rows;
    size_t n_rows;
    bool failed; /* out of memory */
};

/* ---- collecting ---- */

static void add_part(struct mu_buf *keys, const char *part)
{
    mu_buf_add(keys, part ? part : "", (part ? strlen(part) : 0) + 1);
}

static struct entry *new_entry(struct table *t)
{
    if (t->n_entries == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct entry *grown = realloc(t->entries, cap * sizeof(*grown));
        if (!grown) {
            t->failed = true;
            return NULL;
        }
        t->entries = grown;
        t->cap = cap;
    }
    struct entry *e = &t->entries[t->n_entries++];
    memset(e, 0, sizeof(*e));
    e->task = t->task;
    e->key = t->keys.len;
    return e;
}

static void collect(void *arg, const struct mu_reason *reason)
{
    struct table *t = arg;
    bool skipped = t->run->tasks[t->task].status == MU_ST_SKIPPED;
    /* Why a step was skipped matters only where nothing else ran: after a lost connection it would be noise. */
    if (reason->status == MU_ST_PASSED || (reason->status == MU_ST_SKIPPED && !skipped))
        return;
    struct entry *e = new_entry(t);
    if (!e)
        return;
    e->reason = *reason;
    if (reason->metric) {
        mu_buf_addc(&t->keys, 'm');
        add_part(&t->keys, reason->step->name);
        add_part(&t->keys, reason->metric->name);
        add_part(&t->keys, reason->metric->unit);
        mu_reason_miss(reason->metric, reason->metric->value, &t->keys);
    } else {
        mu_buf_addc(&t->keys, 'c');
        mu_reason_text(reason, &t->keys);
    }
    e->key_len = t->keys.len - e->key;
}

static void collect_task(struct table *t)
{
    const struct mu_task_result *task = &t->run->tasks[t->task];
    size_t before = t->n_entries;
    for (size_t i = 0; i < task->n_failures; i++)
        collect(t, &(struct mu_reason){task->failures[i].status, NULL, NULL, &task->failures[i]});
    for (size_t i = 0; i < task->n_steps; i++)
        mu_reason_each_in_step(&task->steps[i], collect, t);
    if (t->n_entries > before || t->failed)
        return;

    /* No server that is not passed goes unnamed; the cancelled ones have a line of their own below the table. */
    if (task->status == MU_ST_SKIPPED) {
        struct entry *e = new_entry(t);
        if (!e)
            return;
        e->reason.status = MU_ST_SKIPPED;
        mu_buf_adds(&t->keys, task->n_steps ? "cevery step skipped" : "cno step ran");
        e->key_len = t->keys.len - e->key;
    } else if (task->status < MU_ST_CANCELLED) {
        collect(t, &(struct mu_reason){task->status, NULL, NULL, NULL});
    }
}

/* ---- folding ---- */

static int compare_keys(const struct entry *a, const struct entry *b)
{
    if (a->reason.status != b->reason.status)
        return a->reason.status < b->reason.status ? -1 : 1;
    size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
    int c = memcmp(a->keys + a->key, b->keys + b->key, n);
    return c ? c : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static int compare_entries(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    int c = compare_keys(a, b);
    return c ? c : (a->task > b->task) - (a->task < b->task);
}

static int compare_rows(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    if (a->status != b->status)
        return a->status < b->status ? -1 : 1;
    if (a->servers != b->servers)
        return a->servers > b->servers ? -1 : 1;
    int c = strcmp(a->text + a->cause, b->text + b->cause);
    return c ? c : (a->first > b->first) - (a->first < b->first);
}

/* The node set of a row, cut at a comma when it is out of hand; the servers are all in the lists below the table. */
static size_t add_nodes(struct table *t, const struct row *row, const char **names)
{
    size_t n = 0;
    for (size_t i = row->first; i < row->first + row->n; i++) {
        if (i == row->first || t->entries[i].task != t->entries[i - 1].task)
            names[n++] = t->run->tasks[t->entries[i].task].server_id;
    }
    struct mu_buf folded = MU_BUF_INIT;
    mu_nodeset_fold(&folded, names, n);
    bool listed = row->status < MU_ST_CANCELLED;
    size_t cols;
    size_t end = listed && folded.len > NODES_CUT ? NODES_CUT : 0;
    while (end > 0 && folded.data[end] != ',')
        end--;
    if (end) {
        int depth = 0;
        for (size_t i = 0; i < end; i++)
            depth += (folded.data[i] == '[') - (folded.data[i] == ']');
        cols = mu_summary_add_cut(&t->text, mu_buf_cstr(&folded), end, SIZE_MAX);
        mu_buf_adds(&t->text, depth ? ",\xe2\x80\xa6]" : ",\xe2\x80\xa6");
        cols += depth ? 3 : 2;
    } else {
        cols = mu_summary_add_cut(&t->text, mu_buf_cstr(&folded), folded.len, SIZE_MAX);
    }
    t->text.failed = t->text.failed || folded.failed;
    mu_buf_free(&folded);
    return cols;
}

static void add_row(struct table *t, size_t first, size_t n, const char **names)
{
    struct row *row = &t->rows[t->n_rows++];
    struct entry *e = &t->entries[first];
    *row = (struct row){.status = e->reason.status, .first = first, .n = n};
    double lowest = 0, highest = 0;
    bool past = e->reason.metric && mu_reason_is_past(e->reason.metric);
    for (size_t i = first; i < first + n; i++) {
        const struct mu_metric *m = t->entries[i].reason.metric;
        double v = past ? mu_reason_past_percent(m) : m ? m->value : 0;
        lowest = i == first || v < lowest ? v : lowest;
        highest = i == first || v > highest ? v : highest;
        row->servers += i == first || t->entries[i].task != t->entries[i - 1].task;
    }

    struct mu_buf cause = MU_BUF_INIT;
    if (past)
        mu_reason_past_text(&e->reason, lowest, highest, n, &cause);
    else if (e->reason.metric)
        mu_reason_range_text(&e->reason, lowest, highest, &cause);
    else
        mu_buf_add(&cause, e->keys + e->key + 1, e->key_len - 1);
    row->cause = t->text.len;
    row->cause_cols = mu_summary_add_cut(&t->text, mu_buf_cstr(&cause), cause.len, CAUSE_CUT);
    mu_buf_addc(&t->text, '\0');
    t->text.failed = t->text.failed || cause.failed;
    mu_buf_free(&cause);

    row->nodes = t->text.len;
    row->nodes_cols = add_nodes(t, row, names);
    mu_buf_addc(&t->text, '\0');
}

static void fold(struct table *t)
{
    for (size_t i = 0; i < t->n_entries; i++)
        t->entries[i].keys = t->keys.data;
    qsort(t->entries, t->n_entries, sizeof(*t->entries), compare_entries);

    t->rows = calloc(t->n_entries, sizeof(*t->rows));
    const char **names = calloc(t->n_entries, sizeof(*names));
    if (!t->rows || !names) {
        t->failed = true;
        free(names);
        return;
    }
    for (size_t first = 0, end; first < t->n_entries; first = end) {
        for (end = first + 1; end < t->n_entries && !compare_keys(&t->entries[first], &t->entries[end]);)
            end++;
        add_row(t, first, end - first, names);
    }
    free(names);
    t->failed = t->failed || t->text.failed;
    if (t->failed)
        return;
    for (size_t i = 0; i < t->n_rows; i++)
        t->rows[i].text = t->text.data;
    qsort(t->rows, t->n_rows, sizeof(*t->rows), compare_rows);
}

/* ---- writing ---- */

static size_t wider(size_t width, size_t cols, size_t limit)
{
    return cols > width ? (cols < limit ? cols : limit) : width;
}

static void pad(struct mu_buf *out, size_t cols, size_t width)
{
    for (; cols < width; cols++)
        mu_buf_addc(out, ' ');
}

static void write_rows(const struct table *t, bool color, struct mu_buf *out)
{
    size_t cause_width = CAUSE_MIN, nodes_width = NODES_MIN, count_width = COUNT_MIN;
    char count[24];
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct row *row = &t->rows[i];
        cause_width = wider(cause_width, row->cause_cols, CAUSE_PAD);
        nodes_width = wider(nodes_width, row->nodes_cols, NODES_PAD);
        count_width = wider(count_width, (size_t)snprintf(count, sizeof(count), "%zu", row->servers), sizeof(count));
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct row *row = &t->rows[i];
        char status[STATUS_WIDTH + 1] = "";
        const char *name = mu_status_name(row->status);
        size_t n = 0;
        for (; name[n] && n < STATUS_WIDTH; n++)
            status[n] = (char)(name[n] - ('a' - 'A'));
        status[n] = '\0';
        mu_summary_paint(out, color, row->status, status);
        pad(out, n, STATUS_WIDTH + 2);
        mu_buf_adds(out, row->text + row->cause);
        pad(out, row->cause_cols, cause_width);
        mu_buf_adds(out, "  ");
        mu_buf_adds(out, row->text + row->nodes);
        pad(out, row->nodes_cols, nodes_width);
        mu_buf_adds(out, "  ");
        pad(out, (size_t)snprintf(count, sizeof(count), "%zu", row->servers), count_width);
        mu_summary_paint(out, color, row->status, count);
        mu_buf_addc(out, '\n');
    }
}

static void make(struct table *t, const struct mu_run_result *r)
{
    *t = (struct table){.run = r};
    for (t->task = 0; t->task < r->n_tasks; t->task++)
        collect_task(t);
    t->failed = t->failed || t->keys.failed;
    if (t->n_entries && !t->failed)
        fold(t);
}

static void clear(struct table *t)
{
    free(t->entries);
    free(t->rows);
    mu_buf_free(&t->keys);
    mu_buf_free(&t->text);
}

void mu_summary_table(const struct mu_run_result *r, bool color, struct mu_buf *out)
{
    struct table t;
    make(&t, r);
    if (!t.failed)
        write_rows(&t, color, out);
    out->failed = out->failed || t.failed;
    clear(&t);
}

int mu_summary_each_row(const struct mu_run_result *r, mu_summary_row_fn *fn, void *arg)
{
    struct table t;
    make(&t, r);
    size_t *servers = calloc(t.n_entries ? t.n_entries : 1, sizeof(*servers));
    t.failed = t.failed || !servers;
    for (size_t i = 0; i < t.n_rows && !t.failed; i++) {
        const struct row *row = &t.rows[i];
        size_t n = 0;
        for (size_t k = row->first; k < row->first + row->n; k++)
            if (k == row->first || t.entries[k].task != t.entries[k - 1].task)
                servers[n++] = t.entries[k].task;
        fn(arg, &(struct mu_summary_row){row->status, row->text + row->cause, row->text + row->nodes, servers, n});
    }
    int rc = t.failed ? MU_ENOMEM : 0;
    free(servers);
    clear(&t);
    return rc;
}
