/* nats_args.h: the options of every command that speaks to NATS: run, resume, cleanup, agent, agents.
 *
 * Purpose: such an option is written down once, decoded once, and each command has it. To add one: its id in the enum, its row in
 *   CLI_NATS_OPTIONS, its case in nats_args_one() (nats_args.c), and a field of muster_nats_options; what two options exclude
 *   of each other goes into nats_args_together().
 * Owner: strings are borrowed from argv and the environment; secrets are the struct's, wiped by nats_args_free().
 * Thread: the main thread.
 * Must not know: which command asks, but for its name in messages.
 */
#ifndef MU_CLI_NATS_ARGS_H
#define MU_CLI_NATS_ARGS_H

#include "muster/agents.h"
#include "options.h"
#include "secret.h"

enum {
    OPT_NATS_FIRST = 2048, /* so that no command's own ids meet these */
    OPT_NATS,
    OPT_NATS_CREDS,
    OPT_NATS_NKEY,
    OPT_NATS_USER,
    OPT_NATS_PASSWORD,
    OPT_NATS_PASSWORD_FILE,
    OPT_NATS_PASSWORD_ENV,
    OPT_NATS_TOKEN,
    OPT_NATS_TOKEN_FILE,
    OPT_NATS_TOKEN_ENV,
    OPT_NATS_CA,
    OPT_NATS_CERT,
    OPT_NATS_KEY,
    OPT_INSECURE_NATS,
};

/* Rows of a command's table, under a heading of its own, behind one for OPT_NATS. */
#define CLI_NATS_OPTIONS \
    {OPT_NATS_CREDS, "nats-creds", "FILE", "log in with these credentials, JWT and seed as nsc writes them"}, \
    {OPT_NATS_NKEY, "nats-nkey", "FILE", "or with the nkey whose seed is in FILE"}, \
    {OPT_NATS_USER, "nats-user", "NAME", "or as this user, with a password"}, \
    {OPT_NATS_PASSWORD_FILE, "nats-password-file", "FILE", "which is in FILE"}, \
    {OPT_NATS_PASSWORD_ENV, "nats-password-env", "NAME", \
     "or in the environment variable NAME (default: MUSTER_NATS_PASSWORD, if there is one)"}, \
    {OPT_NATS_TOKEN_FILE, "nats-token-file", "FILE", "or with the token in FILE"}, \
    {OPT_NATS_TOKEN_ENV, "nats-token-env", "NAME", \
     "or in the environment variable NAME (default: MUSTER_NATS_TOKEN, if there is one)"}, \
    {OPT_NATS_CA, "nats-ca", "FILE", "the authorities that NATS' certificate is to come from (default: the system's)"}, \
    {OPT_NATS_CERT, "nats-cert", "FILE", "the client certificate to show"}, \
    {OPT_NATS_KEY, "nats-key", "FILE", "and its key"}, \
    {OPT_INSECURE_NATS, "insecure-nats", NULL, \
     "plain text, which others on the way can read and change, also to another machine (default: only to this one)"}, \
    /* Hidden: people try them, and deserve to be told. */ \
    {OPT_NATS_PASSWORD, "nats-password", NULL, NULL}, \
    {OPT_NATS_TOKEN, "nats-token", NULL, NULL}

struct muster;
struct nats_args {
    struct muster_nats_options options; /* urls NULL: NATS is not spoken to */
    const char *password_file, *password_env, *token_file, *token_env;
    const char *first; /* an option that was given, without --nats being meant by it */
    struct secret password, token; /* set by nats_args_read_secrets() */
};

enum { NATS_ARGS_OTHER = -1 };

void nats_args_start(struct nats_args *a);
/* One option of the parser: 0, or CLI_USAGE when a message was printed; NATS_ARGS_OTHER: it is none of these. */
int nats_args_one(struct nats_args *a, const char *command, int id, const char *value);
/* What no single option can know, when all are read. needed: the command is nothing without NATS, whose URL is then that of
 * the environment when no option says it. 0, or CLI_USAGE when a message was printed. */
int nats_args_together(struct nats_args *a, const char *command, bool needed);
/* Of a run that is gone on with: `word`, an option of then, says how to log in, and so does a, in another way. */
bool nats_args_replaces(const struct nats_args *a, const char *word);
/* Read the secrets into options; a file that others can read is warned of in m's log. 0, or CLI_USAGE when a message was
 * printed. */
int nats_args_read_secrets(struct nats_args *a, const char *command, struct muster *m);
void nats_args_free(struct nats_args *a);

#endif
