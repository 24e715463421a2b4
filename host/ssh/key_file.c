/* key_file.c: one identity file or certificate, from the disk into memory. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ssh/keys.h"
#include "ssh/known_match.h"

#define KEY_FILE_MAX ((size_t)1 << 20)
#define PASSPHRASE_MAX 1024
#define ASK_TRIES 3

/* ---- reading ---- */

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
static int read_secret(const char *what, const char *path, const char *real, char **text, size_t *size, struct stat *st,
                       struct mu_err *err)
{
    int fd = open(real, O_RDONLY | O_CLOEXEC), rc;
    size_t len = 0;
    ssize_t n;

    if (fd < 0)
        return mu_err_sys(err, MU_EINVAL, errno, "%s %s", what, path);
    if (fstat(fd, st) || S_ISDIR(st->st_mode)) {
        rc = mu_err_sys(err, MU_EINVAL, S_ISDIR(st->st_mode) ? EISDIR : errno, "%s %s", what, path);
        goto out;
    }
    rc = 0;
    /* One block that never moves, so that no copy of the secret stays behind. */
    *size = S_ISREG(st->st_mode) && (size_t)st->st_size < KEY_FILE_MAX ? (size_t)st->st_size + 2 : KEY_FILE_MAX;
    *text = calloc(1, *size);
    if (!*text) {
        rc = mu_err_set(err, MU_ENOMEM, "%s %s: out of memory", what, path);
        goto out;
    }
    while (len < *size - 1) {
        n = read(fd, *text + len, *size - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = mu_err_sys(err, MU_EINVAL, errno, "%s %s", what, path);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (!rc && len == *size - 1)
        rc = mu_err_set(err, MU_EINVAL, "%s %s: too long to be a key", what, path);
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

static const char *not_a_key(const char *path, const char *text, struct mu_err *err)
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
    return is_public(text) ? "a public key, and no agent holds its private one" : "not a private key";
}

int mu_key_blob(ssh_key key, unsigned char **blob, size_t *len)
{
    char *b64 = NULL;
    long n = -1;

    *blob = NULL;
    if (ssh_pki_export_pubkey_base64(key, &b64) == SSH_OK && (*blob = malloc(strlen(b64))))
        n = mu_known_base64(b64, strlen(b64), *blob, strlen(b64));
    ssh_string_free_char(b64);
    if (n <= 0) {
        free(*blob);
        *blob = NULL;
        return MU_ENOMEM;
    }
    *len = (size_t)n;
    return 0;
}

/* "type base64 comment" in a file, or text: the blob, or NULL when it is no such line. */
static unsigned char *public_line(const char *text, size_t *len)
{
    size_t type = strcspn(text, " \t\r\n");
    const char *b64 = text + type + strspn(text + type, " \t");
    size_t n = strcspn(b64, " \t\r\n");
    unsigned char *blob = is_public(text) && n ? malloc(n) : NULL;
    long got = blob ? mu_known_base64(b64, n, blob, n) : -1;

    if (got <= 0) {
        free(blob);
        return NULL;
    }
    *len = (size_t)got;
    return blob;
}

/* The public part of a key that is encrypted or not there: beside it, or in it where its format tells. */
static void find_public(struct mu_identity *id, const char *real)
{
    char *beside = NULL, *text = NULL;
    ssh_key pub = NULL;
    struct stat st;
    size_t size = 0;

    if (asprintf(&beside, "%s.pub", real) < 0)
        return;
    if (!read_secret("public key", beside, beside, &text, &size, &st, NULL))
        id->blob = public_line(text, &id->len);
    if (!id->blob && !id->missing && ssh_pki_import_pubkey_file(real, &pub) == SSH_OK)
        mu_key_blob(pub, &id->blob, &id->len);
    ssh_key_free(pub);
    free(text);
    free(beside);
    ERR_clear_error();
}

/* ---- decrypting ---- */

static bool unlocks(const char *text, const char *passphrase, ssh_key *key)
{
    if (ssh_pki_import_privkey_base64(text, passphrase, NULL, NULL, key) == SSH_OK)
        return true;
    *key = NULL;
    return false;
}

static void unlock(struct mu_identity *id, const char *text, const struct mu_unlock *how)
{
    char answer[PASSPHRASE_MAX];

    id->locked = true;
    id->why = "needs a passphrase";
    mu_err_set(&id->err, MU_EINVAL, "private key %s: it needs a passphrase; give one, or load the key into an SSH agent",
               id->path);
    mu_err_cause(&id->err, "private key needs a passphrase");
    if (mu_ssh_agent_holds(how->agent, id->blob, id->len))
        return; /* no need to know it, nor to spend the time */
    if (how->passphrase && !unlocks(text, how->passphrase, &id->key)) {
        id->why = "another passphrase than the one given";
        mu_err_set(&id->err, MU_EINVAL, "private key %s: the passphrase given is not this key's", id->path);
        mu_err_cause(&id->err, "wrong passphrase of a private key");
    }
    for (int i = 0; !id->key && how->ask && i < ASK_TRIES; i++) {
        if (how->ask(how->ask_arg, id->path, i > 0, answer, sizeof(answer)) || !*answer)
            break; /* he does not want to, or cannot */
        unlocks(text, answer, &id->key);
        explicit_bzero(answer, sizeof(answer));
    }
    if (id->key) {
        id->locked = false;
        id->why = NULL;
        mu_err_clear(&id->err);
    }
}

static void decode(struct mu_identity *id, const char *real, const char *text, const struct mu_unlock *how, bool *later)
{
    bool asked = false;

    if (ssh_pki_import_privkey_base64(text, NULL, refuse_prompt, &asked, &id->key) == SSH_OK)
        goto out;
    id->key = NULL;
    if (is_public(text) && (id->blob = public_line(text, &id->len)) && mu_ssh_agent_holds(how->agent, id->blob, id->len)) {
        not_a_key(id->path, text, &id->err); /* and the agent has the private one */
    } else if (!asked) {
        id->why = not_a_key(id->path, text, &id->err);
    } else {
        find_public(id, real);
        *later = how->later && how->passphrase && !mu_ssh_agent_holds(how->agent, id->blob, id->len);
        if (!*later)
            unlock(id, text, how);
    }
out:
    ERR_clear_error(); /* a failed try leaves lines in libcrypto's queue that would confuse a later caller */
}

/* ---- the whole ---- */

void mu_identity_free(struct mu_identity *id)
{
    if (!id)
        return;
    ssh_key_free(id->key); /* wipes its secret */
    mu_certificate_free(id->certificate);
    free(id->blob);
    free(id->path);
    free(id);
}

static int read_identity(struct mu_identity *id, const char *real, const struct mu_unlock *how, bool *later)
{
    char *text = NULL, *beside = NULL;
    size_t size = 0;
    struct stat st = {0};
    int rc = read_secret("private key", id->path, real, &text, &size, &st, &id->err);

    if (rc == MU_ENOMEM)
        goto out;
    if (rc) {
        id->missing = id->err.sys == ENOENT || id->err.sys == ENOTDIR;
        id->why = id->missing ? "not there" : "cannot be read";
        find_public(id, real);
    } else if (!is_public(text) && check_access(id->path, &st, &id->err)) { /* a public one has its own message */
        id->why = "permissions too open";
        goto out_ok;
    } else {
        decode(id, real, text, how, later);
        if (*later)
            goto out_ok;
    }
    rc = id->key && !id->blob ? mu_key_blob(id->key, &id->blob, &id->len) : 0;
    if (!rc && id->blob) {
        if (asprintf(&beside, "%s-cert.pub", id->path) < 0)
            beside = NULL;
        rc = beside ? mu_certificate_read(&id->certificate, beside, NULL) : MU_ENOMEM;
        if (!rc && id->certificate->why && !strcmp(id->certificate->why, "not there")) {
            mu_certificate_free(id->certificate);
            id->certificate = NULL;
        }
    }
    goto out;
out_ok:
    rc = 0;
out:
    if (text)
        explicit_bzero(text, size);
    free(text);
    free(beside);
    return rc;
}

int mu_identity_read(struct mu_identity **out, const char *path, const struct mu_unlock *how, struct mu_err *err)
{
    struct mu_identity *id = calloc(1, sizeof(*id));
    char *real = mu_ssh_expand_home(path);
    bool later = false;
    int rc = MU_ENOMEM;

    *out = NULL;
    if (id && real && (id->path = strdup(path)))
        rc = read_identity(id, real, how, &later);
    free(real);
    if (rc || later)
        mu_identity_free(id);
    else
        *out = id;
    return rc ? mu_err_set(err, MU_ENOMEM, "private key %s: out of memory", path) : 0;
}

void mu_certificate_free(struct mu_certificate *c)
{
    if (!c)
        return;
    ssh_key_free(c->key);
    mu_cert_free(&c->about);
    free(c->blob);
    free(c->path);
    free(c);
}

int mu_certificate_read(struct mu_certificate **out, const char *path, struct mu_err *err)
{
    struct mu_certificate *c = calloc(1, sizeof(*c));
    char *real = mu_ssh_expand_home(path), *text = NULL, *b64;
    struct mu_err why = {0};
    struct stat st;
    size_t size = 0;
    int rc = MU_ENOMEM;

    *out = NULL;
    if (!c || !real || !(c->path = strdup(path)))
        goto out;
    rc = read_secret("certificate", path, real, &text, &size, &st, &why);
    if (rc == MU_ENOMEM)
        goto out;
    if (rc) {
        c->why = why.sys == ENOENT || why.sys == ENOTDIR ? "not there" : "cannot be read";
    } else if (!(c->blob = public_line(text, &c->len)) || mu_cert_parse(&c->about, c->blob, c->len)) {
        c->why = "not a certificate";
    } else {
        b64 = text + strcspn(text, " \t");
        *b64++ = '\0';
        b64 += strspn(b64, " \t");
        b64[strcspn(b64, " \t\r\n")] = '\0';
        if (ssh_pki_import_cert_base64(b64, ssh_key_type_from_name(text), &c->key) != SSH_OK)
            c->why = "not a certificate that libssh understands";
    }
    rc = 0;
    *out = c;
    c = NULL;
out:
    ERR_clear_error();
    free(text);
    free(real);
    mu_certificate_free(c);
    return rc ? mu_err_set(err, MU_ENOMEM, "certificate %s: out of memory", path) : 0;
}
