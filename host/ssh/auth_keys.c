/* auth_keys.c: which keys and certificates to show to a server, and in which order.
 *
 * As OpenSSH: certificates before the keys that they are for, what is named before what the agent has besides, and of the
 * latter nothing where IdentitiesOnly says so. What is named comes first, so that many keys in the agent do not use up the
 * few tries that a server grants. */
#include <stdlib.h>
#include <string.h>

#include "ssh/auth.h"

static bool same(const unsigned char *a, size_t a_len, const void *b, size_t b_len)
{
    return a && a_len == b_len && !memcmp(a, b, a_len);
}

static bool listed(const struct mu_auth *a, const unsigned char *blob, size_t len)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct mu_auth_try *t = &a->tries[i];
        if (t->cert ? same(t->cert->blob, t->cert->len, blob, len)
            : t->key ? same(t->id->blob, t->id->len, blob, len)
                     : same(t->shown.blob, t->shown.len, blob, len))
            return true;
    }
    return false;
}

static struct mu_auth_try *add(struct mu_auth *a)
{
    struct mu_auth_try *grown = reallocarray(a->tries, a->n + 1, sizeof(*grown));

    if (!grown)
        return NULL;
    a->tries = grown;
    a->tries[a->n] = (struct mu_auth_try){0};
    return &a->tries[a->n++];
}

/* A certificate with the private key of a file. */
static int add_certified(struct mu_auth *a, const struct mu_identity *id, const struct mu_certificate *cert)
{
    struct mu_auth_try *t;

    if (listed(a, cert->blob, cert->len))
        return 0;
    t = add(a);
    if (!t)
        return MU_ENOMEM;
    t->id = id;
    t->cert = cert;
    t->own = ssh_key_dup(id->key);
    if (!t->own || ssh_pki_copy_cert_to_privkey(cert->key, t->own) != SSH_OK)
        return MU_ENOMEM;
    t->key = t->own;
    return 0;
}

/* What the agent signs for: shown is its own, or a certificate of a file for its key signer. */
static int add_agents(struct mu_auth *a, const struct mu_identity *id, const struct mu_certificate *cert,
                      const unsigned char *shown, size_t shown_len, const struct mu_ssh_agent_key *signer)
{
    struct mu_auth_try *t;

    if (listed(a, shown, shown_len))
        return 0;
    t = add(a);
    if (!t)
        return MU_ENOMEM;
    t->id = id;
    a->n_agents++;
    t->cert = cert;
    t->shown = (struct mu_ssh_agent_key){shown, shown_len};
    if (signer)
        t->signer = *signer;
    return 0;
}

static bool certifies(const struct mu_certificate *cert, const unsigned char *blob, size_t len)
{
    return cert && cert->key && blob && same(blob, len, cert->about.plain.data, cert->about.plain.len);
}

/* The certificates of the agent's own list that are for this key. */
static int add_agents_certificates(struct mu_auth *a, const struct mu_identity *id)
{
    size_t n;
    const struct mu_ssh_agent_key *keys = mu_ssh_agent_keys(a->agent, &n);
    int rc = 0;

    for (size_t i = 0; i < n && !rc; i++) {
        struct mu_cert about;
        if (!mu_cert_parse(&about, keys[i].blob, keys[i].len) &&
            same(id->blob, id->len, about.plain.data, about.plain.len))
            rc = add_agents(a, id, NULL, keys[i].blob, keys[i].len, NULL);
        mu_cert_free(&about);
    }
    return rc;
}

static int add_certificate_for(struct mu_auth *a, const struct mu_identity *id, const struct mu_certificate *cert)
{
    struct mu_ssh_agent_key signer = {id->blob, id->len};

    if (!certifies(cert, id->blob, id->len))
        return 0;
    if (id->key)
        return add_certified(a, id, cert);
    if (!mu_ssh_agent_holds(a->agent, id->blob, id->len))
        return 0;
    return add_agents(a, id, cert, cert->blob, cert->len, &signer);
}

static int add_identity(struct mu_ssh_session *s, const struct mu_identity *id)
{
    char *const *files = s->options->certificate_files;
    struct mu_auth *a = s->connect->auth;
    struct mu_auth_try *t;
    int rc = add_certificate_for(a, id, id->certificate);

    for (size_t i = 0; !rc && files && files[i]; i++) {
        const struct mu_certificate *cert = mu_keys_find_certificate(s->shared->keys, files[i]);
        if (cert)
            rc = add_certificate_for(a, id, cert);
    }
    if (!rc && id->blob)
        rc = add_agents_certificates(a, id);
    if (rc || !id->blob || listed(a, id->blob, id->len))
        return rc;
    if (!id->key)
        return mu_ssh_agent_holds(a->agent, id->blob, id->len) ? add_agents(a, id, NULL, id->blob, id->len, NULL) : 0;
    t = add(a);
    if (!t)
        return MU_ENOMEM;
    t->id = id;
    t->key = id->key;
    return 0;
}

/* Certificates that are named, for keys of the agent that no file stands for. */
static int add_certificates_for_agent(struct mu_ssh_session *s)
{
    char *const *files = s->options->certificate_files;
    struct mu_auth *a = s->connect->auth;
    size_t n;
    const struct mu_ssh_agent_key *keys = mu_ssh_agent_keys(a->agent, &n);
    int rc = 0;

    for (size_t i = 0; files && files[i] && !rc; i++) {
        const struct mu_certificate *cert = mu_keys_find_certificate(s->shared->keys, files[i]);
        for (size_t k = 0; k < n && !rc; k++)
            if (certifies(cert, keys[k].blob, keys[k].len))
                rc = add_agents(a, NULL, cert, cert->blob, cert->len, &keys[k]);
    }
    return rc;
}

int mu_auth_list(struct mu_ssh_session *s)
{
    const struct mu_ssh_options *o = s->options;
    struct mu_auth *a = s->connect->auth;
    const struct mu_identity *const *shared;
    const struct mu_ssh_agent_key *keys;
    size_t n;
    int rc = 0;

    a->agent = mu_shared_agent(s->shared, o->identity_agent);
    if (o->identity_files) {
        for (size_t i = 0; o->identity_files[i] && !rc; i++) {
            const struct mu_identity *id = mu_keys_find(s->shared->keys, o->identity_files[i]);
            if (id)
                rc = add_identity(s, id);
        }
    } else {
        n = mu_keys_shared(s->shared->keys, &shared);
        for (size_t i = 0; i < n && !rc; i++)
            rc = add_identity(s, shared[i]);
    }
    if (!rc)
        rc = add_certificates_for_agent(s);
    keys = mu_ssh_agent_keys(a->agent, &n);
    if (o->identities_only || s->key_file)
        n = 0;
    for (size_t i = 0; i < n && !rc; i++)
        rc = add_agents(a, NULL, NULL, keys[i].blob, keys[i].len, NULL);
    return rc;
}

void mu_auth_list_free(struct mu_auth *a)
{
    for (size_t i = 0; i < a->n; i++)
        ssh_key_free(a->tries[i].own);
    free(a->tries);
    a->tries = NULL;
    a->n = 0;
}
