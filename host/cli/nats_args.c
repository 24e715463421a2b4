#include "nats_args.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "values.h"

#define ENV_URL "MUSTER_NATS_URL"
#define ENV_PASSWORD "MUSTER_NATS_PASSWORD"
#define ENV_TOKEN "MUSTER_NATS_TOKEN"

void nats_args_start(struct nats_args *a) { *a = (struct nats_args){.options = MUSTER_NATS_OPTIONS_INIT}; }

/* It is kept with the run, and others see it in the list of processes: so whatever stands before an @ is refused, and not said. */
static int check_url(const char *command, const char *where, const char *urls)
{
    if (!strchr(urls, '@'))
        return 0;
    return cli_misuse(command, "%s: no user, password or token belongs in the URL, where others can read it: use --nats-creds, "
                      "--nats-user and --nats-password-file, or --nats-token-file", where);
}

bool nats_args_replaces(const struct nats_args *a, const char *word)
{
    static const char *const login[] = {"--nats-creds=", "--nats-nkey=", "--nats-user=", "--nats-password-", "--nats-token-"};
    const struct muster_nats_options *o = &a->options;

    if (!o->creds_file && !o->nkey_file && !o->user && !a->token_file && !a->token_env)
        return false;
    for (size_t i = 0; i < sizeof login / sizeof *login; i++)
        if (!strncmp(word, login[i], strlen(login[i])))
            return true;
    return false;
}

static int text(struct nats_args *a, const char *command, const char *name, const char *value, const char **out)
{
    if (!a->first)
        a->first = name;
    return cli_value_text(command, name, value, out);
}

int nats_args_one(struct nats_args *a, const char *command, int id, const char *v)
{
    struct muster_nats_options *o = &a->options;
    const char *secret = id == OPT_NATS_TOKEN ? "nats-token" : "nats-password";

    switch (id) {
    case OPT_NATS:
        return cli_value_text(command, "nats", v, &o->urls) || check_url(command, "--nats", v) ? CLI_USAGE : 0;
    case OPT_NATS_CREDS:
        return text(a, command, "nats-creds", v, &o->creds_file);
    case OPT_NATS_NKEY:
        return text(a, command, "nats-nkey", v, &o->nkey_file);
    case OPT_NATS_USER:
        return text(a, command, "nats-user", v, &o->user);
    case OPT_NATS_PASSWORD_FILE:
        return text(a, command, "nats-password-file", v, &a->password_file);
    case OPT_NATS_PASSWORD_ENV:
        return text(a, command, "nats-password-env", v, &a->password_env);
    case OPT_NATS_TOKEN_FILE:
        return text(a, command, "nats-token-file", v, &a->token_file);
    case OPT_NATS_TOKEN_ENV:
        return text(a, command, "nats-token-env", v, &a->token_env);
    case OPT_NATS_CA:
        return text(a, command, "nats-ca", v, &o->ca_file);
    case OPT_NATS_CERT:
        return text(a, command, "nats-cert", v, &o->cert_file);
    case OPT_NATS_KEY:
        return text(a, command, "nats-key", v, &o->key_file);
    case OPT_INSECURE_NATS:
        o->insecure = true;
        if (!a->first)
            a->first = "insecure-nats";
        return 0;
    case OPT_NATS_PASSWORD:
    case OPT_NATS_TOKEN:
        return cli_misuse(command,
                          "a secret does not belong on the command line, where others can read it: use "
                          "--%s-file FILE or --%s-env NAME",
                          secret, secret);
    default:
        return NATS_ARGS_OTHER;
    }
}

/* One way to log in at a time. */
static int check_login(const struct nats_args *a, const char *command)
{
    const struct {
        const char *name;
        bool given;
    } ways[] = {{"nats-creds", a->options.creds_file != NULL},
                {"nats-nkey", a->options.nkey_file != NULL},
                {"nats-user", a->options.user != NULL},
                {a->token_file ? "nats-token-file" : "nats-token-env", a->token_file || a->token_env}};
    const char *former = NULL;

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (former && ways[i].given)
            return cli_misuse(command, "--%s and --%s exclude each other: they are ways to log in", former, ways[i].name);
        if (ways[i].given)
            former = ways[i].name;
    }
    return 0;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

int nats_args_together(struct nats_args *a, const char *command, bool needed)
{
    struct muster_nats_options *o = &a->options;

    if (needed && !o->urls) {
        o->urls = environment(ENV_URL);
        if (o->urls && check_url(command, ENV_URL, o->urls))
            return CLI_USAGE;
    }
    if (!o->urls && needed)
        return cli_misuse(command, "which NATS server? --nats URL says, or the environment variable " ENV_URL);
    if (!o->urls)
        return a->first ? cli_misuse(command, "--%s is of use only with --nats URL", a->first) : 0;
    if (check_login(a, command))
        return CLI_USAGE;
    if (a->password_file && a->password_env)
        return cli_misuse(command, "--nats-password-file and --nats-password-env exclude each other");
    if (a->token_file && a->token_env)
        return cli_misuse(command, "--nats-token-file and --nats-token-env exclude each other");
    if ((a->password_file || a->password_env) && !o->user)
        return cli_misuse(command, "--nats-password-%s: whose password? --nats-user NAME says", a->password_file ? "file" : "env");
    if (o->user && !a->password_file && !a->password_env && !environment(ENV_PASSWORD))
        return cli_misuse(command, "--nats-user: the password is missing: --nats-password-file FILE, or the environment variable "
                          ENV_PASSWORD);
    if (!o->cert_file != !o->key_file)
        return cli_misuse(command, "--nats-%s is of use only with --nats-%s", o->cert_file ? "cert" : "key",
                          o->cert_file ? "key" : "cert");
    return 0;
}

/* What the environment says counts where no option does; programs that are started need have neither. */
int nats_args_read_secrets(struct nats_args *a, const char *command, struct muster *m)
{
    struct muster_nats_options *o = &a->options;
    bool by_token = !o->creds_file && !o->nkey_file && !o->user;
    int rc = 0;

    if (!o->urls)
        return 0;
    if (o->user)
        rc = secret_lend(&a->password, command, "nats-password", a->password_file,
                         a->password_env ? a->password_env : ENV_PASSWORD, m, &o->password);
    if (rc == 0 && by_token && (a->token_file || a->token_env || environment(ENV_TOKEN)))
        rc = secret_lend(&a->token, command, "nats-token", a->token_file, a->token_env ? a->token_env : ENV_TOKEN, m, &o->token);
    unsetenv(ENV_PASSWORD);
    unsetenv(ENV_TOKEN);
    return rc;
}

void nats_args_free(struct nats_args *a)
{
    secret_wipe(&a->password);
    secret_wipe(&a->token);
    a->options.password = a->options.token = NULL;
}
