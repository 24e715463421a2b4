#include "ssh/options.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/ssh.h"

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

static char *this_user(void)
{
    struct passwd pw, *found = NULL;
    char text[4096];

    if (getpwuid_r(geteuid(), &pw, text, sizeof(text), &found) == 0 && found)
        return strdup(found->pw_name);
    return NULL;
}

int mu_ssh_options_lookup(struct mu_ssh_options **out, struct mu_ssh_shared *sh, const struct mu_ssh_target *target,
                          struct mu_err *err)
{
    struct mu_ssh_options *o = calloc(1, sizeof(*o));
    int rc;

    (void)sh;
    *out = NULL;
    rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!o)
        return rc;
    o->port = target->port ? target->port : 22;
    o->hostname = strdup(target->host);
    if (!o->hostname)
        goto out;
    if (target->key_file) {
        o->identity_files = calloc(2, sizeof(*o->identity_files));
        if (!o->identity_files || !(o->identity_files[0] = strdup(target->key_file)))
            goto out;
    }
    o->user = target->user ? strdup(target->user) : this_user();
    if (!o->user && target->user)
        goto out;
    if (!o->user) {
        rc = mu_err_set(err, MU_EINVAL, "%s: user id %ld of this process has no name: say which user to log in as",
                        target->host, (long)geteuid());
        goto out;
    }
    mu_err_clear(err);
    *out = o;
    return 0;
out:
    mu_ssh_options_free(o);
    return rc;
}
