#include "core/err.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

/* Copy text into a field of `size` bytes, cut between characters. */
static void put(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);

    if (n >= size)
        n = mu_utf8_cut(text, size - 1);
    memmove(out, text, n);
    out[n] = '\0';
}

int mu_err_vset(struct mu_err *err, int code, const char *fmt, va_list ap)
{
    char text[sizeof(err->msg) + 1]; /* one more than fits, so that put() sees that it has to cut */

    if (!err)
        return code;
    /* made aside: an argument may be err->msg itself */
    if (vsnprintf(text, sizeof text, fmt, ap) < 0)
        put(text, sizeof text, fmt);
    err->code = code;
    err->sys = 0;
    put(err->msg, sizeof err->msg, text);
    put(err->cause, sizeof err->cause, text);
    return code;
}

int mu_err_set(struct mu_err *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    mu_err_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int mu_err_cause(struct mu_err *err, const char *fmt, ...)
{
    char text[sizeof(err->cause) + 1];
    va_list ap;

    if (!err)
        return MU_EINVAL;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0)
        put(text, sizeof text, fmt);
    va_end(ap);
    put(err->cause, sizeof err->cause, text);
    return err->code;
}

int mu_err_sys(struct mu_err *err, int code, int errnum, const char *fmt, ...)
{
    char reason[128];
    const char *why;
    size_t len, room;
    va_list ap;

    if (!err)
        return code;
    va_start(ap, fmt);
    mu_err_vset(err, code, fmt, ap);
    va_end(ap);
    why = strerror_r(errnum, reason, sizeof reason); /* GNU's: the text need not be in the buffer */
    err->sys = errnum;
    /* The reason is the part that must not be lost when a long path fills the message. */
    room = sizeof err->msg - 1 - strnlen(why, sizeof reason) - 2;
    len = strlen(err->msg);
    if (len > room)
        len = mu_utf8_cut(err->msg, room);
    snprintf(err->msg + len, sizeof err->msg - len, ": %s", why);
    put(err->cause, sizeof err->cause, err->msg);
    return code;
}

void mu_err_prefix(struct mu_err *err, const char *fmt, ...)
{
    char text[sizeof(err->msg) + 1], old[sizeof err->msg];
    size_t len;
    va_list ap;

    if (!err)
        return;
    memcpy(old, err->msg, sizeof old);
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0)
        put(text, sizeof text, fmt);
    va_end(ap);
    put(err->msg, sizeof err->msg, text);
    len = strlen(err->msg);
    put(err->msg + len, sizeof err->msg - len, ": ");
    len = strlen(err->msg);
    put(err->msg + len, sizeof err->msg - len, old);
}

void mu_err_clear(struct mu_err *err)
{
    if (err)
        memset(err, 0, sizeof *err);
}

const char *mu_code_name(int code)
{
    /* clang-format off */
    switch ((enum mu_code)code) {
#define NAME(c) case c: return #c
        NAME(MU_OK);
        NAME(MU_EINVAL);
        NAME(MU_ENOMEM);
        NAME(MU_EIO);
        NAME(MU_ENOENT);
        NAME(MU_EEXIST);
        NAME(MU_ETIMEDOUT);
        NAME(MU_ECANCELED);
        NAME(MU_ECLOSED);
        NAME(MU_ELIMIT);
        NAME(MU_ESTATE);
        NAME(MU_EPERM);
        NAME(MU_ERESOLVE);
        NAME(MU_EREFUSED);
        NAME(MU_EUNREACH);
        NAME(MU_ECONNTIMEOUT);
        NAME(MU_EKEX);
        NAME(MU_EHOSTKEYUNKNOWN);
        NAME(MU_EHOSTKEYCHANGED);
        NAME(MU_EHOSTKEYREVOKED);
        NAME(MU_EAUTH);
        NAME(MU_ECHANNEL);
        NAME(MU_ELOST);
#undef NAME
    }
    /* clang-format on */
    return "MU_E?";
}
