/* ssh_args.h: the SSH options of every command that logs in on servers: run, console, cleanup, agent.
 *
 * Purpose: such an option is written down once, decoded once, and each command has it. To add one: its id in the enum, its
 *   row in CLI_SSH_OPTIONS, its case in ssh_args_one() (ssh_args.c), and a field of muster_run_options when the engine must
 *   know; what two options exclude of each other goes into ssh_args_together().
 * Owner: strings are borrowed from argv; lists and secrets are the struct's, freed and wiped by ssh_args_free().
 * Thread: the main thread.
 * Must not know: which command asks, but for its name in messages.
 */
#ifndef MU_CLI_SSH_ARGS_H
#define MU_CLI_SSH_ARGS_H

#include "muster.h"
#include "options.h"
#include "secret.h"
#include "values.h"

enum {
    OPT_SSH_FIRST = 1024, /* so that no command's own ids meet these */
    OPT_KEY,
    OPT_PASSPHRASE,
    OPT_PASSPHRASE_FILE,
    OPT_PASSPHRASE_ENV,
    OPT_PASSWORD,
    OPT_PASSWORD_FILE,
    OPT_PASSWORD_ENV,
    OPT_SUDO_PASSWORD,
    OPT_SUDO_PASSWORD_FILE,
    OPT_SUDO_PASSWORD_ENV,
    OPT_NO_AGENT,
    OPT_AGENT_TIMEOUT,
    OPT_KNOWN_HOSTS,
    OPT_HOST_KEY_POLICY,
    OPT_CONNECT_TIMEOUT,
    OPT_CONNECT_RETRIES,
    OPT_START_RATE,
    OPT_SSH_CONFIG,
};

/* Rows of a command's table, under a heading of its own. */
#define CLI_SSH_OPTIONS \
    {OPT_SSH_CONFIG, "ssh-config", "FILE", \
     "how servers are reached, as ssh reads it; none: nothing (default: ~/.ssh/config and /etc/ssh/ssh_config)"}, \
    {'u', "user", "NAME", "login name where the inventory gives none (default: what ssh_config says, else yours)"}, \
    {OPT_KEY, "key", "FILE", "private key; repeatable (default: ~/.ssh/id_ed25519, id_ecdsa, id_rsa)"}, \
    {OPT_PASSPHRASE_FILE, "passphrase-file", "FILE", "the passphrase of encrypted keys is in FILE"}, \
    {OPT_PASSPHRASE_ENV, "passphrase-env", "NAME", "or in the environment variable NAME"}, \
    {OPT_PASSWORD_FILE, "password-file", "FILE", "the login password is in FILE (default: no password is tried)"}, \
    {OPT_PASSWORD_ENV, "password-env", "NAME", "or in the environment variable NAME"}, \
    {OPT_SUDO_PASSWORD_FILE, "sudo-password-file", "FILE", \
     "the password that sudo wants on the servers is in FILE (default: none, sudo must not ask for one)"}, \
    {OPT_SUDO_PASSWORD_ENV, "sudo-password-env", "NAME", "or in the environment variable NAME"}, \
    {OPT_NO_AGENT, "no-agent", NULL, "do not ask the SSH agent (default: it is asked when SSH_AUTH_SOCK is set)"}, \
    {OPT_AGENT_TIMEOUT, "agent-timeout", "DUR", "for one answer of the agent (default 5s)"}, \
    {OPT_KNOWN_HOSTS, "known-hosts", "FILE", "known host keys; repeatable (default: yours and the system's)"}, \
    {OPT_HOST_KEY_POLICY, "host-key-policy", "POLICY", \
     "strict: only known host keys; accept-new: also those of unknown servers, which are remembered; off: any " \
     "(default strict)"}, \
    {OPT_CONNECT_TIMEOUT, "connect-timeout", "DUR", "for one connection, login included (default 10s)"}, \
    {OPT_CONNECT_RETRIES, "connect-retries", "N", \
     "try again so often when a connection is refused, unreachable or closed before the login (default 2)"}, \
    {OPT_START_RATE, "start-rate", "N", "no more than N new connections a second (default: as they come)"}, \
    /* Hidden: people try them, and deserve to be told. */ \
    {OPT_PASSWORD, "password", NULL, NULL}, \
    {OPT_PASSPHRASE, "passphrase", NULL, NULL}, \
    {OPT_SUDO_PASSWORD, "sudo-password", NULL, NULL}

struct ssh_args {
    struct str_list keys, known_hosts;
    const char *password_file, *password_env, *passphrase_file, *passphrase_env, *sudo_password_file, *sudo_password_env;
    const char *first; /* the first option that was given, but for --user; NULL: none */
    struct secret password, passphrase, sudo_password; /* set by ssh_args_read_secrets() */
};

enum { SSH_ARGS_OTHER = -1 };

/* One option of the parser: 0, or CLI_USAGE when a message was printed; SSH_ARGS_OTHER: it is none of these. */
int ssh_args_one(struct ssh_args *a, struct muster_run_options *run, const char *command, int id, const char *value,
                 int argc);
/* What no single option can know, when all are read; gives run the lists. 0, or CLI_USAGE when a message was printed. */
int ssh_args_together(const struct ssh_args *a, struct muster_run_options *run, const char *command);
/* Read the secrets and lend them to run; a file that others can read is warned of in m's log. 0, or CLI_USAGE when a message
 * was printed. */
int ssh_args_read_secrets(struct ssh_args *a, struct muster_run_options *run, const char *command, struct muster *m);
/* When the engine has its own copy: take the secrets back from run. */
void ssh_args_wipe(struct ssh_args *a, struct muster_run_options *run);
void ssh_args_free(struct ssh_args *a);

#endif
