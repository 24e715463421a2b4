/* shared.c: puts together what a run shares; the parts are in hostkey.c, keys.c, agent.c and
 * shared_login.c. */
#include "ssh/shared.h"

#include <pwd.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/conf_shared.h"
#include "ssh/shared_parts.h"

int mu_hostkey_policy_parse(const char *name, enum mu_hostkey_policy *out)
{
    static const char *const names[] = {"strict", "accept-new", "off"};

    for (int i = 0; i < 3; i++) {
        if (!strcmp(name, names[i])) {
            *out = (enum mu_hostkey_policy)i;
            return 0;
        }
    }
    return MU_EINVAL;
}

char *mu_ssh_expand_home(const char *path)
{
    const char *home = getenv("HOME");
    char *out = NULL;

    if (strncmp(path, "~/", 2))
        return strdup(path);
    if (!home || *home != '/') {
        const struct passwd *pw = getpwuid(getuid());
        home = pw ? pw->pw_dir : "";
    }
    return asprintf(&out, "%s%s", home, path + 1) < 0 ? NULL : out;
}

int mu_ssh_shared_new(struct mu_ssh_shared **out, const struct mu_ssh_config *config, struct mu_err *err)
{
    struct mu_ssh_shared *sh = calloc(1, sizeof(*sh));
    const char *agent_socket = config->agent_socket ? config->agent_socket : getenv("SSH_AUTH_SOCK");
    int rc;

    *out = NULL;
    if (!sh)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    pthread_mutex_init(&sh->lock, NULL);
    ssh_init(); /* counted; once more than needed where the library does it at load time */
    if (config->password && !(sh->password = strdup(config->password))) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto out;
    }
    sh->agent_timeout_ms = config->agent_timeout_ms;
    if (config->use_agent && !(sh->agent_socket = strdup(agent_socket ? agent_socket : ""))) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto out;
    }
    sh->gates = mu_gates_new(config->start_rate);
    rc = sh->gates ? mu_confs_new(&sh->confs, config, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = mu_hostkeys_new(&sh->hostkeys, config, err);
    if (!rc && sh->agent_socket && *sh->agent_socket) {
        rc = mu_ssh_agent_new(&sh->agent, agent_socket, config->agent_timeout_ms);
        if (rc)
            mu_err_set(err, rc, "cannot start the SSH agent's proxy: out of memory, descriptors or threads");
    }
    if (!rc) /* behind the agent: what it holds needs no passphrase */
        rc = mu_keys_new(&sh->keys, config, sh->agent, err);
out:
    if (rc)
        mu_ssh_shared_free(sh);
    else
        *out = sh;
    return rc;
}

int mu_ssh_shared_new_options(struct mu_ssh_shared **out, const struct mu_ssh_config *config, struct mu_err *err)
{
    struct mu_ssh_shared *sh = calloc(1, sizeof(*sh));
    int rc;

    *out = NULL;
    if (!sh)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    pthread_mutex_init(&sh->lock, NULL);
    ssh_init();
    rc = mu_confs_new(&sh->confs, config, err);
    if (rc)
        mu_ssh_shared_free(sh);
    else
        *out = sh;
    return rc;
}

int mu_ssh_shared_add_key(struct mu_ssh_shared *sh, const char *path, struct mu_err *err)
{
    return mu_keys_add(sh->keys, path, sh->agent, err);
}

void mu_ssh_shared_free(struct mu_ssh_shared *sh)
{
    if (!sh)
        return;
    for (struct mu_other_agent *a = sh->agents, *next; a; a = next) {
        next = a->next;
        mu_ssh_agent_free(a->agent);
        free(a);
    }
    pthread_mutex_destroy(&sh->lock);
    tdestroy(sh->chains, free);
    mu_ssh_agent_free(sh->agent);
    free(sh->agent_socket);
    mu_keys_free(sh->keys);
    mu_hostkeys_free(sh->hostkeys);
    mu_gates_free(sh->gates);
    mu_confs_free(sh->confs);
    if (sh->password)
        explicit_bzero(sh->password, strlen(sh->password));
    free(sh->password);
    free(sh);
    ssh_finalize();
}

size_t mu_ssh_shared_key_count(const struct mu_ssh_shared *sh, const char *key_file)
{
    return mu_keys_count(sh->keys, key_file);
}

ssh_key mu_ssh_shared_key(const struct mu_ssh_shared *sh, const char *key_file, size_t i, const char **name)
{
    return mu_keys_get(sh->keys, key_file, i, name);
}

int mu_ssh_shared_agent_fd(struct mu_ssh_shared *sh)
{
    return sh->agent ? mu_ssh_agent_client_fd(sh->agent, NULL, NULL) : -1;
}

const char *mu_ssh_shared_password(const struct mu_ssh_shared *sh)
{
    return sh->password;
}
