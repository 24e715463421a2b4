/* log_sink.h: the three ways a log line is written: console, JSON lines, logfmt.
 *
 * Purpose: ready-made sinks for mu_logger_add_sink(), and the formatting functions themselves for those who keep lines.
 * Owner: a sink borrows its descriptor unless told to own it. One write(2) a line, so lines of several processes that
 *   append to one file do not mix. When a line cannot be written, one notice goes to standard error.
 * Thread: as mu_sink_fn.
 * Must not know: where records come from.
 *
 * Console:  2023-11-15 14:58:40 [info     ] GPU benchmark score is 82.     server_id=5614 step=gpu
 *   level padded to 9, message padded to 30, then key=value; a value with a space, quote, '=' or escape is quoted.
 *   Colours are ANSI SGR and only when asked for. Everything is escaped: a record is one line, whatever it holds.
 * JSON:     {"timestamp":"2023-11-15T14:58:40.123Z","level":"info","event":"…","server_id":"5614","step":"gpu"}
 *   a field named timestamp, level or event gets a trailing underscore (logfmt too); nan and inf are strings.
 * logfmt:   timestamp=2023-11-15T14:58:40.123Z level=info event="…" server_id=5614 step=gpu
 */
#ifndef MU_CORE_LOG_SINK_H
#define MU_CORE_LOG_SINK_H

#include "core/buf.h"
#include "core/err.h"
#include "core/log.h"

enum mu_log_format { MU_LOG_CONSOLE, MU_LOG_JSON, MU_LOG_LOGFMT };
int mu_log_format_parse(const char *name, enum mu_log_format *out); /* "console" "json" "logfmt" */

/* Append one formatted line, newline included. */
void mu_log_format_record(struct mu_buf *out, enum mu_log_format format, bool color, const struct mu_record *record);

/* Add a sink that writes lines of this format to fd. own_fd: closed with the logger; when the call
 * fails it stays the caller's. One that does not own its descriptor shows what mu_logger_status() is given, with the
 * escape sequences of a terminal. 0 or a negative code. */
int mu_log_sink_fd(struct mu_logger *lg, int fd, bool own_fd, enum mu_log_format format, bool color,
                   struct mu_err *err);
/* Open path for appending (created 0644) and add a sink to it, without colours. */
int mu_log_sink_file(struct mu_logger *lg, const char *path, enum mu_log_format format, struct mu_err *err);

#endif
