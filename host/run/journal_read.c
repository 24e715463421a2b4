#include "run/journal_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/log.h"

#define STALE_S 3600

/* ---- the file ---- */

static int not_ours(struct mu_err *err, const char *path, const char *why)
{
    return mu_err_set(err, MU_EINVAL, "journal %s: %s, and a journal names a script to run: it is not used", path, why);
}

static int open_locked(const char *path, int *out, struct mu_err *err)
{
    struct stat st, now;
    int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc = 0;
    if (fd < 0)
        return mu_err_sys(err, errno == ENOENT ? MU_ENOENT : MU_EIO, errno, "journal %s", path);
    if (fstat(fd, &st))
        rc = mu_err_sys(err, MU_EIO, errno, "journal %s", path);
    else if (!S_ISREG(st.st_mode))
        rc = not_ours(err, path, "it is not a file");
    else if (st.st_uid != geteuid())
        rc = not_ours(err, path, "it belongs to another user");
    else if (st.st_mode & 022)
        rc = not_ours(err, path, "other users may write it");
    else if (flock(fd, LOCK_EX | LOCK_NB))
        rc = errno == EWOULDBLOCK
                 ? mu_err_set(err, MU_ESTATE, "journal %s: its run, or another cleanup of it, is still at work", path)
                 : mu_err_sys(err, MU_EIO, errno, "journal %s: cannot be locked", path);
    else if (stat(path, &now) || now.st_ino != st.st_ino || now.st_dev != st.st_dev)
        rc = mu_err_set(err, MU_ENOENT, "journal %s: its run ended just now, with nothing left", path);
    if (rc)
        close(fd);
    else
        *out = fd;
    return rc;
}

/* ---- the first line ---- */

static char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    return text ? strdup(text) : NULL;
}

static char **texts_of(const json_t *line, const char *key)
{
    const json_t *list = json_object_get(line, key);
    if (!json_is_array(list))
        return NULL;
    char **texts = calloc(json_array_size(list) + 1, sizeof *texts);
    size_t n = 0;
    for (size_t i = 0; texts && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text && (texts[n] = strdup(text)))
            n++;
    }
    return texts;
}

static char **params_of(json_t *line)
{
    json_t *params = json_object_get(line, "params"), *value;
    char **texts = calloc(2 * json_object_size(params) + 1, sizeof *texts);
    const char *name;
    size_t n = 0;
    if (!texts)
        return NULL;
    json_object_foreach(params, name, value) {
        const char *text = json_string_value(value);
        if (!text)
            continue;
        texts[n++] = strdup(name);
        texts[n++] = strdup(text);
        if (!texts[n - 2] || !texts[n - 1])
            break;
    }
    return texts;
}

static bool read_head(struct mu_left *left, json_t *line)
{
    if (json_integer_value(json_object_get(line, "muster")) != 1)
        return false;
    left->run_id = text_of(line, "run");
    left->owner = text_of(line, "owner");
    left->time = text_of(line, "time");
    left->script = text_of(line, "script");
    left->library_dir = text_of(line, "library");
    left->user = text_of(line, "user");
    left->hostkey_policy = text_of(line, "host_key_policy");
    left->ssh_config = text_of(line, "ssh_config");
    left->known_hosts = texts_of(line, "known_hosts");
    left->key_files = texts_of(line, "keys");
    left->local = json_is_true(json_object_get(line, "local"));
    left->params = params_of(line);
    return left->run_id && left->owner && left->time && left->script && left->params;
}

/* ---- the claims ---- */

/* By the index of the server in the inventory; server NULL: released. */
struct table {
    struct mu_left_claim *claims;
    size_t *order; /* of claiming */
    size_t n, clock;
};

static struct mu_left_claim *slot(struct mu_left *left, struct table *t, const char *id)
{
    struct mu_server *s = mu_inventory_find(left->inventory, id);
    return s && s->index < t->n ? &t->claims[s->index] : NULL;
}

static void close_claim(struct mu_left_claim *c)
{
    free(c->data);
    free(c->time);
    *c = (struct mu_left_claim){0};
}

static bool set_data(struct mu_left_claim *c, const json_t *line)
{
    char *data = json_dumps(json_object_get(line, "data"), JSON_COMPACT | JSON_ENCODE_ANY);
    if (!data)
        return false;
    free(c->data);
    c->data = data;
    return true;
}

static bool grow(struct table *t, size_t n)
{
    struct mu_left_claim *claims = realloc(t->claims, n * sizeof *claims);
    if (claims)
        t->claims = claims;
    size_t *order = realloc(t->order, n * sizeof *order);
    if (order)
        t->order = order;
    if (!claims || !order)
        return false;
    for (; t->n < n; t->n++) {
        t->claims[t->n] = (struct mu_left_claim){0};
        t->order[t->n] = 0;
    }
    return true;
}

static const char *take_claim(struct mu_left *left, struct table *t, const json_t *server, const json_t *line)
{
    const char *id = json_string_value(json_object_get(server, "id"));
    if (!id || !json_is_object(json_object_get(line, "data")))
        return "a claim without id or data";
    if (!mu_inventory_find(left->inventory, id)) {
        char *text = json_dumps(server, JSON_COMPACT);
        struct mu_buf list = MU_BUF_INIT;
        struct mu_err err;
        mu_buf_addf(&list, "[%s]", text ? text : "");
        free(text);
        int rc = mu_inventory_parse_back(left->inventory, left->path, mu_buf_cstr(&list), list.len, &err);
        mu_buf_free(&list);
        if (rc)
            return "a server that makes no sense";
    }
    if (!grow(t, mu_inventory_count(left->inventory)))
        return "out of memory";
    struct mu_left_claim *c = slot(left, t, id);
    close_claim(c);
    c->server = mu_inventory_find(left->inventory, id);
    c->time = text_of(line, "time");
    t->order[c->server->index] = ++t->clock;
    return set_data(c, line) ? NULL : "out of memory";
}

/* Why the line makes no sense, or NULL. */
static const char *take_line(struct mu_left *left, struct table *t, const json_t *line)
{
    const json_t *claim = json_object_get(line, "claim");
    const char *update = json_string_value(json_object_get(line, "update"));
    const char *release = json_string_value(json_object_get(line, "release"));
    if (json_is_object(claim))
        return take_claim(left, t, claim, line);
    struct mu_left_claim *c = slot(left, t, update ? update : release ? release : "");
    if (release) {
        if (c)
            close_claim(c);
        return c ? NULL : "the release of a server that was not claimed";
    }
    if (!update)
        return "neither claim, update nor release";
    if (!c || !c->server || !json_is_object(json_object_get(line, "data")))
        return "the update of a server that is not claimed";
    return set_data(c, line) ? NULL : "out of memory";
}

static int by_order(const void *a, const void *b, void *arg)
{
    const struct table *t = arg;
    size_t x = t->order[((const struct mu_left_claim *)a)->server->index];
    size_t y = t->order[((const struct mu_left_claim *)b)->server->index];
    return x < y ? -1 : x > y;
}

static void keep_open(struct mu_left *left, struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->claims[i].server)
            t->claims[left->n_claims++] = t->claims[i];
    left->claims = t->claims;
    t->claims = NULL;
    if (left->n_claims)
        qsort_r(left->claims, left->n_claims, sizeof *left->claims, by_order, t);
}

static int read_lines(struct mu_left *left, FILE *f, struct mu_err *err)
{
    struct table t = {0};
    unsigned long number = 0, first_bad = 0;
    const char *first_why = NULL;
    char *text = NULL;
    size_t cap = 0;
    ssize_t len;
    bool head = false;
    while ((len = getline(&text, &cap, f)) >= 0) {
        number++;
        if (*text == '\n')
            continue;
        json_t *line = json_loadb(text, (size_t)len, JSON_ALLOW_NUL, NULL);
        const char *why = NULL;
        if (text[len - 1] != '\n')
            why = "it was cut in the middle";
        else if (!json_is_object(line))
            why = "it is not JSON";
        else if (!head)
            why = (head = read_head(left, line)) ? NULL : "it is not the first line of a journal";
        else
            why = take_line(left, &t, line);
        json_decref(line);
        if (why) {
            left->n_bad_lines++;
            first_why = first_why ? first_why : why;
            first_bad = first_bad ? first_bad : number;
        }
        if (!head)
            break;
    }
    int rc = 0;
    if (ferror(f))
        rc = mu_err_sys(err, MU_EIO, errno, "journal %s", left->path);
    else if (!head)
        rc = mu_err_set(err, MU_EINVAL, "journal %s: its first line does not say which run it is of: see what it holds, "
                        "destroy that by hand, then remove it", left->path);
    else if (left->n_bad_lines)
        mu_log(MU_WARNING, "Journal %s: %zu line%s left out, the first is line %lu: %s. What the others say holds.",
               left->path, left->n_bad_lines, left->n_bad_lines == 1 ? " is" : "s are", first_bad, first_why);
    free(text);
    keep_open(left, &t);
    free(t.order);
    return rc;
}

/* ---- the object ---- */

int mu_left_open(struct mu_left **out, const char *path, struct mu_err *err)
{
    struct mu_left *left = calloc(1, sizeof *left);
    FILE *f = NULL;
    int rc = MU_ENOMEM, copy = -1;
    *out = NULL;
    mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!left)
        return rc;
    left->fd = -1;
    if (!(left->path = strdup(path)) || mu_inventory_new(&left->inventory))
        goto out;
    rc = open_locked(path, &left->fd, err);
    if (rc)
        goto out;
    /* The copy shares the lock, which goes with the last of both. */
    copy = fcntl(left->fd, F_DUPFD_CLOEXEC, 0);
    f = copy < 0 ? NULL : fdopen(copy, "r");
    if (!f) {
        rc = mu_err_sys(err, MU_EIO, errno, "journal %s", path);
        if (copy >= 0)
            close(copy);
        goto out;
    }
    rc = read_lines(left, f, err);
out:
    if (f)
        fclose(f);
    if (rc) {
        mu_left_free(left);
        return rc;
    }
    mu_err_clear(err);
    *out = left;
    return 0;
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        free(texts[i]);
    free(texts);
}

void mu_left_free(struct mu_left *left)
{
    if (!left)
        return;
    for (size_t i = 0; i < left->n_claims; i++)
        close_claim(&left->claims[i]);
    free(left->claims);
    mu_inventory_free(left->inventory);
    char *const texts[] = {left->path,        left->run_id, left->owner,         left->time, left->script,
                           left->library_dir, left->user,   left->hostkey_policy, left->ssh_config};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free_texts(left->known_hosts);
    free_texts(left->key_files);
    free_texts(left->params);
    if (left->fd >= 0)
        close(left->fd);
    free(left);
}

/* ---- the folder ---- */

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && !strcmp(name + n - m, end);
}

/* A crash before the first claim was confirmed: nothing was ever done because of it. */
static void remove_stale(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mtime + STALE_S < time(NULL))
        unlink(path);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int mu_left_list(char ***out, const char *dir, bool tidy, struct mu_err *err)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    size_t n = 0;
    int rc = 0;
    *out = calloc(1, sizeof **out);
    if (!*out)
        rc = MU_ENOMEM;
    else if (!d && errno != ENOENT)
        rc = mu_err_sys(err, MU_EIO, errno, "%s", dir);
    while (!rc && d && (entry = readdir(d))) {
        char *path = NULL;
        bool journal = ends(entry->d_name, ".jsonl") && *entry->d_name != '.';
        if (!journal && !(ends(entry->d_name, ".new") && *entry->d_name == '.'))
            continue;
        char **more = realloc(*out, (n + 2) * sizeof **out);
        if (more)
            *out = more;
        if (!more || asprintf(&path, "%s/%s", dir, entry->d_name) < 0) {
            rc = MU_ENOMEM;
        } else if (journal) {
            (*out)[n++] = path;
            (*out)[n] = NULL;
        } else {
            if (tidy)
                remove_stale(path);
            free(path);
        }
    }
    if (d)
        closedir(d);
    if (rc == MU_ENOMEM)
        mu_err_set(err, rc, "out of memory");
    if (rc) {
        free_texts(*out);
        *out = NULL;
    } else {
        qsort(*out, n, sizeof **out, by_name);
    }
    return rc;
}
