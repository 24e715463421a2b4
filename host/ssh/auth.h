/* auth.h: one login under way, for its files: auth.c (which method when), auth_keys.c (which keys, in which order),
 * auth_load.c (reading them), auth_say.c (what to tell whoever was not let in).
 *
 * Purpose: their shared structs. Owner: a connect owns its mu_auth. Thread: the loop's. Must not know: how a connection is
 *   made, commands.
 */
#ifndef MU_SSH_AUTH_H
#define MU_SSH_AUTH_H

#include "loop/work.h"
#include "ssh/agent.h"
#include "ssh/internal.h"
#include "ssh/keys.h"

enum mu_auth_outcome {
    MU_AUTH_UNTRIED,
    MU_AUTH_REFUSED,
    MU_AUTH_PARTIAL,   /* accepted, and the server wants something else, too */
    MU_AUTH_FORBIDDEN, /* PubkeyAcceptedAlgorithms has no place for it, or it is too short */
    MU_AUTH_UNSIGNED,  /* the agent, or libssh, did not sign */
    MU_AUTH_NO_AGENT   /* the agent is out of use */
};

/* One thing to show to the server: a key or a certificate, of a file or of the agent. */
struct mu_auth_try {
    const struct mu_identity *id;      /* the file that is named for it, or NULL */
    const struct mu_certificate *cert; /* or NULL: a key, or a certificate that the agent lists itself */
    ssh_key key;                       /* borrowed or `own`; NULL: the agent's */
    ssh_key own;
    struct mu_ssh_agent_key shown, signer; /* signer.len 0: what is shown */
    enum mu_auth_outcome outcome;
};

enum mu_auth_method { MU_AUTH_NOTHING, MU_AUTH_SERVICE, MU_AUTH_NONE, MU_AUTH_KEY, MU_AUTH_PASSWORD, MU_AUTH_KEYBOARD };

struct mu_auth {
    struct mu_work *work; /* keys are being read */
    bool ready, served, asked_none;
    enum mu_auth_method order[3], now; /* now: what the server was asked and has not answered */
    size_t n_order;
    const struct mu_ssh_agent *agent;
    int agent_fd;
    size_t n_agents;   /* tries that the agent signs for */
    ssh_key probe;     /* one of them, while the server is asked whether it would do */
    bool would_do;     /* it would: now the agent is to sign */
    struct mu_auth_try *tries;
    size_t n, at; /* at: the next one */
    enum mu_auth_outcome password, keyboard;
    int rounds;
    bool password_sent;
    struct mu_buf prompt; /* the latest question of keyboard-interactive, escaped */
};

/* auth_load.c: read what is not there yet, then go on with mu_auth_step(). Encrypted keys take a good part of a second, and
 * file systems may be slow: not in the worker's time. 0 or MU_ENOMEM. */
int mu_auth_load(struct mu_ssh_session *s);

/* auth_keys.c: what to show, in order; the files are loaded. 0 or MU_ENOMEM. */
int mu_auth_list(struct mu_ssh_session *s);
void mu_auth_list_free(struct mu_auth *a);

/* auth_say.c: not let in. closed: what the server said when it closed the connection, or NULL. */
void mu_auth_explain(const struct mu_ssh_session *s, const char *closed, struct mu_err *err);
/* Whether the server was shown anything. */
bool mu_auth_showed(const struct mu_auth *a);

#endif
