/* conf_shared.h: what a run's servers share of ssh_config: the files, what was said beside them, what commands came to.
 *
 * Purpose: each file is read once a run, and each command of a Match line is run once.
 * Owner: mu_ssh_shared owns the one mu_confs; what it hands out lives as long.
 * Thread: making and freeing: the main thread; the rest any, it locks inside.
 * Must not know: sessions, how a command is run.
 */
#ifndef MU_SSH_CONF_SHARED_H
#define MU_SSH_CONF_SHARED_H

#include "ssh/conf.h"

struct mu_ssh_config;
struct mu_confs;

struct mu_confs_said {     /* of muster's command line */
    const char *user;      /* NULL: not said */
    char **key_files;      /* NULL: not said */
    bool known_hosts, policy, connect_timeout;
};

int mu_confs_new(struct mu_confs **out, const struct mu_ssh_config *config, struct mu_err *err);
void mu_confs_free(struct mu_confs *c); /* NULL allowed */
const struct mu_confs_said *mu_confs_said(const struct mu_confs *c);
/* path NULL: the run's configuration, which may be NULL, for none. Another is read when it is first asked for; blocks. */
int mu_confs_get(struct mu_confs *c, const char *path, const struct mu_conf **out, struct mu_err *err);

/* What command came to: 0: not status 0, 1: status 0, MU_CONF_PENDING: not known. */
int mu_confs_outcome(struct mu_confs *c, const char *command);
/* True: nobody else runs it or knows what it came to, and the caller is to run it and then to tell. */
bool mu_confs_claim(struct mu_confs *c, const char *command);
void mu_confs_tell(struct mu_confs *c, const char *command, int outcome); /* MU_CONF_PENDING: it was not run to its end */

#endif
