#include "run/marks.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- the cap ---- */

enum { DECIMALS = 4 };
#define ONE_PERCENT UINT64_C(10000)
#define HUNDRED_PERCENT (100 * ONE_PERCENT)
#define COUNT_MAX UINT64_C(1000000000)

static int refuse(struct mu_err *err, const char *text, const char *what)
{
    struct mu_buf shown = MU_BUF_INIT;
    size_t len = strlen(text);
    mu_buf_add_escaped(&shown, text, len > 40 ? 40 : len);
    int rc = mu_err_set(err, MU_EINVAL, "'%s' %s: write " MU_CAP_FORM, mu_buf_cstr(&shown), what);
    mu_buf_free(&shown);
    return rc;
}

/* One part at *at, moved behind it: digits, with decimals where a % follows. */
static int parse_part(struct mu_cap *cap, const char *text, const char **at, struct mu_err *err)
{
    const char *p = *at + strspn(*at, " ");
    uint64_t whole = 0, scaled = 0;
    size_t decimals = 0;
    bool point = false;
    if (!isdigit((unsigned char)*p))
        return refuse(err, text, "is no number of servers and no percentage of them");
    for (; isdigit((unsigned char)*p); p++) {
        whole = whole * 10 + (uint64_t)(*p - '0');
        if (whole > COUNT_MAX)
            return refuse(err, text, "is too large");
    }
    scaled = whole;
    if (*p == '.' && isdigit((unsigned char)p[1])) {
        point = true;
        for (p++; isdigit((unsigned char)*p); p++, decimals++) {
            if (decimals == DECIMALS)
                return refuse(err, text, "has more than four decimals");
            scaled = scaled * 10 + (uint64_t)(*p - '0');
        }
    }
    for (; decimals < DECIMALS; decimals++)
        scaled *= 10;
    if (*p == '%') {
        if (!scaled || scaled > HUNDRED_PERCENT)
            return refuse(err, text, "is not more than 0% and at most 100%");
        if (cap->has_percent)
            return refuse(err, text, "has two percentages");
        cap->has_percent = true;
        cap->percent = scaled;
        p++;
    } else {
        if (point)
            return refuse(err, text, "is no whole number of servers");
        if (cap->has_count)
            return refuse(err, text, "has two numbers");
        cap->has_count = true;
        cap->count = whole;
    }
    *at = p + strspn(p, " ");
    return 0;
}

int mu_cap_parse(struct mu_cap *cap, const char *text, struct mu_err *err)
{
    struct mu_cap got = {0};
    const char *p = text;
    int rc = parse_part(&got, text, &p, err);
    if (!rc && *p == ',') {
        p++;
        rc = parse_part(&got, text, &p, err);
    }
    if (!rc && *p)
        rc = refuse(err, text, "has something behind its end");
    if (!rc)
        *cap = got;
    return rc;
}

size_t mu_cap_of(const struct mu_cap *cap, size_t selected)
{
    uint64_t most = UINT64_MAX;
    if (cap->has_percent) {
        /* In two parts, so that no number of servers overflows. */
        most = selected / HUNDRED_PERCENT * cap->percent + selected % HUNDRED_PERCENT * cap->percent / HUNDRED_PERCENT;
        most = most ? most : 1;
    }
    if (cap->has_count && cap->count < most)
        most = cap->count;
    return most < SIZE_MAX ? (size_t)most : SIZE_MAX;
}

/* ---- decisions ---- */

int mu_marks_init(struct mu_marks *m, unsigned on, size_t cap, size_t n)
{
    *m = (struct mu_marks){.on = on, .cap = cap};
    if (!on)
        return 0;
    m->queue = calloc(n ? n : 1, sizeof *m->queue);
    return m->queue ? 0 : MU_ENOMEM;
}

void mu_marks_free(struct mu_marks *m)
{
    free(m->queue);
    m->queue = NULL;
}

bool mu_marks_finished(struct mu_marks *m, size_t index, enum mu_status status)
{
    if (!(m->on & 1u << status))
        return false;
    m->queue[m->n_candidates++] = index;
    return true;
}

bool mu_marks_over(const struct mu_marks *m) { return m->n_candidates > m->cap; }

bool mu_marks_next(struct mu_marks *m, size_t unfinished, size_t *index)
{
    /* Each of those that have not finished may turn out to be one more. */
    if (m->n_dealt == m->n_candidates || mu_marks_over(m) || unfinished > m->cap - m->n_candidates)
        return false;
    *index = m->queue[m->n_dealt++];
    return true;
}

void mu_marks_settled(struct mu_marks *m) { m->n_settled++; }

bool mu_marks_open(const struct mu_marks *m) { return !mu_marks_over(m) && m->n_settled < m->n_candidates; }
