#include "ssh_args.h"

#include <string.h>

#include "ask.h"
#include "command.h"

static const char *secret_name(int id)
{
    return id == OPT_PASSWORD ? "password" : id == OPT_PASSPHRASE ? "passphrase" : "sudo-password";
}

static int policy(struct muster_run_options *run, const char *command, const char *v)
{
    static const char *const policies[] = {"strict", "accept-new", "off", NULL};
    int i = 0, rc = cli_value_choice(command, "host-key-policy", v, policies, &i);

    run->hostkey_policy = (enum muster_hostkey_policy)i;
    run->hostkey_policy_given = true;
    return rc;
}

static int retries(struct muster_run_options *run, const char *command, const char *v)
{
    unsigned n = 0;
    int rc = strcmp(v, "0") ? cli_value_number(command, "connect-retries", v, 1000, &n) : 0;

    run->connect_retries = n ? (int)n : -1; /* 0 is the default's */
    return rc;
}

static int one(struct ssh_args *a, struct muster_run_options *run, const char *command, int id, const char *v, int argc)
{
    switch (id) {
    case 'u':
        return cli_value_text(command, "user", v, &run->user);
    case OPT_SSH_CONFIG:
        return cli_value_text(command, "ssh-config", v, &run->ssh_config);
    case OPT_KEY:
        return cli_list_add(command, &a->keys, v, argc);
    case OPT_KNOWN_HOSTS:
        return cli_list_add(command, &a->known_hosts, v, argc);
    case OPT_NO_AGENT:
        run->no_agent = true;
        return 0;
    case OPT_AGENT_TIMEOUT:
        return cli_value_duration(command, "agent-timeout", v, &run->agent_timeout_ms);
    case OPT_HOST_KEY_POLICY:
        return policy(run, command, v);
    case OPT_CONNECT_TIMEOUT:
        return cli_value_duration(command, "connect-timeout", v, &run->connect_timeout_ms);
    case OPT_CONNECT_RETRIES:
        return retries(run, command, v);
    case OPT_START_RATE:
        return cli_value_number(command, "start-rate", v, 1000000, &run->start_rate);
    case OPT_PASSWORD:
    case OPT_PASSPHRASE:
    case OPT_SUDO_PASSWORD:
        return cli_misuse(command,
                          "a secret does not belong on the command line, where others can read it: use "
                          "--%s-file FILE or --%s-env NAME",
                          secret_name(id), secret_name(id));
    case OPT_PASSWORD_FILE:
        return cli_value_text(command, "password-file", v, &a->password_file);
    case OPT_PASSWORD_ENV:
        return cli_value_text(command, "password-env", v, &a->password_env);
    case OPT_PASSPHRASE_FILE:
        return cli_value_text(command, "passphrase-file", v, &a->passphrase_file);
    case OPT_PASSPHRASE_ENV:
        return cli_value_text(command, "passphrase-env", v, &a->passphrase_env);
    case OPT_SUDO_PASSWORD_FILE:
        return cli_value_text(command, "sudo-password-file", v, &a->sudo_password_file);
    case OPT_SUDO_PASSWORD_ENV:
        return cli_value_text(command, "sudo-password-env", v, &a->sudo_password_env);
    default:
        return SSH_ARGS_OTHER;
    }
}

int ssh_args_one(struct ssh_args *a, struct muster_run_options *run, const char *command, int id, const char *v, int argc)
{
    static const struct cli_option rows[] = {CLI_SSH_OPTIONS};
    int rc = one(a, run, command, id, v, argc);

    for (size_t i = 0; rc == 0 && id != 'u' && !a->first && i < sizeof rows / sizeof *rows; i++)
        if (rows[i].id == id)
            a->first = rows[i].name;
    return rc;
}

int ssh_args_together(const struct ssh_args *a, struct muster_run_options *run, const char *command)
{
    if (a->password_file && a->password_env)
        return cli_misuse(command, "--password-file and --password-env exclude each other");
    if (a->passphrase_file && a->passphrase_env)
        return cli_misuse(command, "--passphrase-file and --passphrase-env exclude each other");
    if (a->sudo_password_file && a->sudo_password_env)
        return cli_misuse(command, "--sudo-password-file and --sudo-password-env exclude each other");
    run->known_hosts = a->known_hosts.items;
    run->key_files = a->keys.items;
    return 0;
}

int ssh_args_read_secrets(struct ssh_args *a, struct muster_run_options *run, const char *command, struct muster *m)
{
    int rc = secret_lend(&a->password, command, "password", a->password_file, a->password_env, m, &run->password);

    if (rc == 0)
        rc = secret_lend(&a->passphrase, command, "passphrase", a->passphrase_file, a->passphrase_env, m, &run->passphrase);
    if (rc == 0)
        rc = secret_lend(&a->sudo_password, command, "sudo-password", a->sudo_password_file, a->sudo_password_env, m,
                         &run->sudo_password);
    run->ask_passphrase = ask_possible() ? ask_passphrase : NULL;
    return rc;
}

void ssh_args_wipe(struct ssh_args *a, struct muster_run_options *run)
{
    secret_wipe(&a->password);
    secret_wipe(&a->passphrase);
    secret_wipe(&a->sudo_password);
    run->password = run->passphrase = run->sudo_password = NULL;
}

void ssh_args_free(struct ssh_args *a)
{
    secret_wipe(&a->password);
    secret_wipe(&a->passphrase);
    secret_wipe(&a->sudo_password);
    cli_list_free(&a->keys);
    cli_list_free(&a->known_hosts);
}
