/* known_hosts.c: the table behind known_hosts.h; reading files is in known_hosts_read.c. */
#include "ssh/known_hosts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/known_match.h"
#include "ssh/known_names.h"

struct pattern {
    const struct mu_known_key *key;
    char *list;
};

struct hashed {
    const struct mu_known_key *key;
    struct mu_known_hash hash;
    bool taken; /* moved to its name */
};

struct file_name {
    struct file_name *next;
    char path[];
};

struct mu_known_hosts {
    pthread_rwlock_t lock;
    struct mu_known_names names;
    struct pattern *patterns;
    size_t n_patterns, cap_patterns;
    struct hashed *hashed;
    size_t n_hashed, cap_hashed, n_taken;
    bool hashed_revoked;
    struct mu_known_key *keys;
    struct file_name *files;
    atomic_size_t comparisons; /* of patterns and hashes; the names count their own */
};

int mu_known_hosts_new(struct mu_known_hosts **out)
{
    struct mu_known_hosts *kh = calloc(1, sizeof(*kh));

    *out = NULL;
    if (!kh)
        return MU_ENOMEM;
    if (mu_known_names_init(&kh->names)) {
        free(kh);
        return MU_ENOMEM;
    }
    pthread_rwlock_init(&kh->lock, NULL);
    *out = kh;
    return 0;
}

void mu_known_hosts_free(struct mu_known_hosts *kh)
{
    if (!kh)
        return;
    mu_known_names_free(&kh->names);
    for (size_t i = 0; i < kh->n_patterns; i++)
        free(kh->patterns[i].list);
    for (struct mu_known_key *k = kh->keys, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    for (struct file_name *f = kh->files, *next; f; f = next) {
        next = f->next;
        free(f);
    }
    free(kh->patterns);
    free(kh->hashed);
    pthread_rwlock_destroy(&kh->lock);
    free(kh);
}

size_t mu_known_hosts_comparisons(const struct mu_known_hosts *kh)
{
    return atomic_load(&kh->comparisons) + atomic_load(&kh->names.comparisons);
}

bool mu_known_hosts_hashed_revoked(const struct mu_known_hosts *kh)
{
    return kh->hashed_revoked;
}

static void lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + 'a' - 'A');
}

/* ---- hashed names ---- */

static int add_hashed(struct mu_known_hosts *kh, const char *name, const struct mu_known_key *key)
{
    struct mu_known_hash hash;

    if (mu_known_hash_parse(&hash, name))
        return MU_EINVAL;
    if (kh->n_hashed == kh->cap_hashed) {
        size_t cap = kh->cap_hashed ? kh->cap_hashed * 2 : 64;
        struct hashed *h = reallocarray(kh->hashed, cap, sizeof(*h));
        if (!h)
            return MU_ENOMEM;
        kh->hashed = h;
        kh->cap_hashed = cap;
    }
    kh->hashed[kh->n_hashed++] = (struct hashed){.key = key, .hash = hash};
    if (key->marker == MU_KNOWN_REVOKED)
        kh->hashed_revoked = true;
    return 0;
}

/* Move the hashed lines that fit this name to it. The search itself runs under the read lock, so that several threads
 * can search at once. */
static void search_hashed(struct mu_known_hosts *kh, const char *name)
{
    size_t len = strlen(name), n_found = 0, cap = 0, looked = 0;
    size_t *found = NULL;
    struct mu_known_name *node;
    bool failed = false;

    pthread_rwlock_rdlock(&kh->lock);
    node = mu_known_names_find(&kh->names, name);
    if (kh->n_taken == kh->n_hashed || (node && node->searched)) {
        pthread_rwlock_unlock(&kh->lock);
        return;
    }
    for (size_t i = 0; i < kh->n_hashed; i++) {
        if (kh->hashed[i].taken)
            continue;
        looked++;
        if (!mu_known_hash_is(&kh->hashed[i].hash, name, len))
            continue;
        if (n_found == cap) {
            size_t more = cap ? cap * 2 : 4;
            size_t *grown = reallocarray(found, more, sizeof(*found));
            if (!grown) {
                failed = true;
                break;
            }
            found = grown;
            cap = more;
        }
        found[n_found++] = i;
    }
    pthread_rwlock_unlock(&kh->lock);
    atomic_fetch_add_explicit(&kh->comparisons, looked, memory_order_relaxed);

    pthread_rwlock_wrlock(&kh->lock);
    node = mu_known_names_get(&kh->names, name);
    if (node && !node->searched) {
        for (size_t i = 0; i < n_found; i++) {
            struct hashed *h = &kh->hashed[found[i]];
            if (h->taken || mu_known_name_add(node, h->key))
                continue;
            h->taken = true;
            kh->n_taken++;
        }
        node->searched = !failed;
    }
    pthread_rwlock_unlock(&kh->lock);
    free(found);
}

/* ---- the whole ---- */

const char *mu_known_blob_type(const unsigned char *blob, size_t len, size_t *type_len)
{
    size_t n;

    if (len < 4)
        return NULL;
    n = (size_t)blob[0] << 24 | (size_t)blob[1] << 16 | (size_t)blob[2] << 8 | blob[3];
    if (n == 0 || n > 64 || n > len - 4)
        return NULL;
    *type_len = n;
    return (const char *)blob + 4;
}

static const char *keep_file(struct mu_known_hosts *kh, const char *path)
{
    size_t size = strlen(path) + 1;
    struct file_name *f = kh->files;

    while (f && strcmp(f->path, path)) /* a handful at most */
        f = f->next;
    if (f)
        return f->path;
    f = malloc(sizeof(*f) + size);
    if (!f)
        return NULL;
    memcpy(f->path, path, size);
    f->next = kh->files;
    kh->files = f;
    return f->path;
}

static int add_pattern(struct mu_known_hosts *kh, const char *names, const struct mu_known_key *key)
{
    if (kh->n_patterns == kh->cap_patterns) {
        size_t cap = kh->cap_patterns ? kh->cap_patterns * 2 : 16;
        struct pattern *p = reallocarray(kh->patterns, cap, sizeof(*p));
        if (!p)
            return MU_ENOMEM;
        kh->patterns = p;
        kh->cap_patterns = cap;
    }
    char *copy = strdup(names);
    if (!copy)
        return MU_ENOMEM;
    lower(copy);
    kh->patterns[kh->n_patterns++] = (struct pattern){key, copy};
    return 0;
}

static int add_plain(struct mu_known_hosts *kh, const char *names, const struct mu_known_key *key)
{
    char *copy = strdup(names), *save = NULL;
    int rc = copy ? 0 : MU_ENOMEM;

    if (copy)
        lower(copy);
    for (char *name = copy ? strtok_r(copy, ",", &save) : NULL; name && !rc; name = strtok_r(NULL, ",", &save)) {
        struct mu_known_name *node = mu_known_names_get(&kh->names, name);
        rc = node ? mu_known_name_add(node, key) : MU_ENOMEM;
    }
    free(copy);
    return rc;
}

int mu_known_hosts_add(struct mu_known_hosts *kh, const char *names, const char *file, unsigned long line,
                       enum mu_known_marker marker, const unsigned char *blob, size_t len)
{
    struct mu_known_key *key = malloc(sizeof(*key) + len);
    int rc = MU_ENOMEM;

    if (!key)
        return MU_ENOMEM;
    pthread_rwlock_wrlock(&kh->lock);
    *key = (struct mu_known_key){
        .next = kh->keys, .file = keep_file(kh, file), .line = line, .marker = marker, .len = len};
    memcpy(key->blob, blob, len);
    if (!key->file) {
        free(key);
        goto out;
    }
    kh->keys = key; /* names that are refused leave it unused until the table ends */
    if (*names == '|')
        rc = add_hashed(kh, names, key);
    else if (strpbrk(names, "*?!"))
        rc = add_pattern(kh, names, key);
    else
        rc = add_plain(kh, names, key);
out:
    pthread_rwlock_unlock(&kh->lock);
    return rc;
}

bool mu_known_hosts_visit(struct mu_known_hosts *kh, const char *name, bool deep, mu_known_fn *fn, void *arg)
{
    bool done = false;
    struct mu_known_name *node;

    if (deep)
        search_hashed(kh, name);
    pthread_rwlock_rdlock(&kh->lock);
    node = mu_known_names_find(&kh->names, name);
    for (struct mu_known_ref *r = node ? node->refs : NULL; r && !done; r = r->next)
        done = fn(arg, r->key);
    for (size_t i = 0; i < kh->n_patterns && !done; i++)
        if (mu_known_match_list(kh->patterns[i].list, name))
            done = fn(arg, kh->patterns[i].key);
    atomic_fetch_add_explicit(&kh->comparisons, kh->n_patterns, memory_order_relaxed);
    pthread_rwlock_unlock(&kh->lock);
    return done;
}
