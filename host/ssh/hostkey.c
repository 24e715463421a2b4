/* hostkey.c: the run's policy on host keys; what is recorded is in known_hosts.c, reading files is in hostkey_files.c,
 * storing a new key in hostkey_learn.c, what is said in hostkey_say.c. */
#include "ssh/hostkey.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ssh/known_match.h"
#include "ssh/options.h"

void mu_hostkey_name(struct mu_buf *out, const char *host, int port)
{
    size_t start = out->len;

    if (port && port != 22)
        mu_buf_addf(out, "[%s]:%d", host, port);
    else
        mu_buf_adds(out, host);
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] >= 'A' && out->data[i] <= 'Z')
            out->data[i] = (char)(out->data[i] + 'a' - 'A');
}

struct search {
    const struct mu_host *host;
    struct mu_hostkey_found found;
};

static bool same_type(const struct mu_known_key *key, const struct mu_host *host)
{
    size_t a_len = 0, b_len = 0;
    const char *a = mu_known_blob_type(key->blob, key->len, &a_len),
               *b = mu_known_blob_type(host->blob, host->len, &b_len);

    return a && b && a_len == b_len && !memcmp(a, b, a_len);
}

static bool look(void *arg, const struct mu_known_key *key)
{
    struct search *s = arg;
    bool equal = key->len == s->host->len && !memcmp(key->blob, s->host->blob, key->len);

    if (key->marker == MU_KNOWN_CA) {
        s->found.ca = s->found.ca ? s->found.ca : key;
    } else if (key->marker == MU_KNOWN_REVOKED) {
        if (equal)
            s->found.revoked = key;
    } else if (equal) {
        s->found.same = true;
    } else if (!s->found.other || (same_type(key, s->host) && !same_type(s->found.other, s->host))) {
        s->found.other = key; /* the message is clearest with a key of the same type */
    }
    return s->found.revoked != NULL; /* wins over all; a record that fits does not end the search for it */
}

struct mu_hostkey_found mu_hostkey_search(struct mu_hostkeys *hk, const char *name, const struct mu_host *host)
{
    bool deep = mu_known_hosts_hashed_revoked(hk->known);
    struct search s = {.host = host};

    mu_known_hosts_visit(hk->known, name, deep, look, &s);
    if (!deep && !s.found.same && !s.found.revoked) {
        s = (struct search){.host = host};
        mu_known_hosts_visit(hk->known, name, true, look, &s);
    }
    return s.found;
}

/* The record that revokes the offered key for this name, or NULL. */
static const struct mu_known_key *revoked_for(struct mu_hostkeys *hk, const char *name, const struct mu_host *h)
{
    struct search s = {.host = h};

    /* hashed lines are many, and hardly ever revoke: they are searched when one of them does */
    mu_known_hosts_visit(hk->known, name, mu_known_hosts_hashed_revoked(hk->known), look, &s);
    return s.found.revoked;
}

bool mu_hostkey_is_revoked(struct mu_hostkeys *hk, const struct mu_host *h, struct mu_err *err)
{
    const struct mu_known_key *revoked = revoked_for(hk, h->name, h);

    if (!revoked && h->bare)
        revoked = revoked_for(hk, h->bare, h);
    if (revoked)
        mu_hostkey_revoked(h, revoked, err);
    return revoked != NULL;
}

static int judge(struct mu_hostkeys *hk, enum mu_hostkey_policy policy, const struct mu_host *h, struct mu_err *err)
{
    struct mu_hostkey_found found;

    if (mu_hostkey_is_revoked(hk, h, err))
        return MU_EHOSTKEYREVOKED;
    found = mu_hostkey_search(hk, h->name, h);
    if (found.same)
        return 0;
    if (found.other)
        return mu_hostkey_changed(h, found.other, err);
    if (h->bare) { /* OpenSSH lets a record without port stand for every port, when it fits */
        struct mu_hostkey_found bare = mu_hostkey_search(hk, h->bare, h);
        if (bare.same)
            return 0;
        found.ca = found.ca ? found.ca : bare.ca;
    }
    if (found.ca) /* whoever recorded it wants certificates: another key is not simply a new one */
        return mu_hostkey_only_ca(hk, h, found.ca, err);
    if (policy == MU_HOSTKEY_STRICT)
        return mu_hostkey_unknown(hk, h, err);
    found = mu_hostkey_learn(hk, h);
    if (found.revoked)
        return mu_hostkey_revoked(h, found.revoked, err);
    return found.other && !found.same ? mu_hostkey_changed(h, found.other, err) : 0;
}

int mu_host_open(struct mu_host *h, const char *host, int port, const char *alias, ssh_key key, struct mu_err *err)
{
    long len = -1;

    *h = (struct mu_host){.port = port ? port : 22};
    h->alias = alias != NULL;
    mu_hostkey_name(&h->texts[0], alias ? alias : host, alias ? 22 : h->port);
    mu_hostkey_name(&h->texts[1], host, 22);
    mu_buf_add_escaped(&h->texts[2], mu_buf_cstr(&h->texts[0]), h->texts[0].len);
    mu_buf_add_escaped(&h->texts[3], mu_buf_cstr(&h->texts[1]), h->texts[1].len);
    h->name = mu_buf_cstr(&h->texts[0]);
    h->bare = h->port == 22 || alias ? NULL : mu_buf_cstr(&h->texts[1]);
    h->shown = mu_buf_cstr(&h->texts[2]);
    h->host_shown = mu_buf_cstr(&h->texts[3]);
    if (ssh_pki_export_pubkey_base64(key, &h->b64) == SSH_OK) {
        h->blob = malloc(strlen(h->b64));
        if (h->blob)
            len = mu_known_base64(h->b64, strlen(h->b64), h->blob, strlen(h->b64));
    }
    for (int i = 0; i < 4; i++)
        if (h->texts[i].failed)
            len = -1;
    if (len <= 0)
        return mu_err_set(err, MU_ENOMEM, "host key of %s: out of memory", host);
    h->len = (size_t)len;
    return 0;
}

void mu_host_close(struct mu_host *h)
{
    for (int i = 0; i < 4; i++)
        mu_buf_free(&h->texts[i]);
    free(h->blob);
    ssh_string_free_char(h->b64);
}

void mu_hostkey_warn_off(struct mu_hostkeys *hk)
{
    if (!atomic_exchange(&hk->off_warned, true))
        mu_log(MU_WARNING, "host keys are not checked (host key policy off): any machine can pass for a server");
}

static int check(struct mu_hostkeys *hk, enum mu_hostkey_policy policy, struct mu_host *h, struct mu_err *err)
{
    if (policy != MU_HOSTKEY_OFF)
        return judge(hk, policy, h, err);
    return mu_hostkey_is_revoked(hk, h, err) ? MU_EHOSTKEYREVOKED : 0;
}

int mu_hostkey_check(struct mu_ssh_shared *sh, const char *host, int port, ssh_key key, struct mu_err *err)
{
    struct mu_host h;
    int rc;

    if (sh->hostkeys->policy == MU_HOSTKEY_OFF)
        mu_hostkey_warn_off(sh->hostkeys);
    rc = mu_host_open(&h, host, port, NULL, key, err);
    if (!rc)
        rc = check(sh->hostkeys, sh->hostkeys->policy, &h, err);
    mu_host_close(&h);
    return rc;
}

/* StrictHostKeyChecking's words. "ask" is strict: there is nobody to ask. */
static enum mu_hostkey_policy policy_for(const struct mu_hostkeys *run, const char *word)
{
    if (!word)
        return run->policy;
    if (!strcmp(word, "accept-new"))
        return MU_HOSTKEY_ACCEPT_NEW;
    return !strcmp(word, "no") || !strcmp(word, "off") ? MU_HOSTKEY_OFF : MU_HOSTKEY_STRICT;
}

int mu_hostkey_check_for(struct mu_ssh_shared *sh, const struct mu_ssh_options *o, ssh_key key, struct mu_err *err)
{
    enum mu_hostkey_policy policy = policy_for(sh->hostkeys, o->strict_host_key);
    struct mu_hostkeys *hk;
    struct mu_host h;
    int rc = mu_hostkeys_of(&hk, sh->hostkeys, o, err);

    if (rc)
        return rc;
    if (policy == MU_HOSTKEY_OFF)
        mu_hostkey_warn_off(sh->hostkeys);
    rc = mu_host_open(&h, o->hostname, o->port, o->host_key_alias, key, err);
    if (!rc)
        rc = check(hk, policy, &h, err);
    mu_host_close(&h);
    return rc;
}
