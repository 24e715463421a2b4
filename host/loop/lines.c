#include "loop/lines.h"

#include <string.h>

void mu_lines_init(struct mu_lines *l, enum mu_exec_stream stream, size_t limit, mu_lines_fn *fn, void *arg)
{
    memset(l, 0, sizeof(*l));
    l->fn = fn;
    l->arg = arg;
    l->stream = stream;
    l->limit = limit;
}

/* Call the user; false when it freed l. */
static bool hand_over(struct mu_lines *l, const char *line, size_t len)
{
    bool gone = false;

    l->gone = &gone;
    l->fn(l->arg, l->stream, line, len);
    if (gone)
        return false;
    l->gone = NULL;
    return true;
}

/* Hand over the started line. Its memory is ours meanwhile, so that the user may free l and still read the line. */
static bool hand_over_rest(struct mu_lines *l)
{
    struct mu_buf line = l->rest;
    bool alive;

    l->rest = (struct mu_buf)MU_BUF_INIT;
    alive = hand_over(l, mu_buf_cstr(&line), line.len);
    if (alive && !l->rest.data) {
        mu_buf_clear(&line); /* keep the memory for the next one */
        l->rest = line;
    } else {
        mu_buf_free(&line);
    }
    return alive;
}

int mu_lines_feed(struct mu_lines *l, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *newline = memchr(bytes, '\n', n);
        size_t len = newline ? (size_t)(newline - bytes) : n;

        if (len > l->limit || l->rest.len > l->limit - len) {
            mu_buf_free(&l->rest);
            return MU_ELIMIT;
        }
        if (newline && l->rest.len == 0) {
            if (!hand_over(l, bytes, len))
                return MU_ECLOSED;
        } else {
            mu_buf_add(&l->rest, bytes, len);
            if (l->rest.failed) {
                mu_buf_free(&l->rest);
                return MU_ENOMEM;
            }
            if (newline && !hand_over_rest(l))
                return MU_ECLOSED;
        }
        len += newline != NULL;
        bytes += len;
        n -= len;
    }
    return 0;
}

int mu_lines_finish(struct mu_lines *l)
{
    if (l->rest.len == 0)
        return 0;
    return hand_over_rest(l) ? 0 : MU_ECLOSED;
}

void mu_lines_free(struct mu_lines *l)
{
    mu_buf_free(&l->rest);
    if (l->gone)
        *l->gone = true;
    l->gone = NULL;
}
