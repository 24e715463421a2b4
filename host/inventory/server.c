#include "inventory/internal.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID_MAX_BYTES 253 /* as long as a name in the DNS */
#define ID_FORBIDDEN ",[]!&:=\"'\\"

static const char *const field_names[] = {
    [MU_SF_ADDRESS] = "address", [MU_SF_PORT] = "port",           [MU_SF_USER] = "user",
    [MU_SF_KEY] = "key",         [MU_SF_TRANSPORT] = "transport",
    [MU_SF_SSH_ARGS] = "ssh_args",
};

enum mu_server_field_id mu_server_field(const char *name, size_t len)
{
    int i = 0;

    while (i < MU_SF_NONE && (strlen(field_names[i]) != len || memcmp(field_names[i], name, len) != 0))
        i++;
    return (enum mu_server_field_id)i;
}

const char *mu_server_field_name(enum mu_server_field_id field)
{
    return field_names[field];
}

void mu_server_clear(struct mu_server *srv)
{
    mu_vars_free(srv->vars, srv->n_vars);
    free(srv->groups);
    free(srv->id);
    free(srv->address);
    free(srv->user);
    free(srv->key);
    free(srv->ssh_args);
}

/* ---- checks ---- */

/* What ids, addresses and user names have in common. */
static int check_word(const char *what, const char *s, size_t len, struct mu_err *err)
{
    struct mu_quoted q;

    if (len == 0)
        return mu_err_set(err, MU_EINVAL, "%s is empty", what);
    if (len > ID_MAX_BYTES)
        return mu_err_set(err, MU_EINVAL, "%s \"%s\" has %zu bytes: the longest is %d", what, mu_quote(&q, s, len), len,
                          ID_MAX_BYTES);
    if (s[0] == '-')
        return mu_err_set(err, MU_EINVAL, "%s \"%s\" starts with \"-\"", what, mu_quote(&q, s, len));
    return mu_check_chars(what, s, len, false, err);
}

int mu_server_check_id(const char *id, size_t len, struct mu_err *err)
{
    struct mu_quoted q;
    const char *bad;
    int rc = check_word("server id", id, len, err);

    if (rc < 0)
        return rc;
    for (bad = id; bad < id + len && !strchr(ID_FORBIDDEN, *bad); bad++)
        ;
    if (bad == id + len)
        return 0;
    return mu_err_set(err, MU_EINVAL, "server id \"%s\" contains %c, which ids must not (none of " ID_FORBIDDEN ")",
                      mu_quote(&q, id, len), *bad);
}

static int check_address(const char *address, size_t len, struct mu_err *err)
{
    struct mu_quoted q;
    const char *colon = memchr(address, ':', len);
    int rc = check_word("address", address, len, err);

    if (rc < 0)
        return rc;
    mu_quote(&q, address, len);
    if (memchr(address, '@', len))
        return mu_err_set(err, MU_EINVAL, "address \"%s\" contains a user: say it as \"user\"", q.text);
    if (memchr(address, '[', len) || memchr(address, ']', len))
        return mu_err_set(err, MU_EINVAL,
                          "address \"%s\": write an IPv6 address without brackets, the port as \"port\"", q.text);
    if (colon && !memchr(colon + 1, ':', (size_t)(address + len - colon - 1)))
        return mu_err_set(err, MU_EINVAL, "address \"%s\" contains a port: say it as \"port\"", q.text);
    return 0;
}

/* ---- fields ---- */

static int replace(char **slot, char *value_take, struct mu_err *err)
{
    if (!value_take)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    free(*slot);
    *slot = value_take;
    return 0;
}

int mu_server_set_port(struct mu_server *srv, long long port, struct mu_err *err)
{
    if (port < 1 || port > 65535)
        return mu_err_set(err, MU_EINVAL, "port %lld is out of range (1-65535)", port);
    srv->port = (int)port;
    return 0;
}

static int set_port_text(struct mu_server *srv, const char *value, struct mu_err *err)
{
    struct mu_quoted q;
    size_t len = strlen(value), digits = strspn(value, "0123456789");

    if (len == 0 || digits != len)
        return mu_err_set(err, MU_EINVAL, "port \"%s\" is not a number", mu_quote(&q, value, len));
    if (len > 18)
        return mu_err_set(err, MU_EINVAL, "port %s is out of range (1-65535)", mu_quote(&q, value, len));
    return mu_server_set_port(srv, atoll(value), err);
}

static int set_transport(struct mu_server *srv, const char *value, struct mu_err *err)
{
    struct mu_quoted q;

    if (strcmp(value, "ssh") != 0 && strcmp(value, "local") != 0)
        return mu_err_set(err, MU_EINVAL, "transport \"%s\" is not known (\"ssh\" or \"local\")",
                          mu_quote(&q, value, strlen(value)));
    srv->local = value[0] == 'l';
    return 0;
}

/* Append the home directory with a slash after it; false when there is none. */
static bool add_home(struct mu_buf *path)
{
    const char *home = getenv("HOME");
    struct passwd pw, *found = NULL;
    char store[4096];

    if (!home || !*home)
        home = getpwuid_r(geteuid(), &pw, store, sizeof store, &found) == 0 && found ? found->pw_dir : NULL;
    if (!home || !*home)
        return false;
    mu_buf_adds(path, home);
    mu_buf_addc(path, '/');
    return true;
}

static int set_key(struct mu_server *srv, const char *value, const char *folder, struct mu_err *err)
{
    struct mu_buf path = MU_BUF_INIT;
    struct mu_quoted q;

    if (!*value)
        return mu_err_set(err, MU_EINVAL, "key is empty: it is the path of a private key");
    mu_quote(&q, value, strlen(value));
    if (strlen(value) >= PATH_MAX)
        return mu_err_set(err, MU_EINVAL, "key \"%s\" is too long for a path", q.text);
    if (value[0] == '~' && value[1] && value[1] != '/')
        return mu_err_set(err, MU_EINVAL, "key \"%s\": only ~/ is understood, no other user's home", q.text);
    if (value[0] == '~') {
        if (!add_home(&path))
            return mu_err_set(err, MU_EINVAL, "key \"%s\": there is no home directory: set HOME", q.text);
        value += value[1] ? 2 : 1;
    } else if (value[0] != '/') {
        mu_buf_adds(&path, folder);
    }
    mu_buf_adds(&path, value);
    return replace(&srv->key, mu_buf_take(&path), err);
}

int mu_server_set_field(struct mu_server *srv, enum mu_server_field_id field, const char *value, const char *folder,
                        struct mu_err *err)
{
    int rc;

    switch (field) {
    case MU_SF_ADDRESS:
        rc = check_address(value, strlen(value), err);
        return rc < 0 ? rc : replace(&srv->address, strdup(value), err);
    case MU_SF_PORT:
        return set_port_text(srv, value, err);
    case MU_SF_USER:
        rc = check_word("user", value, strlen(value), err);
        return rc < 0 ? rc : replace(&srv->user, strdup(value), err);
    case MU_SF_KEY:
        return set_key(srv, value, folder, err);
    case MU_SF_TRANSPORT:
        return set_transport(srv, value, err);
    case MU_SF_SSH_ARGS:
        rc = mu_check_chars("ssh_args", value, strlen(value), true, err);
        return rc < 0 ? rc : replace(&srv->ssh_args, strdup(value), err);
    case MU_SF_NONE:
        break;
    }
    return mu_err_set(err, MU_EINVAL, "no such field");
}

/* ---- the way in for those outside ---- */

static int set_var(struct mu_server *srv, const char *name, const char *value, struct mu_err *err)
{
    char *name_copy = NULL, *value_copy = NULL;
    struct mu_var *var;
    bool found;
    size_t i;
    int rc;

    rc = mu_var_check_name(name, strlen(name), err);
    if (rc < 0)
        return rc;
    rc = MU_ENOMEM;
    name_copy = strdup(name);
    value_copy = strdup(value);
    if (!name_copy || !value_copy)
        goto out;
    i = mu_vars_position(srv->vars, srv->n_vars, name, &found);
    if (found)
        mu_var_clear(&srv->vars[i]);
    var = found ? &srv->vars[i] : mu_vars_insert(srv, i);
    if (!var)
        goto out;
    *var = (struct mu_var){.name = name_copy, .type = MU_VAR_STR, .str = value_copy};
    if (strcmp(name, MU_GROUPS_VARIABLE) == 0)
        mu_groups_clear(((struct mu_entry *)srv)->groups);
    return 0;
out:
    free(name_copy);
    free(value_copy);
    return mu_err_set(err, rc, "out of memory");
}

int mu_server_set(struct mu_server *srv, const char *name, const char *value, struct mu_err *err)
{
    enum mu_server_field_id field = mu_server_field(name, strlen(name));
    struct mu_quoted q;
    int rc;

    if (field != MU_SF_NONE)
        rc = mu_server_set_field(srv, field, value, "", err);
    else if (strcmp(name, "id") == 0)
        rc = mu_err_set(err, MU_EINVAL, "the id of a server cannot be set");
    else
        rc = set_var(srv, name, value, err);
    if (rc < 0)
        mu_err_prefix(err, "server \"%s\"", mu_quote(&q, srv->id, strlen(srv->id)));
    return rc;
}
