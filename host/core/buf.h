/* buf.h: a growable byte buffer, and the escapes that hostile text needs on its way to a log or a report.
 *
 * Purpose: build output of unknown length; the bytes are always followed by a NUL that len does not count.
 * Owner: whoever declares it; MU_BUF_INIT or zeroed memory is a valid empty buffer, mu_buf_free() ends it.
 * Thread: one at a time.
 * Must not know: who prints the text, or why.
 *
 * Errors: out of memory sets `failed` and later appends do nothing, so that a writer can check once at its end.
 */
#ifndef MU_CORE_BUF_H
#define MU_CORE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct mu_buf {
    char *data; /* NULL while empty and never grown; else NUL-terminated */
    size_t len;
    size_t cap;
    bool failed; /* an allocation failed; the content is cut there */
};

#define MU_BUF_INIT {0}

void mu_buf_free(struct mu_buf *b);          /* back to empty, memory returned; NULL allowed */
void mu_buf_clear(struct mu_buf *b);         /* len = 0, failed = false, memory kept */
int mu_buf_reserve(struct mu_buf *b, size_t more); /* room for more bytes and the NUL; 0 or MU_ENOMEM */
/* bytes must not lie in b itself. A NULL string adds nothing. */
void mu_buf_add(struct mu_buf *b, const void *bytes, size_t n);
void mu_buf_addc(struct mu_buf *b, char c);
void mu_buf_adds(struct mu_buf *b, const char *s);
void mu_buf_addf(struct mu_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mu_buf_vaddf(struct mu_buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
const char *mu_buf_cstr(const struct mu_buf *b); /* never NULL */
char *mu_buf_take(struct mu_buf *b); /* the caller frees; "" when empty, NULL when failed; then b is empty */

/* Printable form of untrusted bytes, on one line: control characters (C0, DEL, C1 as UTF-8) and bytes that are not
 * valid UTF-8 become \n, \t, \r, \\ or \xHH, bidirectional overrides (U+202A–E, U+2066–9), line/paragraph separators
 * U+2028/9 become \u{…}. Backslash is doubled so that the form is unambiguous. */
void mu_buf_add_escaped(struct mu_buf *b, const char *s, size_t n);
/* The same, but a newline stays a newline (multi-line text in reports). */
void mu_buf_add_escaped_lines(struct mu_buf *b, const char *s, size_t n);
/* The same on one line, between double quotes, with those inside as \". */
void mu_buf_add_quoted(struct mu_buf *b, const char *s, size_t n);
/* A JSON string with its quotes (RFC 8259); invalid UTF-8 becomes U+FFFD. What add_escaped escapes is \uXXXX here. */
void mu_buf_add_json(struct mu_buf *b, const char *s, size_t n);
/* XML 1.0 character data or attribute value. Newline, tab and \r become &#N; (in an attribute they would be lost);
 * characters that XML forbids, other control characters and bidirectional overrides become their \xHH or \u{…} form. */
void mu_buf_add_xml(struct mu_buf *b, const char *s, size_t n);
/* A number as a person writes it: shortest of %.15g…%.17g that reads back the same; "nan", "inf", "-inf". */
void mu_buf_add_number(struct mu_buf *b, double v);

#endif
