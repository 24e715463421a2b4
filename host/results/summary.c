/* summary.c: the last lines of a run, which answer the operator's question: which servers failed, and why.
 *
 * A list "name=[…]" holds every server it is about; what stands between the outer brackets is a pattern that selects
 * exactly these servers again. */
#include "results/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nodeset.h"
#include "results/clocale.h"

enum { LIST_MAX = 20, COMMAND_CUT = 100 };

/* ---- text ---- */

void mu_summary_paint(struct mu_buf *out, bool color, enum mu_status s, const char *text)
{
    static const char *const sgr[] = {
        [MU_ST_FAILED] = "1;31",      [MU_ST_ERROR] = "1;35", [MU_ST_TIMEOUT] = "1;33", [MU_ST_UNREACHABLE] = "1;33",
        [MU_ST_CANCELLED] = "1;36",   [MU_ST_PASSED] = "1;32", [MU_ST_SKIPPED] = "1;34",
    };
    if (color)
        mu_buf_addf(out, "\033[%sm", sgr[s]);
    mu_buf_adds(out, text);
    if (color)
        mu_buf_adds(out, "\033[0m");
}

/* Bytes of the unit at p in escaped text: an escape, or a character. */
static size_t unit_length(const char *p, size_t left)
{
    size_t n = 1;
    if (*p == '\\' && left > 1) {
        if (p[1] == 'x')
            n = 4;
        else if (p[1] == 'u')
            for (n = 2; n < left && p[n - 1] != '}';)
                n++;
        else
            n = 2;
    } else {
        while (n < left && ((unsigned char)p[n] & 0xc0) == 0x80)
            n++;
    }
    return n < left ? n : left;
}

static size_t unit_columns(const char *p, size_t bytes)
{
    return *p == '\\' ? bytes : 1;
}

size_t mu_summary_add_cut(struct mu_buf *out, const char *text, size_t len, size_t columns)
{
    struct mu_buf shown = MU_BUF_INIT;
    mu_buf_add_escaped(&shown, text, len);
    size_t cols = 0, fits = 0, fits_cols = 0; /* fits: with room for the ellipsis */
    for (size_t at = 0; at < shown.len;) {
        size_t n = unit_length(shown.data + at, shown.len - at);
        cols += unit_columns(shown.data + at, n);
        at += n;
        if (cols < columns) {
            fits = at;
            fits_cols = cols;
        }
        if (cols > columns)
            break;
    }
    if (cols <= columns) {
        mu_buf_add(out, mu_buf_cstr(&shown), shown.len);
    } else {
        mu_buf_add(out, shown.data, fits);
        mu_buf_adds(out, "\xe2\x80\xa6");
        cols = fits_cols + 1;
    }
    out->failed = out->failed || shown.failed;
    mu_buf_free(&shown);
    return cols;
}

static void add_count(struct mu_buf *out, size_t n, const char *noun)
{
    mu_buf_addf(out, "%zu %s%s", n, noun, n == 1 ? "" : "s");
}

void mu_summary_add_nodeset(struct mu_buf *out, const char *const *names, size_t n)
{
    struct mu_buf folded = MU_BUF_INIT;
    mu_nodeset_fold(&folded, names, n);
    mu_buf_add_escaped(out, mu_buf_cstr(&folded), folded.len);
    out->failed = out->failed || folded.failed;
    mu_buf_free(&folded);
}

void mu_summary_add_list(struct mu_buf *out, const char *name, const char *const *names, size_t n)
{
    mu_buf_addf(out, "%s=[", name);
    if (n > LIST_MAX) {
        mu_summary_add_nodeset(out, names, n);
    } else {
        for (size_t i = 0; i < n; i++) {
            mu_buf_adds(out, i ? ", " : "");
            mu_buf_add_escaped(out, names[i], strlen(names[i]));
        }
    }
    mu_buf_adds(out, "]\n");
}

/* ---- commands that may still run ---- */

struct unended {
    const char *command;
    size_t task;
};

struct unended_group {
    size_t first, n;
    const char *command;
};

static int compare_unended(const void *pa, const void *pb)
{
    const struct unended *a = pa, *b = pb;
    int c = strcmp(a->command, b->command);
    return c ? c : (a->task > b->task) - (a->task < b->task);
}

static int compare_groups(const void *pa, const void *pb)
{
    const struct unended_group *a = pa, *b = pb;
    return a->n != b->n ? (a->n > b->n ? -1 : 1) : strcmp(a->command, b->command);
}

static void add_unended(const struct mu_run_result *r, const char **names, struct mu_buf *out)
{
    size_t n = 0, n_groups = 0, k = 0;
    for (size_t i = 0; i < r->n_tasks; i++)
        n += r->tasks[i].n_unended;
    if (!n)
        return;
    struct unended *all = calloc(n, sizeof(*all));
    struct unended_group *groups = calloc(n, sizeof(*groups));
    if (!all || !groups) {
        out->failed = true;
        goto out;
    }
    for (size_t i = 0; i < r->n_tasks; i++) {
        for (size_t j = 0; j < r->tasks[i].n_unended; j++)
            all[k++] = (struct unended){r->tasks[i].unended[j], i};
    }
    qsort(all, n, sizeof(*all), compare_unended);
    for (size_t i = 0; i < n; i++) {
        if (i && !strcmp(all[i].command, all[i - 1].command))
            groups[n_groups - 1].n++;
        else
            groups[n_groups++] = (struct unended_group){i, 1, all[i].command};
    }
    qsort(groups, n_groups, sizeof(*groups), compare_groups);
    for (size_t g = 0; g < n_groups; g++) {
        size_t n_names = 0;
        for (size_t i = groups[g].first; i < groups[g].first + groups[g].n; i++) {
            if (i == groups[g].first || all[i].task != all[i - 1].task)
                names[n_names++] = r->tasks[all[i].task].server_id;
        }
        mu_buf_adds(out, "Still running: ");
        add_count(out, groups[g].n, "command");
        mu_buf_adds(out, " on ");
        mu_summary_add_nodeset(out, names, n_names);
        mu_buf_adds(out, " could not be confirmed ended: \"");
        mu_summary_add_cut(out, groups[g].command, strlen(groups[g].command), COMMAND_CUT);
        mu_buf_adds(out, "\"\n");
    }
out:
    free(all);
    free(groups);
}

/* ---- the lines about servers ---- */

static void add_unfinished(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out)
{
    size_t n = 0, never = 0;
    char count[24];
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (!mu_task_result_is_unfinished(&r->tasks[i]))
            continue;
        names[n++] = r->tasks[i].server_id;
        never += !r->tasks[i].dealt;
    }
    if (!n)
        return;
    snprintf(count, sizeof(count), "%zu", n);
    mu_buf_adds(out, "Not finished: ");
    mu_summary_paint(out, color, MU_ST_CANCELLED, count);
    mu_buf_adds(out, n == 1 ? " server" : " servers");
    if (never)
        mu_buf_addf(out, " (%zu never started)", never);
    mu_buf_adds(out, ". ");
    mu_summary_add_list(out, "unfinished_servers", names, n);
}

static void add_unmeasured(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out)
{
    size_t n = 0;
    char count[24];
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (mu_task_result_is_unmeasured(&r->tasks[i]))
            names[n++] = r->tasks[i].server_id;
    }
    if (!n)
        return;
    snprintf(count, sizeof(count), "%zu", n);
    mu_buf_adds(out, "Not measured: ");
    mu_summary_paint(out, color, MU_ST_ERROR, count);
    mu_buf_adds(out, n == 1 ? " server. " : " servers. ");
    mu_summary_add_list(out, "unmeasured_servers", names, n);
}

static void add_retried(const struct mu_run_result *r, const char **names, struct mu_buf *out)
{
    size_t n = 0, connections = 0;
    for (size_t i = 0; i < r->n_tasks; i++) {
        connections += r->tasks[i].retried;
        if (r->tasks[i].retried)
            names[n++] = r->tasks[i].server_id;
    }
    if (!n)
        return;
    mu_buf_adds(out, "Not connected at the first try: ");
    add_count(out, connections, "connection");
    mu_buf_adds(out, ". ");
    mu_summary_add_list(out, "retried_servers", names, n);
}

static void add_failed(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out)
{
    size_t n = 0;
    char count[24];
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (mu_task_result_is_failed(&r->tasks[i]))
            names[n++] = r->tasks[i].server_id;
    }
    snprintf(count, sizeof(count), "%zu", n);
    mu_buf_addf(out, "Out of %zu, ", r->n_tasks);
    mu_summary_paint(out, color, n ? MU_ST_FAILED : MU_ST_PASSED, count);
    mu_buf_adds(out, n == 1 ? " server failed. " : " servers failed. ");
    mu_summary_add_list(out, "failed_servers", names, n);
}

void mu_summary_write(const struct mu_run_result *r, bool color, struct mu_buf *out)
{
    const char **names = calloc(r->n_tasks ? r->n_tasks : 1, sizeof(*names));
    if (!names) {
        out->failed = true;
        return;
    }
    struct mu_clocale locale = mu_clocale_enter();
    mu_summary_table(r, color, out);
    add_unended(r, names, out);
    add_retried(r, names, out);
    add_unfinished(r, color, names, out);
    add_unmeasured(r, color, names, out);
    mu_summary_withheld(r, names, out);
    mu_summary_peers(r, names, out);
    mu_summary_marks(r, color, names, out);
    add_failed(r, color, names, out);
    mu_clocale_leave(locale);
    free(names);
}
