#include "run/pair_results.h"

#include <stdlib.h>
#include <string.h>

#include "results/reason.h"

struct mu_step_result *mu_pair_find_step(const struct mu_task_result *t, const char *name)
{
    for (size_t i = 0; i < t->n_steps; i++)
        if (!strcmp(t->steps[i].name, name))
            return &t->steps[i];
    return NULL;
}

bool mu_pair_is_bad(const struct mu_step_result *s) { return s->status != MU_ST_PASSED && !s->withheld; }

static void put(char **text, struct mu_buf *with)
{
    char *now = with->failed ? NULL : strdup(mu_buf_cstr(with));
    if (now) {
        free(*text);
        *text = now;
    }
    mu_buf_free(with);
}

/* At the end of the first line; what follows is where it happened. */
static void add_to_message(struct mu_failure *f, const char *before, const char *name, const char *after)
{
    struct mu_buf text = MU_BUF_INIT;
    size_t line = f->message ? strcspn(f->message, "\n") : 0;
    if (!f->message)
        return;
    mu_buf_add(&text, f->message, line);
    mu_buf_addf(&text, "%s%s%s%s", before, name, after, f->message + line);
    put(&f->message, &text);
}

void mu_pair_name_partner(struct mu_step_result *s, const char *partner)
{
    for (size_t i = 0; i < s->n_failures; i++)
        add_to_message(&s->failures[i], ", with ", partner, "");
}

struct adding {
    struct mu_buf *text;
    const char *partner;
};

static void add_reason(void *arg, const struct mu_reason *reason)
{
    const struct adding *a = arg;
    mu_buf_adds(a->text, a->text->len ? "; " : "");
    mu_reason_text(reason, a->text);
    mu_buf_addf(a->text, ", with %s", a->partner);
}

void mu_pair_add_reasons(const struct mu_step_result *s, const char *partner, struct mu_buf *out)
{
    mu_reason_each_in_step(s, add_reason, &(struct adding){out, partner});
}

/* The metric that a failure is about, which it missed. */
static const struct mu_metric *missed(const struct mu_step_result *s, const struct mu_failure *f)
{
    for (size_t i = 0; f->metric && i < s->n_metrics; i++)
        if (s->metrics[i].judgement == MU_MISSED && !strcmp(s->metrics[i].name, f->metric))
            return &s->metrics[i];
    return NULL;
}

/* Failed and unreachable would say something of this server. */
static void untold(struct mu_step_result *s, struct mu_failure *f, const char *server, const char *partner)
{
    struct mu_buf cause = MU_BUF_INIT, both = MU_BUF_INIT;
    const struct mu_metric *m = missed(s, f);
    if (f->status == MU_ST_CANCELLED || f->status == MU_ST_SKIPPED)
        return;
    if (f->status == MU_ST_FAILED || f->status == MU_ST_UNREACHABLE)
        f->status = MU_ST_ERROR;
    if (m) {
        mu_buf_addf(&cause, "%s ", m->name);
        mu_reason_number(m->value, &m->th, &cause);
        mu_buf_addc(&cause, ' ');
        mu_reason_miss(m, m->value, &cause);
    } else {
        mu_buf_adds(&cause, f->cause ? f->cause : "?");
    }
    mu_buf_adds(&cause, ", of a pair; which of the two it is, is not known");
    put(&f->cause, &cause);
    free(f->metric);
    f->metric = NULL;
    mu_buf_addf(&both, "%s, %s", server, partner);
    add_to_message(f, ": one of ", mu_buf_cstr(&both), ", which of them is not known, since there was no good server to pair them with");
    mu_buf_free(&both);
}

void mu_pair_untold(struct mu_step_result *s, const char *server, const char *partner)
{
    s->status = MU_ST_PASSED;
    for (size_t i = 0; i < s->n_failures; i++) {
        untold(s, &s->failures[i], server, partner);
        s->status = mu_status_worst(s->status, s->failures[i].status);
    }
    if (s->status == MU_ST_PASSED)
        s->status = MU_ST_ERROR;
    for (size_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i].judgement == MU_MISSED)
            s->metrics[i].judgement = MU_UNJUDGED;
}
