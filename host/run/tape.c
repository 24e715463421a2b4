#include "run/tape.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/tape_internal.h"

#define SUFFIX ".jsonl"

/* ---- names ---- */

/* "scripts/cpu.lua" is "cpu". */
static void add_script(struct mu_buf *b, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    mu_buf_add(b, name, n > 4 && !strcmp(name + n - 4, ".lua") ? n - 4 : n);
}

/* An id may hold what no file name can. */
static void add_id(struct mu_buf *b, const char *id)
{
    for (; *id; id++) {
        if (*id == '/' || *id == '%')
            mu_buf_addf(b, "%%%02X", (unsigned)(unsigned char)*id);
        else
            mu_buf_addc(b, *id);
    }
}

static char *path_of(const char *dir, const char *script_path, const char *id)
{
    struct mu_buf b = MU_BUF_INIT;
    mu_buf_addf(&b, "%s/", dir);
    add_script(&b, script_path);
    mu_buf_addc(&b, '.');
    add_id(&b, id);
    mu_buf_adds(&b, SUFFIX);
    return mu_buf_take(&b);
}

/* No server has it: behind a script's name stands a dot there. */
static char *path_of_fleet(const char *dir, const char *script_path)
{
    struct mu_buf b = MU_BUF_INIT;
    mu_buf_addf(&b, "%s/", dir);
    add_script(&b, script_path);
    mu_buf_adds(&b, "%fleet" SUFFIX);
    return mu_buf_take(&b);
}

/* ---- making ---- */

static int open_tapes(struct mu_tapes **out, const char *dir, const char *script_path, struct mu_server *const *servers,
                      size_t n, struct mu_err *err)
{
    struct mu_tapes *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t || !(t->tapes = calloc(n + 1, sizeof *t->tapes))) {
        free(t);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    t->n = n;
    for (size_t i = 0; i < n; i++)
        if (!(t->tapes[i].path = path_of(dir, script_path, servers[i]->id))) {
            mu_tapes_free(t);
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        }
    if (!(t->tapes[n].path = path_of_fleet(dir, script_path))) {
        mu_tapes_free(t);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    *out = t;
    return 0;
}

int mu_tapes_record(struct mu_tapes **out, const char *dir, const char *script_path, struct mu_server *const *servers,
                    size_t n, struct mu_err *err)
{
    struct mu_buf script = MU_BUF_INIT;
    struct mu_tapes *t = NULL;
    struct stat st;
    int sys = mkdir(dir, 0700) ? errno : 0;
    if (sys == EEXIST)
        sys = stat(dir, &st) ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (sys)
        return mu_err_sys(err, MU_EIO, sys, "cannot make the folder %s for transcripts", dir);
    int rc = open_tapes(&t, dir, script_path, servers, n, err);
    add_script(&script, script_path);
    for (size_t i = 0; !rc && i < n; i++)
        rc = mu_tape_begin(&t->tapes[i], mu_buf_cstr(&script), servers[i]->id, err);
    if (!rc && unlink(t->tapes[n].path) && errno != ENOENT) /* begun when there is something for it */
        rc = mu_err_sys(err, MU_EIO, errno, "cannot begin the transcript %s anew", t->tapes[n].path);
    if (!rc && !(t->script = mu_buf_take(&script)))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    mu_buf_free(&script);
    if (rc)
        mu_tapes_free(t);
    else
        *out = t;
    return rc;
}

int mu_tapes_replay(struct mu_tapes **out, const char *dir, const char *script_path, struct mu_server *const *servers,
                    size_t n, struct mu_err *err)
{
    struct mu_tapes *t = NULL;
    int rc = open_tapes(&t, dir, script_path, servers, n, err);
    for (size_t i = 0; !rc && i < n; i++)
        if (access(t->tapes[i].path, R_OK))
            rc = mu_err_sys(err, MU_ENOENT, errno, "no transcript of server %s (--record makes one): %s", servers[i]->id,
                            t->tapes[i].path);
    if (rc) {
        mu_tapes_free(t);
        return rc;
    }
    t->replay = true;
    *out = t;
    return 0;
}

void mu_tapes_free(struct mu_tapes *t)
{
    if (!t)
        return;
    for (size_t i = 0; i <= t->n; i++) {
        mu_tape_clear(&t->tapes[i]);
        free(t->tapes[i].path);
    }
    free(t->script);
    free(t->tapes);
    free(t);
}

bool mu_tapes_records(const struct mu_tapes *t) { return t && !t->replay; }
bool mu_tapes_replays(const struct mu_tapes *t) { return t && t->replay; }

const char *mu_tapes_problem(const struct mu_tapes *t)
{
    for (size_t i = 0; t && !t->replay && i <= t->n; i++)
        if (t->tapes[i].problem.code)
            return t->tapes[i].problem.msg;
    return NULL;
}

struct mu_tape *mu_tape_of(struct mu_tapes *t, size_t i)
{
    return t->replay && i == t->n && t->n == 1 && access(t->tapes[i].path, F_OK) ? &t->tapes[0] : &t->tapes[i];
}

bool mu_tapes_seed(struct mu_tapes *t, size_t i, uint64_t *seed)
{
    char text[32], hash[MU_TAPE_HASH];
    struct mu_tape *tape = t ? mu_tape_of(t, i) : NULL;
    if (!tape)
        return false;
    mu_tape_ready(t, i);
    snprintf(text, sizeof text, "random %u", tape->n_seeds++);
    mu_tape_hash(tape, text, strlen(text), hash);
    hash[15] = '\0'; /* 60 bits */
    *seed = strtoull(hash, NULL, 16);
    return true;
}

/* ---- what is there ---- */

/* The id in a file's name; NULL when it is no transcript of the script, or there is no memory. */
static char *id_of(const char *name, const char *stem)
{
    size_t n = strlen(name), before = strlen(stem), after = strlen(SUFFIX);
    if (n <= before + 1 + after || strncmp(name, stem, before) || name[before] != '.' || strcmp(name + n - after, SUFFIX))
        return NULL;
    struct mu_buf b = MU_BUF_INIT;
    for (const char *p = name + before + 1; p < name + n - after; p++) {
        unsigned byte;
        if (*p == '%' && sscanf(p + 1, "%2X", &byte) == 1) {
            mu_buf_addc(&b, (char)byte);
            p += 2;
        } else {
            mu_buf_addc(&b, *p);
        }
    }
    return mu_buf_take(&b);
}

int mu_tapes_servers(const char *dir, const char *script_path, int (*fn)(void *arg, const char *id), void *arg,
                     struct mu_err *err)
{
    struct mu_buf stem = MU_BUF_INIT;
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort), rc = 0;
    if (n < 0)
        return mu_err_sys(err, MU_EIO, errno, "cannot read the folder of transcripts %s", dir);
    add_script(&stem, script_path);
    for (int i = 0; i < n; i++) {
        char *id = rc ? NULL : id_of(entries[i]->d_name, mu_buf_cstr(&stem));
        if (id)
            rc = fn(arg, id);
        free(id);
        free(entries[i]);
    }
    free(entries);
    mu_buf_free(&stem);
    return rc;
}

/* ---- hashes ---- */

void mu_tape_hash(const struct mu_tape *tape, const void *bytes, size_t len, char out[MU_TAPE_HASH])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    HMAC(EVP_sha256(), tape->salt, (int)strlen(tape->salt), bytes, len, digest, &n);
    for (unsigned i = 0; i < n && i < (MU_TAPE_HASH - 1) / 2; i++)
        snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
    explicit_bzero(digest, sizeof digest);
}

json_t *mu_tape_hash_env(const struct mu_tape *tape, const char *const *env)
{
    if (!env || !env[0])
        return NULL;
    json_t *all = json_object();
    for (; *env; env++) {
        char hash[MU_TAPE_HASH] = "";
        const char *equals = strchr(*env, '=');
        char *name = equals ? strndup(*env, (size_t)(equals - *env)) : NULL;
        if (name) {
            mu_tape_hash(tape, equals + 1, strlen(equals + 1), hash);
            json_object_set_new(all, name, json_string(hash));
        }
        free(name);
    }
    return all;
}
