#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

static int check(struct secret *s, const char *option, const char *how, const char *where, size_t len)
{
    if (len > 0 && s->text[len - 1] == '\n')
        s->text[--len] = '\0';
    if (len > 0 && s->text[len - 1] == '\r')
        s->text[--len] = '\0';
    if (len == 0)
        return cli_error(s->command, "--%s-%s: %s is empty", option, how, where);
    if (memchr(s->text, '\0', len))
        return cli_error(s->command, "--%s-%s: %s has a NUL byte in it", option, how, where);
    s->set = true;
    return 0;
}

static int from_file(struct secret *s, const char *option, const char *path)
{
    struct stat st;
    size_t len = 0;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, &st) == 0) {
        s->exposed = S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
        do {
            n = read(fd, s->text + len, sizeof s->text - len);
            len += n > 0 ? (size_t)n : 0;
        } while ((n > 0 && len < sizeof s->text) || (n < 0 && errno == EINTR));
    }
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return cli_error(s->command, "--%s-file: cannot read %s: %s", option, path, strerror(errnum));
    if (len >= sizeof s->text)
        return cli_error(s->command, "--%s-file: %s is too long for a %s (at most %zu bytes)", option, path, option,
                         sizeof s->text - 1);
    return check(s, option, "file", path, len);
}

static int from_env(struct secret *s, const char *option, const char *name)
{
    char *value = getenv(name);

    if (!value)
        return cli_error(s->command, "--%s-env: the environment has no variable %s", option, name);
    size_t len = strlen(value);
    if (len >= sizeof s->text)
        return cli_error(s->command, "--%s-env: %s is too long for a %s (at most %zu bytes)", option, name, option,
                         sizeof s->text - 1);
    memcpy(s->text, value, len + 1);
    explicit_bzero(value, len);
    unsetenv(name);
    return check(s, option, "env", name, len);
}

int secret_read(struct secret *s, const char *command, const char *option, const char *file, const char *env)
{
    int rc = 0;

    *s = (struct secret){.command = command};
    if (file)
        rc = from_file(s, option, file);
    else if (env)
        rc = from_env(s, option, env);
    if (rc != 0)
        secret_wipe(s);
    return rc;
}

void secret_wipe(struct secret *s)
{
    explicit_bzero(s, sizeof *s);
}
