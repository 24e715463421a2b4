#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define QUIET_MS 50 /* an editor that saves several files, or one in several steps */

struct file {
    int folder; /* inotify's number of it */
    char *name;
    bool all;
};

struct watch {
    int fd;
    struct file *files;
    size_t n;
};

struct watch *watch_new(void)
{
    struct watch *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->fd >= 0)
        return w;
    free(w);
    return NULL;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        free(w->files[i].name);
    free(w->files);
    close(w->fd);
    free(w);
}

int watch_add(struct watch *w, const char *path, int all)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");

    if (!folder)
        return -1;
    int number = inotify_add_watch(w->fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO); /* the same for the same folder */
    int errnum = errno;
    free(folder);
    errno = errnum;
    if (number < 0)
        return -1;
    for (size_t i = 0; i < w->n; i++)
        if (w->files[i].folder == number && strcmp(w->files[i].name, name) == 0)
            return 0;
    struct file *more = realloc(w->files, (w->n + 1) * sizeof *more);
    char *copy = strdup(name);
    w->files = more ? more : w->files;
    if (!more || !copy) {
        free(copy);
        errno = ENOMEM;
        return -1;
    }
    w->files[w->n++] = (struct file){number, copy, all != 0};
    return 0;
}

static bool concerns(const struct watch *w, const struct inotify_event *event)
{
    size_t n = event->len ? strlen(event->name) : 0;

    if (event->mask & IN_Q_OVERFLOW)
        return true;
    for (size_t i = 0; i < w->n; i++) {
        const struct file *f = &w->files[i];
        if (f->folder != event->wd)
            continue;
        if (strcmp(f->name, n ? event->name : "") == 0 || (f->all && n > 4 && strcmp(event->name + n - 4, ".lua") == 0))
            return true;
    }
    return false;
}

/* 1: one of them; 0: none; -1 and errno. */
static int take(struct watch *w)
{
    char buffer[sizeof(struct inotify_event) + NAME_MAX + 1] __attribute__((aligned(__alignof__(struct inotify_event))));
    int found = 0;
    ssize_t n;

    while ((n = read(w->fd, buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
            found = concerns(w, event) || found;
            at += (ssize_t)(sizeof *event + event->len);
        }
    return n < 0 && errno != EAGAIN ? -1 : found;
}

int watch_wait(struct watch *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    bool found = false;

    for (;;) {
        int ready = poll(&p, 1, found ? QUIET_MS : -1);
        if (ready == 0)
            return 0;
        int got = ready < 0 ? -1 : take(w);
        if (got < 0)
            return -1;
        found = found || got;
    }
}
