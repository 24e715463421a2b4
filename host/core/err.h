/* err.h: what went wrong, in a form that both code and people can use.
 *
 * Purpose: every fallible function of the host returns 0 or a negative MU_E… and fills a
 *   struct mu_err given as its last parameter (which may be NULL).
 * Owner: the caller; the struct is plain data with no pointers, copy it by assignment.
 * Thread: any.
 * Must not know: anything but the C library.
 */
#ifndef MU_CORE_ERR_H
#define MU_CORE_ERR_H

#include <stdarg.h>
#include <stddef.h>

enum mu_code {
    MU_OK = 0,
    MU_EINVAL = -1,    /* bad input: option, file content, description */
    MU_ENOMEM = -2,    /* the machine, or a task's bound, is out of memory */
    MU_EIO = -3,       /* a file or descriptor operation failed; sys holds errno */
    MU_ENOENT = -4,    /* a named thing does not exist */
    MU_EEXIST = -5,    /* a thing that must be unique is there twice */
    MU_ETIMEDOUT = -6, /* a command took longer than it was given */
    MU_ECANCELED = -7, /* ended because its scope was cancelled */
    MU_ECLOSED = -8,   /* the object was closed by its owner */
    MU_ELIMIT = -9,    /* more output than the limit allows */
    MU_ESTATE = -10,   /* the call does not fit the object's state */
    MU_EPERM = -11,    /* whoever asks is known, and may not */
    /* phases of a connection, each distinct for the operator */
    MU_ERESOLVE = -20,         /* name resolution failed */
    MU_EREFUSED = -21,         /* connection refused */
    MU_EUNREACH = -22,         /* no route, network down, other socket error */
    MU_ECONNTIMEOUT = -23,     /* no answer within the connect timeout (any phase before auth is done) */
    MU_EKEX = -24,             /* banner or key exchange failed */
    MU_EHOSTKEYUNKNOWN = -25,  /* strict policy and the key is in no known_hosts file */
    MU_EHOSTKEYCHANGED = -26,  /* another key is recorded for this host */
    MU_EHOSTKEYREVOKED = -27,  /* the key is marked @revoked */
    MU_EAUTH = -28,            /* no method was accepted */
    MU_ECHANNEL = -29,         /* the server refused a channel or the exec request */
    MU_ELOST = -30             /* the connection ended in the middle */
};

struct mu_err {
    int code;       /* one of enum mu_code */
    int sys;        /* errno or library code underneath, 0 when none */
    char cause[96]; /* short, the same for every server with the same trouble: summaries fold by it */
    char msg[512];  /* one line for a person: what, where, and what to do */
};

/* Fill err (may be NULL) and return code, so that `return mu_err_set(err, MU_EIO, …)` reads well.
 * cause starts as the message itself, cut; mu_err_cause() gives it its own text. */
int mu_err_set(struct mu_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int mu_err_vset(struct mu_err *err, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* Set cause alone. Returns err->code (or MU_EINVAL when err is NULL). */
int mu_err_cause(struct mu_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As mu_err_set with ": strerror(errnum)" appended and sys = errnum. */
int mu_err_sys(struct mu_err *err, int code, int errnum, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Put "prefix: " before the message; cause is left as it is. */
void mu_err_prefix(struct mu_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void mu_err_clear(struct mu_err *err);

/* The name of a code, "MU_EIO"; "MU_E?" for an unknown one. */
const char *mu_code_name(int code);

#endif
