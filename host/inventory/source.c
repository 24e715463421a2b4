#include "inventory/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/utf8.h"

#define FILE_LIMIT ((size_t)256 << 20) /* a fleet of a million is a tenth of it; more is not an inventory */
#define NAME_LIMIT 160                 /* bytes of a path in a message */

/* The end of a long path tells more than its start. */
static int name_for_messages(char **out, const char *name)
{
    struct mu_buf b = MU_BUF_INIT;
    size_t len = strlen(name), from = 0;

    if (len > NAME_LIMIT) {
        from = len - NAME_LIMIT;
        while (((unsigned char)name[from] & 0xC0) == 0x80)
            from++;
        mu_buf_adds(&b, "…");
    }
    mu_buf_add_escaped(&b, name + from, len - from);
    *out = mu_buf_take(&b);
    return *out ? 0 : MU_ENOMEM;
}

int mu_source_new(struct mu_source **out, const char *name)
{
    struct mu_source *source = calloc(1, sizeof *source);
    const char *slash = strrchr(name, '/');
    int rc = MU_ENOMEM;

    *out = NULL;
    if (!source)
        return MU_ENOMEM;
    source->folder = slash ? strndup(name, (size_t)(slash - name) + 1) : strdup("");
    if (!source->folder)
        goto out;
    rc = name_for_messages(&source->name, name);
    if (rc < 0)
        goto out;
    *out = source;
    source = NULL;
out:
    mu_source_free(source);
    return rc;
}

void mu_source_free(struct mu_source *source)
{
    if (!source)
        return;
    mu_vars_free(source->defaults, source->n_defaults);
    free(source->name);
    free(source->folder);
    free(source);
}

int mu_source_read(const char *path, struct mu_buf *out, struct mu_err *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char *name = NULL;
    struct stat st;
    int rc;

    rc = name_for_messages(&name, standard_input ? "standard input" : path);
    if (rc < 0) {
        mu_err_set(err, rc, "out of memory");
        goto out;
    }
    if (fd < 0) {
        rc = mu_err_sys(err, errno == ENOENT ? MU_ENOENT : MU_EIO, errno, "cannot read the inventory %s", name);
        goto out;
    }
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = mu_err_set(err, MU_EINVAL, "%s is a directory: an inventory is a file, a plain list or JSON", name);
        goto out;
    }
    for (;;) {
        ssize_t got;

        rc = mu_buf_reserve(out, 65536);
        if (rc < 0) {
            mu_err_set(err, rc, "%s: out of memory", name);
            goto out;
        }
        got = read(fd, out->data + out->len, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rc = mu_err_sys(err, MU_EIO, errno, "cannot read the inventory %s", name);
            goto out;
        }
        if (got == 0)
            break;
        out->len += (size_t)got;
        out->data[out->len] = '\0';
        if (out->len > FILE_LIMIT) {
            rc = mu_err_set(err, MU_ELIMIT, "%s is larger than %zu MiB: that is no inventory", name, FILE_LIMIT >> 20);
            goto out;
        }
    }
out:
    free(name);
    if (fd >= 0 && !standard_input)
        close(fd);
    return rc;
}

/* The line and column of a byte, both from 1; a column is a byte of the line. */
static void place_of(const char *text, size_t at, size_t *line, size_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            ++*column;
        }
    }
}

int mu_source_check(const struct mu_source *source, const char *text, size_t len, struct mu_err *err)
{
    size_t i = 0, line, column;

    if (len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return mu_err_set(err, MU_EINVAL, "%s is UTF-16: save it as UTF-8", source->name);
    while (i < len) {
        uint32_t cp;
        size_t n;

        n = mu_utf8_decode(text + i, len - i, &cp);
        if (n && cp) {
            i += n;
            continue;
        }
        place_of(text, i, &line, &column);
        if (n)
            return mu_err_set(err, MU_EINVAL, "%s:%zu:%zu: a NUL byte: this is not a text file", source->name, line,
                              column);
        return mu_err_set(err, MU_EINVAL, "%s:%zu:%zu: byte 0x%02X is not UTF-8: save the file as UTF-8", source->name,
                          line, column, (unsigned char)text[i]);
    }
    return 0;
}
