#include "ssh/ssh.h"

#include <string.h>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "core/log.h"

static void on_log(int priority, const char *function, const char *text, void *arg)
{
    static const struct mu_field field = {.key = "logger", .type = MU_FIELD_STR, .v.str = "libssh"};

    (void)function; /* the text starts with it */
    (void)arg;
    mu_log_text(priority <= SSH_LOG_PROTOCOL ? MU_DEBUG : MU_TRACE, &field, 1, text, strlen(text));
}

void mu_ssh_thread_init(void)
{
    /* libssh's own warnings are about single connections, which the host reports itself with more sense. */
    int level = mu_log_enabled(MU_TRACE)   ? SSH_LOG_FUNCTIONS
                : mu_log_enabled(MU_DEBUG) ? SSH_LOG_PROTOCOL
                                           : SSH_LOG_NOLOG;

    ssh_set_log_callback(on_log);
    ssh_set_log_userdata(NULL);
    ssh_set_log_level(level);
}
