#include "log_args.h"

#include "command.h"
#include "values.h"

void log_args_start(struct log_args *a) { *a = (struct log_args){.sinks.color = CLI_COLOR_AUTO, .said = -1}; }

int log_args_one(struct log_args *a, const char *command, int id, const char *v)
{
    static const char *const levels[] = {"trace", "debug", "info", "warning", "error", NULL};
    static const char *const formats[] = {"console", "json", "logfmt", NULL};
    int i = 0, rc;

    switch (id) {
    case OPT_LOG_FORMAT:
        rc = cli_value_choice(command, "log-format", v, formats, &i);
        a->sinks.format = (enum muster_log_format)i;
        return rc;
    case OPT_LOG_FILE:
        return cli_value_text(command, "log-file", v, &a->sinks.file);
    case OPT_LOG_LEVEL:
        return cli_value_choice(command, "log-level", v, levels, &a->said);
    case 'v':
        a->verbose++;
        return 0;
    case 'q':
        a->sinks.quiet = true;
        return 0;
    case OPT_COLOR:
        rc = cli_value_choice(command, "color", v, cli_when, &i);
        a->sinks.color = (enum cli_color)i;
        return rc;
    default:
        return LOG_ARGS_OTHER;
    }
}

int log_args_together(struct log_args *a, const char *command)
{
    if (a->sinks.quiet && a->verbose > 0)
        return cli_misuse(command, "--quiet and --verbose exclude each other");
    if (a->said >= 0)
        a->level = (enum muster_level)a->said;
    else if (a->verbose > 0)
        a->level = a->verbose == 1 ? MUSTER_DEBUG : MUSTER_TRACE;
    else
        a->level = a->sinks.quiet && !a->sinks.file ? MUSTER_WARNING : MUSTER_INFO;
    return 0;
}
