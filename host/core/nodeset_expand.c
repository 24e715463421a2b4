/* The reading half of nodeset.h. A set is checked and counted as a whole before the first name is given out. */
#include "core/nodeset.h"

#include <stdint.h>
#include <string.h>

#define MAX_DIGITS 18
#define MAX_BRACKETS 8 /* in one term: rack[1-2]-srv[01-10] */

struct span {
    const char *p;
    size_t len;
};

/* lo, lo+step, … hi */
struct range {
    uint64_t lo, hi, step;
    int padding;
};

/* text[0] bracket[0] text[1] bracket[1] … text[n] */
struct term {
    struct span text[MAX_BRACKETS + 1];
    struct span bracket[MAX_BRACKETS];
    size_t n;
};

struct walk {
    int (*fn)(void *arg, const char *name);
    void *arg;
    struct mu_err *err;
    struct mu_buf name;
};

static struct span trim(struct span s)
{
    while (s.len > 0 && (*s.p == ' ' || *s.p == '\t'))
        s.p++, s.len--;
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cut the next piece up to a comma that is outside brackets off *rest; false when there is none left. */
static bool next_item(struct span *rest, struct span *item)
{
    size_t i = 0;
    int depth = 0;

    if (!rest->p)
        return false;
    for (; i < rest->len && (depth > 0 || rest->p[i] != ','); i++)
        depth += (rest->p[i] == '[') - (rest->p[i] == ']' && depth > 0);
    *item = trim((struct span){rest->p, i});
    if (i < rest->len)
        *rest = (struct span){rest->p + i + 1, rest->len - i - 1};
    else
        rest->p = NULL;
    return true;
}

static int malformed(struct mu_err *err, struct span where, const char *why)
{
    return mu_err_set(err, MU_EINVAL, "malformed node set '%.*s': %s", (int)(where.len < 200 ? where.len : 200),
                      where.p, why);
}

/* Read digits off *s, and blanks around them. Returns how many there were, 0 when none or too many. */
static int take_number(struct span *s, uint64_t *out)
{
    int digits = 0;

    *s = trim(*s);
    for (*out = 0; s->len > 0 && *s->p >= '0' && *s->p <= '9'; s->p++, s->len--, digits++) {
        if (digits == MAX_DIGITS)
            return 0;
        *out = *out * 10 + (uint64_t)(*s->p - '0');
    }
    *s = trim(*s);
    return digits;
}

static bool take_char(struct span *s, char c)
{
    if (s->len == 0 || *s->p != c)
        return false;
    s->p++, s->len--;
    return true;
}

static int parse_range(struct span item, struct range *out, struct mu_err *err)
{
    struct span s = item;
    const char *lo_text = s.p, *hi_text;
    int lo_digits = take_number(&s, &out->lo), hi_digits;

    if (lo_digits == 0)
        return malformed(err, item, "in brackets stand numbers of up to 18 digits, N or N-M or N-M/STEP");
    out->hi = out->lo;
    out->step = 1;
    out->padding = lo_digits > 1 && *lo_text == '0' ? lo_digits : 0;
    if (take_char(&s, '-')) {
        s = trim(s);
        hi_text = s.p;
        hi_digits = take_number(&s, &out->hi);
        if (hi_digits == 0)
            return malformed(err, item, "a range needs a last number of up to 18 digits");
        if (out->hi < out->lo)
            return malformed(err, item, "the range runs backwards");
        /* [08-11] and [08-100] are clear, [1-010] and [01-5] are not */
        if (hi_digits != lo_digits && (hi_digits < lo_digits || *hi_text == '0'))
            return malformed(err, item, "both ends of a range are padded alike");
        if (take_char(&s, '/') && (take_number(&s, &out->step) == 0 || out->step == 0))
            return malformed(err, item, "a step is a number from 1 up");
    }
    if (s.len > 0)
        return malformed(err, item, "in brackets stand numbers of up to 18 digits, N or N-M or N-M/STEP");
    return 0;
}

/* Cut a term into its texts and brackets, check them, and set *count to its number of names (at most SIZE_MAX). */
static int parse_term(struct span whole, struct term *t, size_t *count, struct mu_err *err)
{
    size_t start = 0, i;
    bool open = false;
    int rc;

    if (whole.len == 0)
        return mu_err_set(err, MU_EINVAL, "malformed node set: an empty name (a comma too many?)");
    t->n = 0;
    for (i = 0; i < whole.len; i++) {
        if (whole.p[i] != '[' && whole.p[i] != ']')
            continue;
        if ((whole.p[i] == '[') == open)
            return malformed(err, whole, open ? "a bracket inside a bracket" : "']' without '['");
        if (!open && t->n == MAX_BRACKETS)
            return malformed(err, whole, "more than 8 brackets");
        if (!open)
            t->text[t->n] = (struct span){whole.p + start, i - start};
        else
            t->bracket[t->n++] = (struct span){whole.p + start, i - start};
        open = !open;
        start = i + 1;
    }
    if (open)
        return malformed(err, whole, "'[' without ']'");
    t->text[t->n] = (struct span){whole.p + start, whole.len - start};

    *count = 1;
    for (i = 0; i < t->n; i++) {
        struct span rest = t->bracket[i], item;
        size_t here = 0, more;
        while (next_item(&rest, &item)) {
            struct range r;
            if ((rc = parse_range(item, &r, err)) != 0)
                return rc;
            more = (size_t)((r.hi - r.lo) / r.step) + 1;
            here = here > SIZE_MAX - more ? SIZE_MAX : here + more;
        }
        *count = *count > SIZE_MAX / here ? SIZE_MAX : *count * here;
    }
    return 0;
}

static int give_out(struct walk *w, const struct term *t, size_t depth)
{
    size_t before = w->name.len;
    struct span rest, item;
    int rc = 0;

    mu_buf_add(&w->name, t->text[depth].p, t->text[depth].len);
    if (depth == t->n) {
        rc = w->name.failed ? mu_err_set(w->err, MU_ENOMEM, "out of memory expanding a node set")
                            : w->fn(w->arg, mu_buf_cstr(&w->name));
    } else {
        size_t mark = w->name.len;
        rest = t->bracket[depth];
        while (rc == 0 && next_item(&rest, &item)) {
            struct range r;
            rc = parse_range(item, &r, w->err);
            for (uint64_t i = r.lo; rc == 0 && i <= r.hi; i += r.step) {
                mu_buf_addf(&w->name, "%0*llu", r.padding, (unsigned long long)i);
                rc = give_out(w, t, depth + 1);
                w->name.len = w->name.failed ? w->name.len : mark;
            }
        }
    }
    w->name.len = w->name.failed ? w->name.len : before;
    return rc;
}

int mu_nodeset_expand(const char *text, size_t max, int (*fn)(void *arg, const char *name), void *arg,
                      struct mu_err *err)
{
    struct walk w = {.fn = fn, .arg = arg, .err = err, .name = MU_BUF_INIT};
    struct span whole = {text, strlen(text)}, rest = whole, item;
    size_t total = 0, count;
    struct term t;
    int rc;

    while (next_item(&rest, &item)) {
        rc = parse_term(item, &t, &count, err);
        if (rc != 0)
            return rc;
        if (count > max - total)
            return mu_err_set(err, MU_ELIMIT, "node set '%.200s' stands for more than %zu names", text, max);
        total += count;
    }
    rest = whole;
    rc = 0;
    while (rc == 0 && next_item(&rest, &item)) {
        rc = parse_term(item, &t, &count, err);
        if (rc == 0)
            rc = give_out(&w, &t, 0);
    }
    mu_buf_free(&w.name);
    return rc;
}
