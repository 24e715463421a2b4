/* The escapes of buf.h: what a server sends must neither steer a terminal nor forge a line or a report. */
#include "core/buf.h"

#include <stdint.h>

#include "core/utf8.h"

/* Characters that change the order or the breaking of the text around them; browsers and terminals obey them. */
static bool misleads(uint32_t cp)
{
    return (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0x2028 || cp == 0x2029;
}

static bool is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f);
}

static void add_hex(struct mu_buf *b, const char *s, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        char out[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
        mu_buf_add(b, out, sizeof out);
    }
}

enum { KEEP_NEWLINES = 1, DOUBLE_QUOTES = 2 };

static void escape(struct mu_buf *b, const char *s, size_t n, unsigned how)
{
    size_t done = 0; /* s[done..i) is plain and still to be added, in one piece */
    size_t i = 0;

    while (i < n) {
        uint32_t cp = 0;
        size_t len = mu_utf8_decode(s + i, n - i, &cp);
        bool plain = len && !is_control(cp) && !misleads(cp) && cp != '\\' && !(cp == '"' && (how & DOUBLE_QUOTES));

        if (plain || (cp == '\n' && (how & KEEP_NEWLINES))) {
            i += len;
            continue;
        }
        mu_buf_add(b, s + done, i - done);
        if (!len)
            add_hex(b, s + i, len = 1);
        else if (misleads(cp))
            mu_buf_addf(b, "\\u{%x}", (unsigned)cp);
        else if (cp == '\n')
            mu_buf_adds(b, "\\n");
        else if (cp == '\t')
            mu_buf_adds(b, "\\t");
        else if (cp == '\r')
            mu_buf_adds(b, "\\r");
        else if (cp == '\\')
            mu_buf_adds(b, "\\\\");
        else if (cp == '"')
            mu_buf_adds(b, "\\\"");
        else
            add_hex(b, s + i, len);
        i += len;
        done = i;
    }
    mu_buf_add(b, s + done, n - done);
}

void mu_buf_add_escaped(struct mu_buf *b, const char *s, size_t n)
{
    escape(b, s, n, 0);
}

void mu_buf_add_escaped_lines(struct mu_buf *b, const char *s, size_t n)
{
    escape(b, s, n, KEEP_NEWLINES);
}

void mu_buf_add_quoted(struct mu_buf *b, const char *s, size_t n)
{
    mu_buf_addc(b, '"');
    escape(b, s, n, DOUBLE_QUOTES);
    mu_buf_addc(b, '"');
}

void mu_buf_add_json(struct mu_buf *b, const char *s, size_t n)
{
    size_t done = 0, i = 0;

    mu_buf_addc(b, '"');
    while (i < n) {
        uint32_t cp = 0;
        size_t len = mu_utf8_decode(s + i, n - i, &cp);

        if (len && !is_control(cp) && !misleads(cp) && cp != '"' && cp != '\\') {
            i += len;
            continue;
        }
        mu_buf_add(b, s + done, i - done);
        if (!len)
            mu_buf_adds(b, "\xef\xbf\xbd"), len = 1;
        else if (cp == '"')
            mu_buf_adds(b, "\\\"");
        else if (cp == '\\')
            mu_buf_adds(b, "\\\\");
        else if (cp == '\n')
            mu_buf_adds(b, "\\n");
        else if (cp == '\t')
            mu_buf_adds(b, "\\t");
        else if (cp == '\r')
            mu_buf_adds(b, "\\r");
        else
            mu_buf_addf(b, "\\u%04x", (unsigned)cp);
        i += len;
        done = i;
    }
    mu_buf_add(b, s + done, n - done);
    mu_buf_addc(b, '"');
}

void mu_buf_add_xml(struct mu_buf *b, const char *s, size_t n)
{
    size_t done = 0, i = 0;

    while (i < n) {
        uint32_t cp = 0;
        size_t len = mu_utf8_decode(s + i, n - i, &cp);
        const char *entity = NULL;
        bool bad = !len || is_control(cp) || cp == 0xfffe || cp == 0xffff;

        switch (cp) {
        case '&':
            entity = "&amp;";
            break;
        case '<':
            entity = "&lt;";
            break;
        case '>':
            entity = "&gt;";
            break;
        case '"':
            entity = "&quot;";
            break;
        case '\'':
            entity = "&apos;";
            break;
        /* literal ones would become spaces in an attribute, and \r a newline anywhere */
        case '\n':
            entity = "&#10;";
            break;
        case '\r':
            entity = "&#13;";
            break;
        case '\t':
            entity = "&#9;";
            break;
        default:
            break;
        }
        if (!entity && !bad && !misleads(cp)) {
            i += len;
            continue;
        }
        mu_buf_add(b, s + done, i - done);
        if (entity)
            mu_buf_adds(b, entity);
        else if (bad)
            add_hex(b, s + i, len = len ? len : 1);
        else
            mu_buf_addf(b, "\\u{%x}", (unsigned)cp);
        i += len;
        done = i;
    }
    mu_buf_add(b, s + done, n - done);
}
