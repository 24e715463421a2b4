#include "core/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log_ctx.h"

#define STACK_MESSAGE 512
#define STACK_FIELDS 32

struct sink {
    mu_sink_fn *fn;
    void *arg;
    void (*destroy)(void *arg);
    mu_sink_status_fn *status; /* NULL: it shows none */
};

struct mu_logger {
    pthread_mutex_t lock;
    enum mu_level level;
    struct sink *sinks;
    size_t n_sinks;
};

static _Thread_local struct mu_logger *logger;
static _Thread_local bool in_sink; /* a sink that logs after all would wait for itself; its line is dropped instead */

static const char *const level_names[] = {"trace", "debug", "info", "warning", "error", "off"};

const char *mu_level_name(enum mu_level level)
{
    return (unsigned)level <= MU_LEVEL_OFF ? level_names[level] : "?";
}

int mu_level_parse(const char *name, enum mu_level *out)
{
    if (!name)
        return MU_EINVAL;
    if (strcmp(name, "warn") == 0)
        name = "warning";
    for (int i = MU_TRACE; i <= MU_LEVEL_OFF; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum mu_level)i;
            return 0;
        }
    }
    return MU_EINVAL;
}

int mu_logger_new(struct mu_logger **out, enum mu_level level)
{
    struct mu_logger *lg = calloc(1, sizeof *lg);

    *out = NULL;
    if (!lg)
        return MU_ENOMEM;
    if (pthread_mutex_init(&lg->lock, NULL) != 0) {
        free(lg);
        return MU_ENOMEM;
    }
    lg->level = level;
    *out = lg;
    return 0;
}

void mu_logger_free(struct mu_logger *lg)
{
    if (!lg)
        return;
    if (logger == lg)
        logger = NULL;
    for (size_t i = 0; i < lg->n_sinks; i++)
        if (lg->sinks[i].destroy)
            lg->sinks[i].destroy(lg->sinks[i].arg);
    free(lg->sinks);
    pthread_mutex_destroy(&lg->lock);
    free(lg);
}

int mu_logger_add_sink(struct mu_logger *lg, mu_sink_fn *sink, void *arg, void (*destroy)(void *arg))
{
    struct sink *sinks = realloc(lg->sinks, (lg->n_sinks + 1) * sizeof *sinks);

    if (!sinks)
        return MU_ENOMEM;
    lg->sinks = sinks;
    sinks[lg->n_sinks++] = (struct sink){sink, arg, destroy, NULL};
    return 0;
}

void mu_logger_sink_status(struct mu_logger *lg, void *arg, mu_sink_status_fn *fn)
{
    for (size_t i = 0; i < lg->n_sinks; i++)
        if (lg->sinks[i].arg == arg)
            lg->sinks[i].status = fn;
}

void mu_logger_status(struct mu_logger *lg, const char *text, size_t len)
{
    if (in_sink)
        return;
    pthread_mutex_lock(&lg->lock);
    for (size_t i = 0; i < lg->n_sinks; i++)
        if (lg->sinks[i].status)
            lg->sinks[i].status(lg->sinks[i].arg, text, len);
    pthread_mutex_unlock(&lg->lock);
}

struct mu_logger *mu_logger_use(struct mu_logger *lg)
{
    struct mu_logger *former = logger;

    logger = lg;
    return former;
}

struct mu_logger *mu_logger_current(void)
{
    return logger;
}

bool mu_log_enabled(enum mu_level level)
{
    return logger && level >= logger->level && level < MU_LEVEL_OFF && logger->n_sinks > 0 && !in_sink;
}

/* ---- a record's fields ---- */

static size_t hash(const char *s)
{
    size_t h = 5381;

    while (*s)
        h = h * 33 + (unsigned char)*s++;
    return h;
}

/* Of fields with the same key keep the last, in place; returns how many are left. Kept ones gather at the end while it
 * runs, then move to the front. The table is for a caller who logs thousands of fields; without it each is compared. */
static size_t drop_overridden(struct mu_field *fields, size_t n)
{
    size_t kept = n, mask = 0, *table = NULL; /* the table holds an index + 1, 0 is a free place */

    if (n > STACK_FIELDS) {
        for (mask = 64; mask < 2 * n; mask *= 2)
            continue;
        table = calloc(mask, sizeof *table);
        mask--;
    }
    for (size_t i = n; i-- > 0;) {
        size_t j = kept, slot = 0;
        if (table) {
            slot = hash(fields[i].key) & mask;
            while (table[slot] && strcmp(fields[table[slot] - 1].key, fields[i].key) != 0)
                slot = (slot + 1) & mask;
            j = table[slot] ? table[slot] - 1 : n;
        } else {
            while (j < n && strcmp(fields[j].key, fields[i].key) != 0)
                j++;
        }
        if (j < n)
            continue;
        fields[--kept] = fields[i];
        if (table)
            table[slot] = kept + 1;
    }
    free(table);
    memmove(fields, fields + kept, (n - kept) * sizeof *fields);
    return n - kept;
}

/* To the sinks. wall_ms 0: now. */
static void write_record(struct mu_record *record)
{
    pthread_mutex_lock(&logger->lock);
    in_sink = true;
    if (!record->wall_ms)
        record->wall_ms = mu_clock_wall_ms(); /* under the lock, so that lines are in the order of their times */
    for (size_t i = 0; i < logger->n_sinks; i++)
        logger->sinks[i].fn(logger->sinks[i].arg, record);
    in_sink = false;
    pthread_mutex_unlock(&logger->lock);
}

static void emit(enum mu_level level, const struct mu_field *own, size_t n_own, const char *msg, size_t len)
{
    struct mu_ctx *ctx = mu_ctx_current();
    size_t n_ctx = ctx ? ctx->depth : 0, n = n_ctx + n_own, i;
    struct mu_field stack[STACK_FIELDS], *fields = stack;
    struct mu_record record = {.level = level, .msg = msg, .msg_len = len};

    if (n > STACK_FIELDS) {
        fields = malloc(n * sizeof *fields);
        if (!fields) { /* the line is worth more than its later fields */
            fields = stack;
            while (n_ctx > STACK_FIELDS) {
                ctx = ctx->parent;
                n_ctx--;
            }
            n = STACK_FIELDS;
        }
    }
    for (i = n_ctx; i > 0; ctx = ctx->parent)
        fields[--i] = ctx->field;
    for (i = n_ctx; i < n; i++) {
        fields[i] = own[i - n_ctx];
        if (!fields[i].key)
            fields[i].key = "";
        if (fields[i].type == MU_FIELD_STR && !fields[i].v.str)
            fields[i].v.str = "";
    }
    record.fields = fields;
    record.n_fields = n > n_ctx ? drop_overridden(fields, n) : n;

    write_record(&record);
    if (fields != stack)
        free(fields);
}

void mu_log_text(enum mu_level level, const struct mu_field *fields, size_t n, const char *msg, size_t len)
{
    int saved = errno;

    if (!mu_log_enabled(level))
        return;
    emit(level, fields, n, msg ? msg : "", msg ? len : 0);
    errno = saved;
}

void mu_log_record(const struct mu_record *record)
{
    struct mu_record line = *record;
    int saved = errno;

    if (!mu_log_enabled(line.level))
        return;
    write_record(&line);
    errno = saved;
}

void mu_log_fields(enum mu_level level, const struct mu_field *fields, size_t n, const char *fmt, ...)
{
    char stack[STACK_MESSAGE], *msg = stack;
    int saved = errno, len;
    va_list ap, again;

    if (!mu_log_enabled(level))
        return;
    va_start(ap, fmt);
    va_copy(again, ap);
    len = vsnprintf(stack, sizeof stack, fmt, ap);
    if (len < 0) {
        len = snprintf(stack, sizeof stack, "(a message that could not be formatted)");
    } else if ((size_t)len >= sizeof stack) {
        msg = malloc((size_t)len + 1);
        if (msg) {
            vsnprintf(msg, (size_t)len + 1, fmt, again);
        } else {
            msg = stack;
            len = sizeof stack - 1;
        }
    }
    va_end(again);
    va_end(ap);
    emit(level, fields, n, msg, (size_t)len);
    if (msg != stack)
        free(msg);
    errno = saved;
}
