/* known_hosts.c: the table behind known_hosts.h; reading files is in known_hosts_read.c. */
#include "ssh/known_hosts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/known_match.h"

struct ref {
    struct ref *next;
    const struct mu_known_key *key;
};

struct name_node {
    struct name_node *next;
    struct ref *refs, **refs_end;
    uint64_t hash;
    bool searched; /* the hashed lines were searched for it */
    char name[];
};

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
    struct name_node **buckets;
    size_t n_buckets, n_names; /* n_buckets is a power of two */
    struct pattern *patterns;
    size_t n_patterns, cap_patterns;
    struct hashed *hashed;
    size_t n_hashed, cap_hashed, n_taken;
    bool hashed_revoked;
    struct mu_known_key *keys;
    struct file_name *files;
    atomic_size_t comparisons;
};

int mu_known_hosts_new(struct mu_known_hosts **out)
{
    struct mu_known_hosts *kh = calloc(1, sizeof(*kh));

    *out = NULL;
    if (!kh)
        return MU_ENOMEM;
    kh->n_buckets = 1024;
    kh->buckets = calloc(kh->n_buckets, sizeof(*kh->buckets));
    if (!kh->buckets) {
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
    for (size_t i = 0; i < kh->n_buckets; i++) {
        for (struct name_node *n = kh->buckets[i], *next; n; n = next) {
            next = n->next;
            for (struct ref *r = n->refs, *more; r; r = more) {
                more = r->next;
                free(r);
            }
            free(n);
        }
    }
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
    free(kh->buckets);
    free(kh->patterns);
    free(kh->hashed);
    pthread_rwlock_destroy(&kh->lock);
    free(kh);
}

size_t mu_known_hosts_comparisons(const struct mu_known_hosts *kh) { return atomic_load(&kh->comparisons); }

bool mu_known_hosts_hashed_revoked(const struct mu_known_hosts *kh) { return kh->hashed_revoked; }

/* ---- names ---- */

static uint64_t name_hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, mixed at the end because the buckets take the low bits */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h ^ (h >> 32);
}

static struct name_node *find_name(struct mu_known_hosts *kh, const char *name)
{
    uint64_t h = name_hash(name);

    for (struct name_node *n = kh->buckets[h & (kh->n_buckets - 1)]; n; n = n->next) {
        atomic_fetch_add_explicit(&kh->comparisons, 1, memory_order_relaxed);
        if (n->hash == h && !strcmp(n->name, name))
            return n;
    }
    return NULL;
}

static void grow_buckets(struct mu_known_hosts *kh)
{
    size_t size = kh->n_buckets * 4;
    struct name_node **buckets = calloc(size, sizeof(*buckets));

    if (!buckets)
        return; /* longer chains, nothing worse */
    for (size_t i = 0; i < kh->n_buckets; i++) {
        for (struct name_node *n = kh->buckets[i], *next; n; n = next) {
            next = n->next;
            n->next = buckets[n->hash & (size - 1)];
            buckets[n->hash & (size - 1)] = n;
        }
    }
    free(kh->buckets);
    kh->buckets = buckets;
    kh->n_buckets = size;
}

static struct name_node *get_name(struct mu_known_hosts *kh, const char *name)
{
    struct name_node *n = find_name(kh, name);
    size_t size = strlen(name) + 1;

    if (n)
        return n;
    if (kh->n_names >= kh->n_buckets)
        grow_buckets(kh);
    n = calloc(1, sizeof(*n) + size);
    if (!n)
        return NULL;
    memcpy(n->name, name, size);
    n->refs_end = &n->refs;
    n->hash = name_hash(name);
    n->next = kh->buckets[n->hash & (kh->n_buckets - 1)];
    kh->buckets[n->hash & (kh->n_buckets - 1)] = n;
    kh->n_names++;
    return n;
}

static int add_ref(struct name_node *n, const struct mu_known_key *key)
{
    struct ref *r = malloc(sizeof(*r));

    if (!r)
        return MU_ENOMEM;
    *r = (struct ref){NULL, key};
    *n->refs_end = r; /* in the file's order */
    n->refs_end = &r->next;
    return 0;
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
    struct name_node *node;
    bool failed = false;

    pthread_rwlock_rdlock(&kh->lock);
    node = find_name(kh, name);
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
    node = get_name(kh, name);
    if (node && !node->searched) {
        for (size_t i = 0; i < n_found; i++) {
            struct hashed *h = &kh->hashed[found[i]];
            if (h->taken || add_ref(node, h->key))
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
        struct name_node *node = get_name(kh, name);
        rc = node ? add_ref(node, key) : MU_ENOMEM;
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
    *key = (struct mu_known_key){.next = kh->keys, .file = keep_file(kh, file), .line = line, .marker = marker, .len = len};
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
    struct name_node *node;

    if (deep)
        search_hashed(kh, name);
    pthread_rwlock_rdlock(&kh->lock);
    node = find_name(kh, name);
    for (struct ref *r = node ? node->refs : NULL; r && !done; r = r->next)
        done = fn(arg, r->key);
    for (size_t i = 0; i < kh->n_patterns && !done; i++)
        if (mu_known_match_list(kh->patterns[i].list, name))
            done = fn(arg, kh->patterns[i].key);
    atomic_fetch_add_explicit(&kh->comparisons, kh->n_patterns, memory_order_relaxed);
    pthread_rwlock_unlock(&kh->lock);
    return done;
}
