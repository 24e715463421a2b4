#include "console_args.h"

#include <stdlib.h>

#include "command.h"
#include "options.h"
#include "values.h"

enum { OPT_LOCAL = 256, OPT_KEY, OPT_PASSWORD_FILE, OPT_PASSWORD_ENV, OPT_PASSPHRASE_FILE, OPT_PASSPHRASE_ENV, OPT_NO_AGENT,
       OPT_KNOWN_HOSTS, OPT_HOST_KEY_POLICY, OPT_CONNECT_TIMEOUT };

static const struct cli_option console_table[] = {
    {0, "The server", NULL, NULL},
    {'i', "inventory", "FILE", "look the server up in FILE; repeatable"},
    {OPT_LOCAL, "local", NULL, "this machine, without SSH"},

    {0, "SSH, as for muster run", NULL, NULL},
    {'u', "user", "NAME", "login name where the inventory gives none (default: yours)"},
    {OPT_KEY, "key", "FILE", "private key; repeatable (default: ~/.ssh/id_ed25519, id_ecdsa, id_rsa)"},
    {OPT_PASSPHRASE_FILE, "passphrase-file", "FILE", "the passphrase of encrypted keys is in FILE"},
    {OPT_PASSPHRASE_ENV, "passphrase-env", "NAME", "or in the environment variable NAME"},
    {OPT_PASSWORD_FILE, "password-file", "FILE", "the login password is in FILE (default: no password is tried)"},
    {OPT_PASSWORD_ENV, "password-env", "NAME", "or in the environment variable NAME"},
    {OPT_NO_AGENT, "no-agent", NULL, "do not ask the SSH agent"},
    {OPT_KNOWN_HOSTS, "known-hosts", "FILE", "known host keys; repeatable (default: yours and the system's)"},
    {OPT_HOST_KEY_POLICY, "host-key-policy", "POLICY", "strict, accept-new or off (default strict)"},
    {OPT_CONNECT_TIMEOUT, "connect-timeout", "DUR", "for one connection, login included (default 10s)"},

    {0, "Other", NULL, NULL},
    {'v', "verbose", NULL, "log more; -vv: all"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void console_args_help(FILE *to)
{
    fputs("Usage: muster console [OPTION...] SERVER\n"
          "       muster console [OPTION...] --local\n"
          "\n"
          "Lua line by line, with one server at hand: `server` is connected, and a line is\n"
          "run as in a script's step. What it returns is shown. Lines are edited and kept\n"
          "(~/.editrc; history in ~/.local/state/muster); Tab completes; a chunk that is\n"
          "not whole goes on in the next line; Ctrl-C cancels what runs, Ctrl-D leaves.\n"
          "Lines that begin with a dot are commands: .help lists them.\n",
          to);
    cli_options_help(to, console_table);
    fputs("\n"
          "Examples:\n"
          "  muster console ops@10.0.0.5\n"
          "  > server:exec \"uptime\"\n"
          "  > .load scripts/cpu.lua\n"
          "  > .step cpu seconds=1\n",
          to);
}

static int add(const char ***list, size_t *n, const char *value, int argc)
{
    if (!*list) /* no list can be longer than the command line */
        *list = calloc((size_t)argc + 1, sizeof **list);
    if (!*list)
        return cli_error("console", "out of memory");
    (*list)[(*n)++] = value;
    return 0;
}

static int one(struct console_args *a, int id, const char *v, int argc)
{
    static const char *const policies[] = {"strict", "accept-new", "off", NULL};
    int i = 0, rc;

    switch (id) {
    case 'h':
        a->help = true;
        return 0;
    case 'i':
        return add(&a->inventories, &a->n_inventories, v, argc);
    case OPT_LOCAL:
        a->run.local = true;
        return 0;
    case 'u':
        return cli_value_text("console", "user", v, &a->run.user);
    case OPT_KEY:
        return add(&a->keys, &a->n_keys, v, argc);
    case OPT_KNOWN_HOSTS:
        return add(&a->known_hosts, &a->n_known_hosts, v, argc);
    case OPT_PASSWORD_FILE:
        return cli_value_text("console", "password-file", v, &a->password_file);
    case OPT_PASSWORD_ENV:
        return cli_value_text("console", "password-env", v, &a->password_env);
    case OPT_PASSPHRASE_FILE:
        return cli_value_text("console", "passphrase-file", v, &a->passphrase_file);
    case OPT_PASSPHRASE_ENV:
        return cli_value_text("console", "passphrase-env", v, &a->passphrase_env);
    case OPT_NO_AGENT:
        a->run.no_agent = true;
        return 0;
    case OPT_HOST_KEY_POLICY:
        rc = cli_value_choice("console", "host-key-policy", v, policies, &i);
        a->run.hostkey_policy = (enum muster_hostkey_policy)i;
        return rc;
    case OPT_CONNECT_TIMEOUT:
        return cli_value_duration("console", "connect-timeout", v, &a->run.connect_timeout_ms);
    case 'v':
        a->level = a->level == MUSTER_INFO ? MUSTER_DEBUG : MUSTER_TRACE;
        return 0;
    default:
        return cli_misuse("console", "option %d is not handled", id);
    }
}

int console_args_parse(struct console_args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id;

    *a = (struct console_args){.run = MUSTER_RUN_OPTIONS_INIT, .level = MUSTER_INFO};
    cli_parser_start(&parser, "console", console_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD || one(a, id, parser.value, argc) != 0)
            return CLI_USAGE;
        if (a->help)
            return 0;
    }
    int first = cli_parser_operands(&parser);
    if (a->password_file && a->password_env)
        return cli_misuse("console", "--password-file and --password-env exclude each other");
    if (a->passphrase_file && a->passphrase_env)
        return cli_misuse("console", "--passphrase-file and --passphrase-env exclude each other");
    if (argc - first > 1)
        return cli_misuse("console", "one server at a time");
    if (first == argc && !a->run.local)
        return cli_misuse("console", "no server: name one, or use --local");
    a->server = first < argc ? argv[first] : NULL;
    a->run.known_hosts = a->known_hosts;
    a->run.key_files = a->keys;
    return 0;
}

void console_args_free(struct console_args *a)
{
    free(a->inventories);
    free(a->keys);
    free(a->known_hosts);
}
