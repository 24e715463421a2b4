#include "results/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/utf8.h"
#include "results/clocale.h"
#include "results/reason.h"

/* ---- the reason ---- */

#define WORDS_MAX 300 /* bytes of each failure: there may be more to tell */

struct telling {
    enum mu_status status;
    struct mu_buf text;
};

/* What the message says beyond its cause, such as the provisioner's own words: a mark stands alone, and need not fold. */
static void tell_words(const struct mu_failure *f, struct mu_buf *out)
{
    const char *cause = f && !f->metric && f->cause && *f->cause && f->message ? strstr(f->message, f->cause) : NULL;
    const char *words = cause ? cause + strlen(f->cause) : "";
    if (strncmp(words, ": ", 2) != 0)
        return;
    words += 2;
    size_t len = strcspn(words, "\n"), shown = len > WORDS_MAX ? mu_utf8_cut(words, WORDS_MAX) : len;
    mu_buf_adds(out, " (");
    mu_buf_add(out, words, shown);
    mu_buf_adds(out, shown < len ? "...)" : ")");
}

static void tell(void *arg, const struct mu_reason *reason)
{
    struct telling *t = arg;
    if (reason->status != t->status || t->text.len > MU_VERDICT_REASON_MAX)
        return;
    mu_buf_adds(&t->text, t->text.len ? "; " : "");
    mu_reason_text(reason, &t->text);
    tell_words(reason->failure, &t->text);
    unsigned times = reason->step ? reason->step->measured : 1;
    if (times == 2)
        mu_buf_adds(&t->text, " (measured twice)");
    else if (times > 2)
        mu_buf_addf(&t->text, " (measured %u times)", times);
}

/* Escaped text of at most `most` bytes, cut between characters and never inside an escape. */
static void add_cut(struct mu_buf *out, const struct mu_buf *text, size_t most)
{
    struct mu_buf shown = MU_BUF_INIT;
    size_t len = text->len;
    for (;;) {
        mu_buf_clear(&shown);
        mu_buf_add_escaped(&shown, mu_buf_cstr(text), len);
        if (len < text->len)
            mu_buf_adds(&shown, "...");
        if (shown.len <= most || !len)
            break;
        size_t over = shown.len - most;
        len -= over / 4 + 1 < len ? over / 4 + 1 : len; /* a byte takes four at most when escaped */
        while (len && ((unsigned char)text->data[len] & 0xc0) == 0x80)
            len--;
    }
    mu_buf_add(out, mu_buf_cstr(&shown), shown.len);
    out->failed = out->failed || shown.failed;
    mu_buf_free(&shown);
}

static int compose(struct mu_verdict *v, const struct mu_buf *what, const char *run_id, const char *owner, int64_t wall_ms)
{
    struct mu_buf out = MU_BUF_INIT, tail = MU_BUF_INIT;
    char iso[MU_CLOCK_ISO_SIZE];
    mu_clock_iso(wall_ms, iso);
    mu_buf_adds(&tail, "; run ");
    mu_buf_add_escaped(&tail, run_id, strlen(run_id));
    mu_buf_adds(&tail, ", owner ");
    mu_buf_add_escaped(&tail, owner, strlen(owner));
    mu_buf_addf(&tail, ", %.19sZ", iso);
    mu_buf_adds(&out, "muster: ");
    size_t taken = out.len + tail.len;
    add_cut(&out, what, taken < MU_VERDICT_REASON_MAX ? MU_VERDICT_REASON_MAX - taken : 0);
    mu_buf_add(&out, mu_buf_cstr(&tail), tail.len);
    bool failed = out.failed || tail.failed || what->failed;
    mu_buf_free(&tail);
    v->reason = failed ? NULL : strndup(mu_buf_cstr(&out), MU_VERDICT_REASON_MAX);
    mu_buf_free(&out);
    return v->reason ? 0 : MU_ENOMEM;
}

/* ---- copies ---- */

static bool copy_text(char **out, const char *s)
{
    *out = s ? strdup(s) : NULL;
    return !s || *out;
}

static bool add_failures(struct mu_verdict *v, const struct mu_failure *failures, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct mu_failure *f = &failures[i];
        struct mu_failure *to = &v->failures[v->n_failures++];
        to->status = f->status;
        if (!copy_text(&to->type, f->type) || !copy_text(&to->where, f->where) || !copy_text(&to->metric, f->metric) ||
            !copy_text(&to->cause, f->cause) || !copy_text(&to->message, f->message))
            return false;
    }
    return true;
}

int mu_verdict_new(struct mu_verdict **out, const struct mu_task_result *t, const char *run_id, const char *owner,
                   int64_t wall_ms)
{
    struct mu_verdict *v = calloc(1, sizeof *v);
    struct telling telling = {.status = t->status, .text = MU_BUF_INIT};
    size_t n = t->n_failures;
    *out = NULL;
    if (!v)
        return MU_ENOMEM;
    v->status = t->status;
    for (size_t i = 0; i < t->n_steps; i++)
        n += t->steps[i].n_failures;
    v->failures = calloc(n ? n : 1, sizeof *v->failures);
    bool ok = v->failures != NULL;
    struct mu_clocale locale = mu_clocale_enter();
    for (size_t i = 0; ok && i < t->n_steps; i++) {
        mu_reason_each_in_step(&t->steps[i], tell, &telling);
        ok = add_failures(v, t->steps[i].failures, t->steps[i].n_failures);
    }
    for (size_t i = 0; ok && i < t->n_failures; i++)
        tell(&telling, &(struct mu_reason){t->failures[i].status, NULL, NULL, &t->failures[i]});
    ok = ok && add_failures(v, t->failures, t->n_failures);
    if (!telling.text.len)
        mu_buf_adds(&telling.text, mu_status_name(t->status));
    ok = ok && compose(v, &telling.text, run_id, owner, wall_ms) == 0;
    mu_clocale_leave(locale);
    mu_buf_free(&telling.text);
    if (!ok) {
        mu_verdict_free(v);
        return MU_ENOMEM;
    }
    *out = v;
    return 0;
}

int mu_verdict_new_dry(struct mu_verdict **out, const char *run_id, const char *owner, int64_t wall_ms)
{
    struct mu_verdict *v = calloc(1, sizeof *v);
    struct mu_buf what = MU_BUF_INIT;
    *out = NULL;
    mu_buf_adds(&what, "dry run");
    if (v)
        v->status = MU_ST_FAILED;
    if (!v || compose(v, &what, run_id, owner, wall_ms)) {
        mu_buf_free(&what);
        mu_verdict_free(v);
        return MU_ENOMEM;
    }
    mu_buf_free(&what);
    *out = v;
    return 0;
}

void mu_verdict_free(struct mu_verdict *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n_failures; i++) {
        struct mu_failure *f = &v->failures[i];
        free(f->type);
        free(f->where);
        free(f->metric);
        free(f->cause);
        free(f->message);
    }
    free(v->failures);
    free(v->reason);
    free(v);
}
