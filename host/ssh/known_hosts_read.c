/* known_hosts_read.c: the lines of a known_hosts file, as sshd(8) describes them. */
#include "ssh/known_hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/log.h"
#include "ssh/known_match.h"

static const char blanks[] = " \t";

/* The next word of *s, terminated in place; NULL when there is none. */
static char *word(char **s)
{
    char *start = *s + strspn(*s, blanks);
    size_t n = strcspn(start, blanks);

    if (n == 0)
        return NULL;
    *s = start + n;
    if (**s)
        *(*s)++ = '\0';
    return start;
}

/* Why the line makes no sense, or NULL when it was taken (or is empty). *rc: out of memory. */
static const char *read_line(struct mu_known_hosts *kh, const char *path, unsigned long line_no, char *line, int *rc)
{
    enum mu_known_marker marker = MU_KNOWN_PLAIN;
    unsigned char *blob = NULL;
    const char *why = NULL, *inner;
    char *names, *type, *b64;
    size_t type_len = 0, size;
    long len;

    names = word(&line);
    if (!names || *names == '#')
        return NULL;
    if (*names == '@') {
        if (!strcmp(names, "@revoked"))
            marker = MU_KNOWN_REVOKED;
        else if (!strcmp(names, "@cert-authority"))
            marker = MU_KNOWN_CA;
        else
            return "unknown marker";
        names = word(&line);
    }
    type = word(&line);
    b64 = word(&line);
    if (!names || !type || !b64)
        return "expected: names, key type, key";
    size = strlen(b64);
    blob = malloc(size / 4 * 3 + 1);
    if (!blob) {
        *rc = MU_ENOMEM;
        return NULL;
    }
    len = mu_known_base64(b64, size, blob, size / 4 * 3);
    inner = len > 0 ? mu_known_blob_type(blob, (size_t)len, &type_len) : NULL;
    if (len < 0)
        why = "the key is not base64";
    else if (!inner || type_len != strlen(type) || memcmp(inner, type, type_len))
        why = "the key is not of the type that it names";
    else if ((*rc = mu_known_hosts_add(kh, names, path, line_no, marker, blob, (size_t)len)) == MU_EINVAL)
        why = "the hashed name is malformed";
    if (why)
        *rc = 0;
    free(blob);
    return why;
}

int mu_known_hosts_read(struct mu_known_hosts *kh, const char *path, struct mu_err *err)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    const char *first_why = NULL;
    size_t cap = 0, bad = 0;
    unsigned long line_no = 0, first_bad = 0;
    struct stat st;
    ssize_t n;
    int rc = 0;

    if (!f)
        return mu_err_sys(err, errno == ENOENT ? MU_ENOENT : MU_EIO, errno, "known hosts file %s", path);
    if (!fstat(fileno(f), &st) && S_ISDIR(st.st_mode)) {
        rc = mu_err_sys(err, MU_EIO, EISDIR, "known hosts file %s", path);
        goto out;
    }
    while (!rc && (n = getline(&line, &cap, f)) >= 0) {
        const char *why;
        line_no++;
        if (memchr(line, '\0', (size_t)n)) {
            why = "it holds a NUL byte";
        } else {
            line[strcspn(line, "\r\n")] = '\0';
            why = read_line(kh, path, line_no, line, &rc);
        }
        if (why && bad++ == 0) {
            first_bad = line_no;
            first_why = why;
        }
    }
    if (rc)
        mu_err_set(err, rc, "known hosts file %s: out of memory", path);
    else if (ferror(f))
        rc = mu_err_sys(err, MU_EIO, errno, "known hosts file %s", path);
    if (bad == 1)
        mu_log(MU_WARNING, "%s:%lu: not a known hosts line, left out: %s", path, first_bad, first_why);
    else if (bad)
        mu_log(MU_WARNING, "%s:%lu: not a known hosts line, left out: %s (and %zu more lines of this file)", path,
               first_bad, first_why, bad - 1);
out:
    free(line);
    fclose(f);
    return rc;
}
