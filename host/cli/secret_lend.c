#include <limits.h>
#include <stdio.h>

#include "muster.h"
#include "secret.h"

int secret_lend(struct secret *s, const char *command, const char *option, const char *file, const char *env, struct muster *m,
                const char **text)
{
    char line[PATH_MAX + 64];
    int rc = secret_read(s, command, option, file, env);

    if (s->exposed) {
        snprintf(line, sizeof line, "%s can be read by other users: chmod 600 it", file);
        muster_log(m, MUSTER_WARNING, line);
    }
    *text = s->set ? s->text : NULL;
    return rc;
}
