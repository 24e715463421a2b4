#include "inventory/internal.h"

#include <string.h>

#include "core/utf8.h"

const char *mu_quote(struct mu_quoted *q, const char *s, size_t n)
{
    static const char dots[] = "…";
    struct mu_buf b = MU_BUF_INIT;
    size_t take = n < sizeof q->text ? n : sizeof q->text, used;

    mu_buf_add_escaped(&b, s, n == take ? n : mu_utf8_cut(s, take));
    used = b.len;
    if (n == take && used < sizeof q->text) {
        memcpy(q->text, mu_buf_cstr(&b), used + 1);
    } else {
        used = mu_utf8_cut(mu_buf_cstr(&b), used < sizeof q->text - sizeof dots ? used : sizeof q->text - sizeof dots);
        memcpy(q->text, mu_buf_cstr(&b), used);
        memcpy(q->text + used, dots, sizeof dots);
    }
    mu_buf_free(&b);
    return q->text;
}

enum mu_char_kind mu_char_kind(uint32_t cp)
{
    if (cp == ' ' || (cp >= '\t' && cp <= '\r') || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) ||
        cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000)
        return MU_CHAR_SPACE;
    if (cp < 0x20 || (cp >= 0x7F && cp <= 0x9F))
        return MU_CHAR_CONTROL;
    /* Marks that show nothing or turn the text around: two ids that look the same must be the same. */
    if (cp == 0xAD || cp == 0x061C || cp == 0x180E || (cp >= 0x200B && cp <= 0x200F) ||
        (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2060 && cp <= 0x206F) || cp == 0xFEFF ||
        (cp >= 0xFFF9 && cp <= 0xFFFB) || (cp >= 0xFDD0 && cp <= 0xFDEF) || (cp & 0xFFFE) == 0xFFFE ||
        (cp >= 0xE000 && cp <= 0xF8FF) || cp >= 0xE0000)
        return MU_CHAR_INVISIBLE;
    return MU_CHAR_PRINTABLE;
}

int mu_check_chars(const char *what, const char *s, size_t len, bool spaces, struct mu_err *err)
{
    static const char *const kinds[] = {[MU_CHAR_SPACE] = "white space",
                                        [MU_CHAR_CONTROL] = "a control character",
                                        [MU_CHAR_INVISIBLE] = "a character that cannot be seen"};
    struct mu_quoted q;
    uint32_t cp;
    size_t n;

    for (size_t i = 0; i < len; i += n) {
        enum mu_char_kind kind;

        n = mu_utf8_decode(s + i, len - i, &cp);
        if (!n)
            return mu_err_set(err, MU_EINVAL, "%s \"%s\" is not UTF-8", what, mu_quote(&q, s, len));
        kind = mu_char_kind(cp);
        if (kind == MU_CHAR_PRINTABLE || (spaces && cp == ' '))
            continue;
        return mu_err_set(err, MU_EINVAL, "%s \"%s\" contains %s (U+%04X)", what, mu_quote(&q, s, len), kinds[kind],
                          (unsigned)cp);
    }
    return 0;
}
