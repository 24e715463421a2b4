/* summary_marks.c: what became of the servers apart from their verdicts: left behind, marked as broken, or not marked; and what came after them. */
#include "results/summary.h"

#include <stdlib.h>
#include <string.h>

enum { NOTE_CUT = 200 };

static size_t pick(const struct mu_run_result *r, enum mu_mark_state state, const char **names)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_tasks; i++)
        if (r->tasks[i].mark.state == state)
            names[n++] = r->tasks[i].server_id;
    return n;
}

static void add_left_behind(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_tasks; i++)
        if (r->tasks[i].left_behind)
            names[n++] = r->tasks[i].server_id;
    if (!n)
        return;
    mu_summary_paint(out, color, MU_ST_FAILED, "LEFT BEHIND");
    mu_buf_adds(out, "  ");
    mu_summary_add_nodeset(out, names, n);
    mu_buf_addf(out, " still installed: `muster cleanup` destroys %s\n", n == 1 ? "it" : "them");
}

static void add_made(const struct mu_run_result *r, const char **names, struct mu_buf *out)
{
    size_t n = pick(r, MU_MARK_MADE, names);
    if (n) {
        mu_buf_addf(out, "Marked as broken: %zu server%s. ", n, n == 1 ? "" : "s");
        mu_summary_add_list(out, "marked_servers", names, n);
    }
    n = pick(r, MU_MARK_KEPT, names);
    if (n) {
        mu_buf_addf(out, "Mark kept: %zu server%s marked by someone else. ", n, n == 1 ? " was" : "s were");
        mu_summary_add_list(out, "kept_servers", names, n);
    }
}

/* ---- marks that could not be made, folded by why ---- */

static const char *note_of(const struct mu_task_result *t) { return t->mark.note ? t->mark.note : "no reason given"; }

static int compare_notes(const void *pa, const void *pb)
{
    const struct mu_task_result *a = *(const struct mu_task_result *const *)pa, *b = *(const struct mu_task_result *const *)pb;
    int c = strcmp(note_of(a), note_of(b));
    return c ? c : (a > b) - (a < b); /* they are in one array, in inventory order */
}

static void add_not_made(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out)
{
    size_t n = pick(r, MU_MARK_FAILED, names), k = 0;
    const struct mu_task_result **tasks = n ? calloc(n, sizeof(*tasks)) : NULL;
    if (n && !tasks)
        out->failed = true;
    if (!tasks)
        return;
    for (size_t i = 0; i < r->n_tasks; i++)
        if (r->tasks[i].mark.state == MU_MARK_FAILED)
            tasks[k++] = &r->tasks[i];
    qsort(tasks, n, sizeof(*tasks), compare_notes);
    for (size_t first = 0, end; first < n; first = end) {
        const char *note = note_of(tasks[first]);
        for (end = first; end < n && !strcmp(note_of(tasks[end]), note); end++)
            names[end - first] = tasks[end]->server_id;
        mu_summary_paint(out, color, MU_ST_FAILED, "NOT MARKED");
        mu_buf_addf(out, ": mark could not be made for %zu server%s: ", end - first, end - first == 1 ? "" : "s");
        mu_summary_add_cut(out, note, strcspn(note, "\n"), NOTE_CUT);
        mu_buf_adds(out, ". ");
        mu_summary_add_list(out, "mark_failed_servers", names, end - first);
    }
    free(tasks);
}

/* ---- marks that were not tried ---- */

static void add_cap(const struct mu_run_result *r, struct mu_buf *out)
{
    const char *said = r->marks.said ? r->marks.said : "";
    mu_buf_addf(out, "the cap of %zu", r->marks.cap);
    if (said[strspn(said, "0123456789")]) { /* not the number itself */
        mu_buf_adds(out, " (");
        mu_buf_add_escaped(out, said, strlen(said));
        mu_buf_addc(out, ')');
    }
}

static void add_withheld(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out)
{
    size_t n = pick(r, MU_MARK_WITHHELD, names);
    bool all_failed = true;
    if (!n)
        return;
    if (!r->marks.over) {
        mu_buf_addf(out, "Not marked: %zu server%s, since the run was interrupted. ", n, n == 1 ? "" : "s");
        mu_summary_add_list(out, "unmarked_servers", names, n);
        return;
    }
    for (size_t i = 0; i < r->n_tasks; i++)
        all_failed = all_failed && (r->tasks[i].mark.state != MU_MARK_WITHHELD || r->tasks[i].status == MU_ST_FAILED);
    mu_summary_paint(out, color, MU_ST_FAILED, "NOT MARKED");
    mu_buf_addf(out, ": %zu of %zu server%s %s, more than ", n, r->n_tasks, r->n_tasks == 1 ? "" : "s",
                all_failed ? "failed" : "were to be marked");
    add_cap(r, out);
    mu_buf_adds(out, " allows: nobody was marked. The script or the firmware is the likelier culprit. ");
    mu_summary_add_list(out, "unmarked_servers", names, n);
}

void mu_summary_marks(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out)
{
    add_left_behind(r, color, names, out);
    add_made(r, names, out);
    add_not_made(r, color, names, out);
    add_withheld(r, color, names, out);
    if (r->after_all) {
        mu_summary_paint(out, color, MU_ST_ERROR, "after_all did not work");
        mu_buf_adds(out, ": ");
        mu_summary_add_cut(out, r->after_all, strcspn(r->after_all, "\n"), NOTE_CUT);
        mu_buf_addc(out, '\n');
    }
    if (r->dry_run)
        mu_buf_adds(out, "Dry run: nothing was changed, and nothing measured.\n");
}
