#include "results/confirm.h"

#include <stdlib.h>
#include <string.h>

static void replace(char **text, struct mu_buf *with)
{
    char *now = with->failed ? NULL : strdup(mu_buf_cstr(with));
    if (now) {
        free(*text);
        *text = now;
    }
    mu_buf_free(with);
}

void mu_failure_not_confirmed(struct mu_failure *f, const char *earlier)
{
    struct mu_buf message = MU_BUF_INIT, cause = MU_BUF_INIT;
    if (f->status == MU_ST_CANCELLED)
        return;
    f->status = MU_ST_ERROR;
    mu_buf_addf(&message, "failed first: %s; then could not be measured again: %s", earlier, f->message ? f->message : "?");
    mu_buf_addf(&cause, "could not be measured again: %s", f->cause ? f->cause : "?");
    replace(&f->message, &message);
    replace(&f->cause, &cause);
}
