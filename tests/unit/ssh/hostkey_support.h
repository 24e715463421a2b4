/* hostkey_support.h: keys of each kind, and a run's shared part over a known_hosts file made of them.
 *
 * Purpose: for test programs only. Owner: each program has its own copy. Thread: one. Must not know: sessions.
 */
#ifndef HOSTKEY_SUPPORT_H
#define HOSTKEY_SUPPORT_H

#include "shared_support.h"

#define N_KEYS 6

static ssh_key keys[N_KEYS]; /* 0-3 ed25519, 4 ecdsa, 5 rsa */
static char *b64[N_KEYS];

__attribute__((unused)) static int set_up_keys(void **state)
{
    if (set_up(state))
        return -1;
    for (int i = 0; i < N_KEYS; i++) {
        enum ssh_keytypes_e type = i == 4 ? SSH_KEYTYPE_ECDSA_P256 : i == 5 ? SSH_KEYTYPE_RSA : SSH_KEYTYPE_ED25519;
        if (ssh_pki_generate(type, i == 4 ? 256 : 2048, &keys[i]) || ssh_pki_export_pubkey_base64(keys[i], &b64[i]))
            return -1;
    }
    return 0;
}

__attribute__((unused)) static int tear_down_keys(void **state)
{
    for (int i = 0; i < N_KEYS; i++) {
        ssh_key_free(keys[i]);
        ssh_string_free_char(b64[i]);
    }
    return tear_down(state);
}

static const char *type_of(int i)
{
    return i == 4 ? "ecdsa-sha2-nistp256" : i == 5 ? "ssh-rsa" : "ssh-ed25519";
}

__attribute__((unused)) static void add_line(struct mu_buf *b, const char *names, int key)
{
    mu_buf_addf(b, "%s %s %s\n", names, type_of(key), b64[key]);
}

/* A shared part over one known_hosts file that holds text (NULL: left as it is). */
__attribute__((unused)) static struct mu_ssh_shared *shared_over(const char *path, const char *text, enum mu_hostkey_policy policy)
{
    static const char *const no_keys[] = {NULL};
    const char *const files[] = {path, NULL};
    struct mu_ssh_config config = {.policy = policy, .known_hosts = files, .key_files = no_keys};
    struct mu_ssh_shared *sh = NULL;
    struct mu_err err = {0};

    if (text)
        write_file(path, text, 0600);
    if (mu_ssh_shared_new(&sh, &config, &err))
        fail_msg("%s", err.msg);
    return sh;
}

#endif
