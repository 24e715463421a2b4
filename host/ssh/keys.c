/* keys.c: private keys, each read and decrypted once a run. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "ssh/shared_parts.h"

#define KEY_FILE_MAX ((size_t)1 << 20)

struct key_file {
    char *path; /* as it was named */
    ssh_key key;
};

struct mu_keys {
    pthread_mutex_t lock; /* over by_path: a task may name another key while it runs. Entries stay */
    void *by_path; /* tsearch() tree of struct key_file: servers may name thousands of files */
    struct key_file **shared;
    size_t n_shared;
    char *passphrase;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct key_file *)a)->path, ((const struct key_file *)b)->path);
}

static void key_file_free(void *arg)
{
    struct key_file *kf = arg;

    ssh_key_free(kf->key); /* wipes its secret */
    free(kf->path);
    free(kf);
}

static const struct key_file *find(struct mu_keys *keys, const char *path)
{
    struct key_file wanted = {.path = (char *)(uintptr_t)path};
    struct key_file *const *found, *kf;

    pthread_mutex_lock(&keys->lock);
    found = tfind(&wanted, (void *const *)&keys->by_path, by_path);
    kf = found ? *found : NULL;
    pthread_mutex_unlock(&keys->lock);
    return kf;
}

/* Keep kf, or what another thread was faster with: *kf is then that. MU_ENOMEM. */
static int keep(struct mu_keys *keys, struct key_file **kf)
{
    struct key_file **kept;
    int rc = MU_ENOMEM;

    pthread_mutex_lock(&keys->lock);
    kept = tsearch(*kf, &keys->by_path, by_path);
    if (kept) {
        rc = 0;
        if (*kept != *kf)
            key_file_free(*kf);
        *kf = *kept;
    }
    pthread_mutex_unlock(&keys->lock);
    return rc;
}

/* As OpenSSH: a key of ours that others can read is not used. */
static int check_access(const char *path, const struct stat *st, struct mu_err *err)
{
    if (st->st_uid == getuid() && (st->st_mode & 077)) {
        mu_err_set(err, MU_EINVAL, "private key %s: permissions %04o are too open, others could read it; chmod 600 it",
                   path, (unsigned)st->st_mode & 07777);
        mu_err_cause(err, "private key permissions too open");
        return MU_EINVAL;
    }
    return 0;
}

/* The whole file, NUL-terminated, *size bytes allocated: the caller wipes and frees. */
static int read_secret(const char *path, const char *real, char **text, size_t *size, struct stat *st,
                       struct mu_err *err)
{
    int fd = open(real, O_RDONLY | O_CLOEXEC), rc;
    size_t len = 0;
    ssize_t n;

    if (fd < 0)
        return mu_err_sys(err, MU_EINVAL, errno, "private key %s", path);
    if (fstat(fd, st) || S_ISDIR(st->st_mode)) {
        rc = mu_err_sys(err, MU_EINVAL, S_ISDIR(st->st_mode) ? EISDIR : errno, "private key %s", path);
        goto out;
    }
    rc = 0;
    /* One block that never moves, so that no copy of the secret stays behind. */
    *size = S_ISREG(st->st_mode) && (size_t)st->st_size < KEY_FILE_MAX ? (size_t)st->st_size + 2 : KEY_FILE_MAX;
    *text = calloc(1, *size);
    if (!*text) {
        rc = mu_err_set(err, MU_ENOMEM, "private key %s: out of memory", path);
        goto out;
    }
    while (len < *size - 1) {
        n = read(fd, *text + len, *size - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = mu_err_sys(err, MU_EINVAL, errno, "private key %s", path);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (!rc && len == *size - 1)
        rc = mu_err_set(err, MU_EINVAL, "private key %s: too long to be a key", path);
out:
    close(fd);
    return rc;
}

/* Asked for a passphrase: take note and refuse. Without a function here libcrypto would ask on the terminal. */
static int refuse_prompt(const char *prompt, char *buf, size_t len, int echo, int verify, void *asked)
{
    (void)prompt;
    (void)buf;
    (void)len;
    (void)echo;
    (void)verify;
    *(bool *)asked = true;
    return -1;
}

static bool is_public(const char *text)
{
    return !strncmp(text, "ssh-", 4) || !strncmp(text, "ecdsa-", 6) || !strncmp(text, "sk-", 3);
}

static void not_a_key(const char *path, const char *text, struct mu_err *err)
{
    const char *hint = "not a private key that libssh understands (ed25519, ECDSA or RSA, in OpenSSH or PEM format)";

    if (is_public(text))
        hint = "this is a public key; name the private one, the same without .pub";
    else if (!strncmp(text, "PuTTY-User-Key-File", 19))
        hint = "this is a PuTTY key; convert it with: puttygen KEY -O private-openssh -o NEW";
    else if (!*text)
        hint = "the file is empty";
    mu_err_set(err, MU_EINVAL, "private key %s: %s", path, hint);
    mu_err_cause(err, "not a private key");
}

static int decode(const struct mu_keys *keys, const char *path, const char *text, ssh_key *key, bool *needs_passphrase,
                  struct mu_err *err)
{
    bool asked = false;
    int rc = 0;

    if (ssh_pki_import_privkey_base64(text, NULL, refuse_prompt, &asked, key) == SSH_OK)
        goto out;
    *key = NULL;
    if (!asked) {
        not_a_key(path, text, err);
        rc = MU_EINVAL;
    } else if (!keys->passphrase) {
        rc = MU_EINVAL;
        *needs_passphrase = true;
        mu_err_set(err, MU_EINVAL, "private key %s: it needs a passphrase; give one, or load the key into an SSH agent",
                   path);
        mu_err_cause(err, "private key needs a passphrase");
    } else if (ssh_pki_import_privkey_base64(text, keys->passphrase, NULL, NULL, key) != SSH_OK) {
        rc = MU_EINVAL;
        *key = NULL;
        mu_err_set(err, MU_EINVAL, "private key %s: the passphrase given is not this key's", path);
        mu_err_cause(err, "wrong passphrase of a private key");
    }
out:
    ERR_clear_error(); /* a failed try leaves lines in libcrypto's queue that would confuse a later caller */
    return rc;
}

/* *out is the file's entry, loaded now or earlier. */
static int load(struct mu_keys *keys, const char *path, struct key_file **out, bool *needs_passphrase,
                struct mu_err *err)
{
    char *real = NULL, *text = NULL;
    struct key_file *kf = NULL;
    size_t size = 0;
    struct stat st = {0};
    int rc = 0;

    *out = (struct key_file *)(uintptr_t)find(keys, path);
    if (*out)
        return 0;
    kf = calloc(1, sizeof(*kf));
    real = mu_ssh_expand_home(path);
    if (!kf || !real || !(kf->path = strdup(path))) {
        rc = mu_err_set(err, MU_ENOMEM, "private key %s: out of memory", path);
        goto out;
    }
    rc = read_secret(path, real, &text, &size, &st, err);
    if (!rc && !is_public(text)) /* that mistake has its own message */
        rc = check_access(path, &st, err);
    if (!rc)
        rc = decode(keys, path, text, &kf->key, needs_passphrase, err);
    if (!rc && keep(keys, &kf))
        rc = mu_err_set(err, MU_ENOMEM, "private key %s: out of memory", path);
    if (!rc) {
        *out = kf;
        kf = NULL;
    }
out:
    if (text)
        explicit_bzero(text, size);
    free(text);
    free(real);
    if (kf)
        key_file_free(kf);
    return rc;
}

static int load_shared(struct mu_keys *keys, const char *path, bool optional, struct mu_err *err)
{
    bool needs_passphrase = false;
    struct key_file *kf = NULL;
    struct mu_err why;
    int rc;

    mu_err_clear(&why);
    rc = load(keys, path, &kf, &needs_passphrase, &why);
    if (rc && optional && rc != MU_ENOMEM) {
        if (why.sys != ENOENT && why.sys != ENOTDIR)
            mu_log(needs_passphrase ? MU_DEBUG : MU_WARNING, "left out: %s", why.msg);
        return 0;
    }
    if (rc) {
        if (err)
            *err = why;
        return rc;
    }
    for (size_t i = 0; i < keys->n_shared; i++)
        if (keys->shared[i] == kf)
            return 0; /* named twice */
    keys->shared[keys->n_shared++] = kf;
    return 0;
}

int mu_keys_new(struct mu_keys **out, const struct mu_ssh_config *config, struct mu_err *err)
{
    static const char *const defaults[] = {"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa", NULL};
    const char *const *files = config->key_files ? config->key_files : defaults;
    struct mu_keys *keys = calloc(1, sizeof(*keys));
    size_t n = 0;
    int rc = 0;

    *out = NULL;
    while (files[n])
        n++;
    if (keys) {
        pthread_mutex_init(&keys->lock, NULL);
        keys->shared = calloc(n + 1, sizeof(struct key_file *));
    }
    if (!keys || !keys->shared || (config->passphrase && !(keys->passphrase = strdup(config->passphrase))))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !rc; i++)
        rc = load_shared(keys, files[i], !config->key_files, err);
    if (rc)
        mu_keys_free(keys);
    else
        *out = keys;
    return rc;
}

int mu_keys_add(struct mu_keys *keys, const char *path, struct mu_err *err)
{
    bool needs_passphrase = false;
    struct key_file *kf = NULL;

    return load(keys, path, &kf, &needs_passphrase, err);
}

void mu_keys_free(struct mu_keys *keys)
{
    if (!keys)
        return;
    tdestroy(keys->by_path, key_file_free);
    pthread_mutex_destroy(&keys->lock);
    free(keys->shared);
    if (keys->passphrase)
        explicit_bzero(keys->passphrase, strlen(keys->passphrase));
    free(keys->passphrase);
    free(keys);
}

size_t mu_keys_count(struct mu_keys *keys, const char *path)
{
    return path ? find(keys, path) != NULL : keys->n_shared;
}

ssh_key mu_keys_get(struct mu_keys *keys, const char *path, size_t i, const char **name)
{
    const struct key_file *kf = path ? find(keys, path) : i < keys->n_shared ? keys->shared[i] : NULL;

    if (!kf || (path && i > 0))
        return NULL;
    if (name)
        *name = kf->path;
    return kf->key;
}
