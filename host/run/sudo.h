/* sudo.h: a command that is to run as root: what is sent in its place, and what sudo said when it would not.
 *
 * Purpose: `sudo -n`, or with a password `sudo -S`, which reads it from standard input: it is in no argument list, no
 *   environment and no log. Whether sudo will ask (a NOPASSWD rule, a recent success) cannot be known before; so what is
 *   sent first is the password's line, and what runs as root drops the lines up to a mark that follows it, or, where the
 *   command has no input, all of it. Without input sudo finds no second line: a wrong password is tried once.
 * Owner: whoever starts the command; the password is borrowed. Thread: any.
 * Must not know: what runs the command. Needs a POSIX login shell.
 */
#ifndef MU_RUN_SUDO_H
#define MU_RUN_SUDO_H

#include "core/exec.h"

struct mu_sudo {
    char *command, *input; /* in place of the request's own */
    size_t input_len;
    char *end_command, *end_input;
    char said[200];        /* what sudo complained of, in lines that nobody keeps */
    bool password;
};

/* Change req, whose strings are then also s's. password NULL: none. False when out of memory. */
bool mu_sudo_wrap(struct mu_sudo *s, struct mu_exec_request *req, const char *password);
void mu_sudo_free(struct mu_sudo *s); /* harmless when repeated */
void mu_sudo_listen(struct mu_sudo *s, const char *line, size_t len); /* a line of standard error */
/* Whether the command never ran since sudo would not: err says why, and what to do. */
bool mu_sudo_refused(const struct mu_sudo *s, const struct mu_exec_result *r, struct mu_err *err);

#endif
