#include "ask.h"

#include <bsd/readpassphrase.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool ask_possible(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    bool ours = fd >= 0 && tcgetpgrp(fd) == getpgrp();

    if (fd >= 0)
        close(fd);
    return ours;
}

int ask_passphrase(void *unused, const char *key_file, bool again, char *out, size_t size)
{
    char prompt[PATH_MAX + 64];

    (void)unused;
    snprintf(prompt, sizeof prompt, "%sPassphrase of %s: ", again ? "That is not it. " : "", key_file);
    for (char *p = prompt; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?'; /* the name comes from an inventory, perhaps from a program's */
    if (readpassphrase(prompt, out, size, RPP_ECHO_OFF | RPP_REQUIRE_TTY))
        return 0;
    explicit_bzero(out, size);
    return -1;
}
