#include "run/sources.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/buf.h"

struct source {
    struct source *next;
    char *path;
    struct mu_buf text;
    struct mu_err error;
};

struct mu_sources {
    pthread_mutex_t mutex;
    struct source *first; /* a script needs few files: a list will do */
};

struct mu_sources *mu_sources_new(void)
{
    struct mu_sources *s = calloc(1, sizeof *s);
    if (s)
        pthread_mutex_init(&s->mutex, NULL);
    return s;
}

void mu_sources_free(struct mu_sources *s)
{
    if (!s)
        return;
    for (struct source *src = s->first, *next; src; src = next) {
        next = src->next;
        mu_buf_free(&src->text);
        free(src->path);
        free(src);
    }
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static void read_file(struct source *src)
{
    FILE *file = fopen(src->path, "rbe");
    if (!file) {
        mu_err_sys(&src->error, errno == ENOENT ? MU_ENOENT : MU_EIO, errno, "cannot read %s", src->path);
        return;
    }
    struct stat st;
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
        mu_err_sys(&src->error, MU_EIO, EISDIR, "cannot read %s", src->path);
        fclose(file);
        return;
    }
    char chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        mu_buf_add(&src->text, chunk, n);
    if (ferror(file))
        mu_err_sys(&src->error, MU_EIO, errno, "cannot read %s", src->path);
    else if (src->text.failed)
        mu_err_set(&src->error, MU_ENOMEM, "out of memory");
    fclose(file);
}

static struct source *find_or_read(struct mu_sources *s, const char *path)
{
    struct source *src;
    for (src = s->first; src; src = src->next)
        if (!strcmp(src->path, path))
            return src;
    src = calloc(1, sizeof *src);
    if (!src || !(src->path = strdup(path))) {
        free(src);
        return NULL;
    }
    read_file(src);
    src->next = s->first;
    s->first = src;
    return src;
}

int mu_sources_get(struct mu_sources *s, const char *path, const char **text, size_t *len, struct mu_err *err)
{
    pthread_mutex_lock(&s->mutex);
    struct source *src = find_or_read(s, path);
    pthread_mutex_unlock(&s->mutex);
    if (!src)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (src->error.code) {
        if (err)
            *err = src->error;
        return src->error.code;
    }
    *text = mu_buf_cstr(&src->text);
    *len = src->text.len;
    return 0;
}

char **mu_sources_list(struct mu_sources *s, size_t *n)
{
    size_t all = 0;
    *n = 0;
    pthread_mutex_lock(&s->mutex);
    for (struct source *src = s->first; src; src = src->next)
        all++;
    char **list = calloc(all + 1, sizeof *list);
    for (struct source *src = s->first; list && src; src = src->next)
        if (!src->error.code && (list[*n] = strdup(src->path)))
            (*n)++;
    pthread_mutex_unlock(&s->mutex);
    return list;
}
