#include "ssh/options.h"

#include <ctype.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ssh/conf_shared.h"
#include "ssh/shared_parts.h"
#include "ssh/ssh.h"

/* ssh's own default is never (Debian's with BatchMode: 300): but a benchmark may be silent for hours, and nobody looks on. */
#define ALIVE_INTERVAL_S 30

static void list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

void mu_ssh_options_free(struct mu_ssh_options *o)
{
    if (!o)
        return;
    free(o->hostname);
    free(o->user);
    list_free(o->identity_files);
    list_free(o->certificate_files);
    free(o->identity_agent);
    free(o->proxy_jump);
    free(o->proxy_command);
    list_free(o->known_hosts);
    list_free(o->global_known_hosts);
    free(o->host_key_alias);
    free(o->strict_host_key);
    free(o->ciphers);
    free(o->macs);
    free(o->kex_algorithms);
    free(o->host_key_algorithms);
    free(o->pubkey_algorithms);
    free(o->preferred_authentications);
    free(o->bind_address);
    free(o);
}

/* ---- who says what ---- */

/* One look-up: everything here but the result is gone at its end. */
struct looking {
    struct mu_confs *confs;
    const struct mu_ssh_target *target;
    struct mu_conf_arena arena;
    struct mu_conf_found found;
    struct mu_conf_tokens tokens;
    bool keys_named;    /* a key file that is not the run's */
    struct mu_conf_line run; /* stands where the run's command line has spoken */
    char *local_user, *home, *hostname, *alias, *pending;
};

static int nomem(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }

static int say(struct looking *k, enum mu_conf_key key, const char *origin, const char *text, int value, struct mu_err *err)
{
    struct mu_conf_line *l = mu_conf_said(&k->arena, key, origin, text);

    if (!l)
        return nomem(err);
    l->value = value;
    return mu_conf_take(&k->found, l, err);
}

static int target_says(struct looking *k, struct mu_err *err)
{
    const struct mu_ssh_target *t = k->target;
    int rc = 0;

    if (t->port)
        rc = say(k, MU_CONF_PORT, t->host, "", t->port, err);
    if (!rc && t->user)
        rc = say(k, MU_CONF_USER, t->host, t->user, 0, err);
    if (!rc && t->key_file)
        rc = say(k, MU_CONF_IDENTITY_FILE, t->host, t->key_file, 0, err);
    return rc;
}

static void run_said(struct looking *k, enum mu_conf_key key)
{
    if (!k->found.one[key])
        k->found.one[key] = &k->run;
}

static int run_says(struct looking *k, struct mu_err *err)
{
    const struct mu_confs_said *said = mu_confs_said(k->confs);
    int rc = said->user && !k->target->jump ? say(k, MU_CONF_USER, "--user", said->user, 0, err) : 0;

    k->keys_named = k->found.n_identities > 0;
    for (char **key = k->target->key_file ? NULL : said->key_files; key && *key && !rc; key++)
        rc = say(k, MU_CONF_IDENTITY_FILE, "--key", *key, 0, err);
    if (said->known_hosts) {
        run_said(k, MU_CONF_USER_KNOWN_HOSTS_FILE);
        run_said(k, MU_CONF_GLOBAL_KNOWN_HOSTS_FILE);
    }
    if (said->policy)
        run_said(k, MU_CONF_STRICT_HOST_KEY);
    if (said->connect_timeout)
        run_said(k, MU_CONF_CONNECT_TIMEOUT);
    return rc;
}

static int outcome(void *arg, const char *command)
{
    struct looking *k = arg;
    int rc = mu_confs_outcome(k->confs, command);

    if (rc == MU_CONF_PENDING && !(k->pending = strdup(command)))
        k->arena.failed = true;
    return rc;
}

/* MU_CONF_PENDING: what k->pending comes to is not known. without: then no command matches. */
static int config_says(struct looking *k, const char *config_file, bool without, struct mu_err *err)
{
    struct mu_conf_found before = k->found;
    const struct mu_conf_who who = {.original = k->target->host, .local_user = k->local_user ? k->local_user : "",
                                    .home = k->home, .exec = without ? NULL : outcome, .exec_arg = k};
    const struct mu_conf *conf = NULL;
    size_t n = before.n_identities, i;
    int rc = mu_confs_get(k->confs, config_file, &conf, err);

    if (!rc)
        rc = mu_conf_ask(conf, &who, &k->found, &k->hostname, err);
    if (k->arena.failed)
        rc = nomem(err);
    if (rc == MU_CONF_PENDING) {
        k->found = before;
        return rc;
    }
    for (i = n; i < k->found.n_identities; i++)
        k->keys_named = true;
    return rc;
}

/* A name that comes from outside may end up in a command, of ProxyCommand or Match exec: as ssh, refuse what a shell would take
 * for more than a name. What ssh_config itself says is its owner's affair. */
static int check_names(const struct looking *k, struct mu_err *err)
{
    const char *host = k->target->host, *user = k->found.one[MU_CONF_USER] ? k->found.one[MU_CONF_USER]->text : "";
    bool fine = *host != '-';

    for (const char *p = host; *p && fine; p++)
        fine = !strchr("'`\"$\\;&<>|(){}", *p) && !isspace((unsigned char)*p) && !iscntrl((unsigned char)*p);
    if (!fine)
        return mu_err_set(err, MU_EINVAL, "'%s' is no name of a host: it has characters that a shell would take for more", host);
    fine = *user != '-';
    for (const char *p = user; *p && fine; p++)
        fine = !strchr("'`\";&<>|(){}", *p) && !iscntrl((unsigned char)*p) &&
               !(isspace((unsigned char)*p) && p[1] == '-') && !(*p == '\\' && !p[1]);
    if (!fine)
        return mu_err_set(err, MU_EINVAL, "%s: '%s' is no name of a user: it has characters that a shell would take for more",
                          host, user);
    return 0;
}

static int find_out(struct looking *k, bool pending_wanted, struct mu_err *err)
{
    const char *config_file = NULL;
    struct passwd pw, *found = NULL;
    char text[4096];
    int rc;

    k->home = mu_ssh_expand_home("~/");
    if (!k->home)
        return nomem(err);
    if (strlen(k->home) > 1)
        k->home[strlen(k->home) - 1] = '\0';
    if (getpwuid_r(geteuid(), &pw, text, sizeof(text), &found) == 0 && found && !(k->local_user = strdup(pw.pw_name)))
        return nomem(err);
    rc = target_says(k, err);
    if (!rc && k->target->args)
        rc = mu_conf_args(&k->arena, k->target->args, &k->found, &config_file, err);
    if (!rc)
        rc = run_says(k, err);
    if (!rc)
        rc = check_names(k, err);
    if (!rc)
        rc = config_says(k, config_file, !pending_wanted, err);
    if (rc == MU_CONF_PENDING)
        rc = config_says(k, config_file, true, err);
    return rc;
}

/* ---- as options ---- */

/* The line that says key, unless the run's command line does. */
static const struct mu_conf_line *line_of(const struct looking *k, enum mu_conf_key key)
{
    const struct mu_conf_line *l = k->found.one[key];

    return l == &k->run ? NULL : l;
}

static int value_of(const struct looking *k, enum mu_conf_key key, int otherwise)
{
    const struct mu_conf_line *l = line_of(k, key);

    return l ? l->value : otherwise;
}

static int expand(const struct looking *k, const struct mu_conf_line *l, const char *text, const char *set, bool path,
                  char **out, struct mu_err *err)
{
    int rc = mu_conf_expand(text, set, path, path, &k->tokens, out, err);

    if (rc && rc != MU_ENOMEM) {
        mu_err_prefix(err, "%s", l->keyword);
        mu_conf_at(l, err);
    }
    return rc;
}

static int copy(char **out, const struct mu_conf_line *l, struct mu_err *err)
{
    *out = l ? strdup(l->text) : NULL;
    return l && !*out ? nomem(err) : 0;
}

static int file_list(const struct looking *k, const struct mu_conf_line *const *lines, size_t n, char ***out,
                     struct mu_err *err)
{
    char **list = calloc(n + 1, sizeof(*list));
    size_t used = 0;
    int rc = 0;

    if (!list)
        return nomem(err);
    *out = list;
    for (size_t i = 0; i < n && !rc; i++)
        if (strcasecmp(lines[i]->text, "none") != 0 && !(rc = expand(k, lines[i], lines[i]->text, MU_CONF_TOKENS_ALL,
                                                                     true, &list[used], err)))
            used++;
    return rc;
}

static int word_list(const struct looking *k, enum mu_conf_key key, bool tokens, char ***out, struct mu_err *err)
{
    const struct mu_conf_line *l = line_of(k, key);
    char **list;
    size_t used = 0;
    int rc = 0;

    if (!l)
        return 0;
    *out = list = calloc(l->n_args + 1, sizeof(*list));
    if (!list)
        return nomem(err);
    for (size_t i = 0; i < l->n_args && !rc; i++) {
        if (!strcasecmp(l->args[i], "none"))
            continue;
        if (tokens)
            rc = expand(k, l, l->args[i], MU_CONF_TOKENS_ALL, true, &list[used], err);
        else if (!(list[used] = mu_ssh_expand_home(l->args[i])))
            rc = nomem(err);
        used += !rc;
    }
    return rc;
}

/* Where the agent listens: a path, $NAME, or "SSH_AUTH_SOCK", which is the usual one. */
static int agent_of(const struct looking *k, struct mu_ssh_options *o, struct mu_err *err)
{
    const struct mu_conf_line *l = line_of(k, MU_CONF_IDENTITY_AGENT);
    const char *value;

    if (!l || !strcmp(l->text, "SSH_AUTH_SOCK"))
        return 0;
    if (l->text[0] == '$' && l->text[1] != '{') {
        value = getenv(l->text + 1);
        o->identity_agent = strdup(value ? value : "none");
        return o->identity_agent ? 0 : nomem(err);
    }
    return expand(k, l, l->text, MU_CONF_TOKENS_ALL, true, &o->identity_agent, err);
}

static int proxies(const struct looking *k, struct mu_ssh_options *o, struct mu_err *err)
{
    const struct mu_conf_line *jump = line_of(k, MU_CONF_PROXY_JUMP), *command = line_of(k, MU_CONF_PROXY_COMMAND);
    int rc = 0;

    if (jump && strcmp(jump->text, "none") != 0)
        rc = expand(k, jump, jump->text, MU_CONF_TOKENS_PROXY, false, &o->proxy_jump, err);
    if (!rc && command && strcasecmp(command->text, "none") != 0)
        rc = expand(k, command, command->text, MU_CONF_TOKENS_PROXY, false, &o->proxy_command, err);
    return rc;
}

static int algorithms(const struct looking *k, struct mu_ssh_options *o, struct mu_err *err)
{
    const struct {
        enum mu_conf_key key;
        char **out;
    } lists[] = {{MU_CONF_CIPHERS, &o->ciphers},
                 {MU_CONF_MACS, &o->macs},
                 {MU_CONF_KEX_ALGORITHMS, &o->kex_algorithms},
                 {MU_CONF_HOST_KEY_ALGORITHMS, &o->host_key_algorithms},
                 {MU_CONF_PUBKEY_ALGORITHMS, &o->pubkey_algorithms}};
    int rc = 0;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !rc; i++) {
        const struct mu_conf_line *l = line_of(k, lists[i].key);

        if (l && !*l->text) {
            mu_err_set(err, MU_EINVAL, "%s: the SSH library knows none of %s", l->keyword, l->args[0]);
            return mu_conf_at(l, err);
        }
        rc = copy(lists[i].out, l, err);
    }
    return rc;
}

/* What other values are made of. */
static int first(struct looking *k, struct mu_ssh_options *o, struct mu_err *err)
{
    const struct mu_conf_line *user = line_of(k, MU_CONF_USER), *alias = line_of(k, MU_CONF_HOST_KEY_ALIAS);

    if (!user && !k->local_user)
        return mu_err_set(err, MU_EINVAL, "%s: user id %ld of this process has no name: say which user to log in as",
                          k->target->host, (long)geteuid());
    o->hostname = k->hostname;
    k->hostname = NULL;
    o->user = strdup(user ? user->text : k->local_user);
    o->port = value_of(k, MU_CONF_PORT, 22);
    if (!o->user || copy(&o->host_key_alias, alias, err))
        return nomem(err);
    for (char *p = o->host_key_alias; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    k->tokens = (struct mu_conf_tokens){
        .original = k->target->host, .hostname = o->hostname, .user = o->user, .port = o->port, .home = k->home,
        .local_user = k->local_user ? k->local_user : "",
        .alias = o->host_key_alias ? o->host_key_alias : k->target->host};
    return 0;
}

static int strictness(const struct looking *k, struct mu_ssh_options *o, struct mu_err *err)
{
    const struct mu_conf_line *l = line_of(k, MU_CONF_STRICT_HOST_KEY);

    if (!l)
        return 0;
    o->strict_host_key = strdup(l->value == MU_CONF_NO ? "no" : l->value == MU_CONF_ACCEPT_NEW ? "accept-new" : "yes");
    return o->strict_host_key ? 0 : nomem(err);
}

static unsigned count(int n) { return n > 0 ? (unsigned)n : 0; }

static void numbers(const struct looking *k, struct mu_ssh_options *o)
{
    o->identities_only = value_of(k, MU_CONF_IDENTITIES_ONLY, MU_CONF_NO) == MU_CONF_YES;
    o->no_publickey = value_of(k, MU_CONF_PUBKEY, MU_CONF_YES) == MU_CONF_NO;
    o->no_password = value_of(k, MU_CONF_PASSWORD, MU_CONF_YES) == MU_CONF_NO;
    o->no_kbdint = value_of(k, MU_CONF_KBD_INTERACTIVE, MU_CONF_YES) == MU_CONF_NO;
    o->family = (enum mu_ssh_family)value_of(k, MU_CONF_ADDRESS_FAMILY, MU_SSH_ANY);
    o->server_alive_interval_s = count(value_of(k, MU_CONF_SERVER_ALIVE_INTERVAL, ALIVE_INTERVAL_S));
    o->server_alive_count_max = count(value_of(k, MU_CONF_SERVER_ALIVE_COUNT_MAX, 3));
    o->connect_timeout_s = count(value_of(k, MU_CONF_CONNECT_TIMEOUT, 0));
    o->connection_attempts = count(value_of(k, MU_CONF_CONNECTION_ATTEMPTS, 0));
}

static int fill(struct looking *k, struct mu_ssh_options *o, struct mu_err *err)
{
    const struct mu_conf_found *f = &k->found;
    int rc = first(k, o, err);

    if (!rc)
        numbers(k, o);
    if (!rc && k->keys_named)
        rc = file_list(k, f->identities, f->n_identities, &o->identity_files, err);
    if (!rc && f->n_certificates)
        rc = file_list(k, f->certificates, f->n_certificates, &o->certificate_files, err);
    if (!rc)
        rc = agent_of(k, o, err);
    if (!rc)
        rc = proxies(k, o, err);
    if (!rc)
        rc = word_list(k, MU_CONF_USER_KNOWN_HOSTS_FILE, true, &o->known_hosts, err);
    if (!rc)
        rc = word_list(k, MU_CONF_GLOBAL_KNOWN_HOSTS_FILE, false, &o->global_known_hosts, err);
    if (!rc)
        rc = strictness(k, o, err);
    if (!rc)
        rc = algorithms(k, o, err);
    if (!rc)
        rc = copy(&o->preferred_authentications, line_of(k, MU_CONF_PREFERRED_AUTHENTICATIONS), err);
    if (!rc)
        rc = copy(&o->bind_address, line_of(k, MU_CONF_BIND_ADDRESS), err);
    return rc;
}

int mu_ssh_options_lookup(struct mu_ssh_options **out, struct mu_ssh_shared *sh, const struct mu_ssh_target *target,
                          struct mu_err *err)
{
    return mu_ssh_options_try(out, NULL, sh, target, err);
}

int mu_ssh_options_try(struct mu_ssh_options **out, char **pending, struct mu_ssh_shared *sh,
                       const struct mu_ssh_target *target, struct mu_err *err)
{
    struct looking k = {.confs = sh->confs, .target = target};
    struct mu_ssh_options *o = calloc(1, sizeof(*o));
    int rc;

    *out = NULL;
    if (pending)
        *pending = NULL;
    rc = o ? find_out(&k, pending != NULL, err) : nomem(err);
    if (!rc)
        rc = fill(&k, o, err);
    if (rc) {
        mu_ssh_options_free(o);
    } else {
        *out = o;
        if (pending) {
            *pending = k.pending;
            k.pending = NULL;
        }
    }
    mu_conf_arena_free(&k.arena);
    free(k.local_user);
    free(k.home);
    free(k.hostname);
    free(k.pending);
    return rc;
}
