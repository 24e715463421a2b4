/* auth_load.c: keys and certificates read on a helper thread, when a server's were not read before the run. */
#include <stdlib.h>
#include <string.h>

#include "ssh/auth.h"

/* What a helper thread works on; the session may be gone before it comes back. */
struct login_files {
    struct mu_ssh_shared *shared;
    struct mu_ssh_options options; /* the three fields that count */
};

static char **copy_list(char *const *list)
{
    size_t n = 0;
    char **copy;

    while (list[n])
        n++;
    copy = calloc(n + 1, sizeof(*copy));
    for (size_t i = 0; copy && i < n; i++) {
        if (!(copy[i] = strdup(list[i]))) {
            while (i-- > 0)
                free(copy[i]);
            free(copy);
            return NULL;
        }
    }
    return copy;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static void drop_files(void *data)
{
    struct login_files *f = data;

    free_list(f->options.identity_files);
    free_list(f->options.certificate_files);
    free(f->options.identity_agent);
    free(f);
}

static void load_files(void *data)
{
    struct login_files *f = data;

    mu_shared_load_login(f->shared, &f->options, NULL); /* what is missing shows in the session's own list */
}

static void files_loaded(void *arg)
{
    struct mu_ssh_session *s = arg;

    s->connect->auth->work = NULL;
    s->connect->auth->ready = true;
    mu_auth_step(s);
}

int mu_auth_load(struct mu_ssh_session *s)
{
    const struct mu_ssh_options *o = s->options;
    struct login_files *f = calloc(1, sizeof(*f));
    int rc = MU_ENOMEM;

    if (!f)
        return rc;
    f->shared = s->shared;
    if ((!o->identity_files || (f->options.identity_files = copy_list(o->identity_files))) &&
        (!o->certificate_files || (f->options.certificate_files = copy_list(o->certificate_files))) &&
        (!o->identity_agent || (f->options.identity_agent = strdup(o->identity_agent))))
        rc = mu_work_start(&s->connect->auth->work, s->loop, s->ctx, load_files, f, drop_files, files_loaded, s, NULL);
    if (rc)
        drop_files(f);
    else
        mu_watch_set(s->watch, 0); /* what comes meanwhile is read afterwards */
    return rc;
}
