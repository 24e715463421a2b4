#include "run/state_dir.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int mu_state_dir(struct mu_buf *out, const char *state_dir, struct mu_err *err)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct passwd pw, *found = NULL;
    char text[4096];
    if (!home || *home != '/')
        home = getpwuid_r(geteuid(), &pw, text, sizeof text, &found) == 0 && found ? found->pw_dir : NULL;
    if (state_dir)
        mu_buf_adds(out, state_dir);
    else if (xdg && *xdg == '/') /* a relative one is to be ignored, says its specification */
        mu_buf_addf(out, "%s/muster", xdg);
    else if (home && *home == '/')
        mu_buf_addf(out, "%s/.local/state/muster", home);
    else
        return mu_err_set(err, MU_EINVAL, "there is no folder to keep state in: set HOME, or give --state-dir");
    return out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}

int mu_state_make_dirs(const char *path)
{
    char *copy = strdup(path);
    int rc = copy ? 0 : ENOMEM;
    for (char *p = copy ? copy + 1 : NULL; p && !rc; p = *p ? p + 1 : NULL) {
        p += strcspn(p, "/");
        char end = *p;
        *p = '\0';
        if (mkdir(copy, 0700) && errno != EEXIST)
            rc = errno;
        *p = end;
    }
    free(copy);
    return rc;
}
