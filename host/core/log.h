/* log.h: log lines, and the thread-local context that says whose they are.
 *
 * Purpose: mu_log() anywhere in the host, in a binding or in a library callback writes a line that carries the fields
 *   of the context the thread is in, so that no code passes a server id along.
 * Owner: a context node is immutable and reference counted (atomically: helper threads may hold one). A logger is owned
 *   by the engine that made it and must outlive every thread that uses it.
 * Thread: each thread has its own current context and its own logger; a logger may be shared by any number of threads,
 *   it calls its sink under a mutex.
 * Must not know: Lua, libuv, libssh, or what a server is.
 */
#ifndef MU_CORE_LOG_H
#define MU_CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mu_level { MU_TRACE, MU_DEBUG, MU_INFO, MU_WARNING, MU_ERROR, MU_LEVEL_OFF };

const char *mu_level_name(enum mu_level level); /* "warning" */
int mu_level_parse(const char *name, enum mu_level *out); /* also "warn"; MU_EINVAL for an unknown name */

enum mu_field_type { MU_FIELD_STR, MU_FIELD_INT, MU_FIELD_NUM, MU_FIELD_BOOL };

struct mu_field {
    const char *key; /* [A-Za-z0-9_.-]; anything else is escaped by the sink */
    enum mu_field_type type;
    union {
        const char *str;
        int64_t i;
        double num;
        bool b;
    } v;
};

/* ---- context ---- */

struct mu_ctx; /* an immutable chain of fields, newest first */

/* A child of parent (NULL: a root) with one more field; key and value are copied. A key that the parent has is
 * overridden: the field takes its place at the end. The child keeps what it needs of the parent, whose reference stays
 * the caller's. Returns a new reference, or NULL when out of memory. */
struct mu_ctx *mu_ctx_with(struct mu_ctx *parent, const struct mu_field *field);
struct mu_ctx *mu_ctx_with_str(struct mu_ctx *parent, const char *key, const char *value);
struct mu_ctx *mu_ctx_ref(struct mu_ctx *ctx); /* NULL allowed; returns ctx */
void mu_ctx_unref(struct mu_ctx *ctx);         /* NULL allowed */

struct mu_ctx *mu_ctx_current(void); /* borrowed; NULL outside any */
/* Make ctx this thread's context and return the former one, to be handed to mu_ctx_leave(). Nests. Both borrow: the
 * caller keeps ctx alive until it leaves. */
struct mu_ctx *mu_ctx_enter(struct mu_ctx *ctx);
void mu_ctx_leave(struct mu_ctx *former);

/* ---- loggers ---- */

/* One line as a sink sees it. Everything is borrowed for the call. */
struct mu_record {
    enum mu_level level;
    int64_t wall_ms;
    const char *msg; /* raw: sinks escape it */
    size_t msg_len;
    /* Context first, outermost first, then the line's own. Each key once: the last one given wins. Keys and strings are
     * never NULL. */
    const struct mu_field *fields;
    size_t n_fields;
};

typedef void mu_sink_fn(void *arg, const struct mu_record *record);

struct mu_logger;
int mu_logger_new(struct mu_logger **out, enum mu_level level); /* 0 or MU_ENOMEM */
void mu_logger_free(struct mu_logger *lg);
/* Add a sink; sinks are called in order, under the logger's mutex, from whichever thread logs. A sink must not log; its
 * line is dropped. Not to be called once another thread uses the logger. 0 or MU_ENOMEM. `destroy` (may be NULL) is
 * called with arg when the logger is freed. */
int mu_logger_add_sink(struct mu_logger *lg, mu_sink_fn *sink, void *arg, void (*destroy)(void *arg));

/* A line below the log: what goes on now, for a person at a terminal. The sink with this arg, added before, shows it by fn,
 * which is called under the same mutex as the sink. */
typedef void mu_sink_status_fn(void *arg, const char *text, size_t len);
void mu_logger_sink_status(struct mu_logger *lg, void *arg, mu_sink_status_fn *fn);
/* Show this text (printable, no control characters) in place of the former; empty: none any more. Any thread. */
void mu_logger_status(struct mu_logger *lg, const char *text, size_t len);

/* This thread's logger; NULL (the start) drops every line. Returns the former one. */
struct mu_logger *mu_logger_use(struct mu_logger *lg);
struct mu_logger *mu_logger_current(void);

bool mu_log_enabled(enum mu_level level); /* for the calling thread; cheap; false when there is no sink */

/* Log one line. Never fails, never blocks on anything but the sinks, leaves errno alone. */
void mu_log_fields(enum mu_level level, const struct mu_field *fields, size_t n, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with a message that is not a format and may hold any bytes. */
void mu_log_text(enum mu_level level, const struct mu_field *fields, size_t n, const char *msg, size_t len);
/* A line that was made elsewhere: written by this thread's logger as it is, with its own time and fields and none of the
 * context's. Below the logger's level it is not. */
void mu_log_record(const struct mu_record *record);

#define mu_log(level, ...) mu_log_fields((level), NULL, 0, __VA_ARGS__)

#endif
