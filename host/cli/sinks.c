#include "sinks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

const char *const cli_when[] = {"auto", "always", "never", NULL};

bool cli_colored(enum cli_color when, int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    if (when != CLI_COLOR_AUTO)
        return when == CLI_COLOR_ALWAYS;
    return !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0) && isatty(fd);
}

int cli_add_sinks(const char *command, struct muster *m, const struct cli_log *log)
{
    bool color = cli_colored(log->color, STDERR_FILENO);
    struct muster_error err;

    if (!(log->quiet && log->file) && muster_log_to_fd(m, STDERR_FILENO, log->format, color, &err) < 0)
        return cli_error(command, "%s", err.message);
    if (log->file && muster_log_to_file(m, log->file, log->format, &err) < 0)
        return cli_error(command, "%s", err.message);
    return 0;
}
