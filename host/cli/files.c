#include "files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From the folder of the executable; the build says so, as the folders of an installation can be chosen. */
#ifndef MUSTER_LIBRARY_FROM_BIN
#define MUSTER_LIBRARY_FROM_BIN "../share/muster/scripts/lib"
#endif

const char *cli_library_dir(char *buf, size_t size)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    struct stat st;

    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    int len = snprintf(buf, size, "%s/%s", exe, MUSTER_LIBRARY_FROM_BIN);
    if (len < 0 || (size_t)len >= size || stat(buf, &st) < 0 || !S_ISDIR(st.st_mode))
        return NULL;
    return buf;
}

int cli_check_report_path(const char *path, char *why, size_t why_size)
{
    char temp[PATH_MAX];
    struct stat st;

    if (strcmp(path, "-") == 0)
        return 0;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        /* The report is renamed into place: over a device or a pipe that would be the end of it. */
        snprintf(why, why_size, "%s", S_ISDIR(st.st_mode) ? "it is a directory" : "it is not a regular file");
        return -1;
    }
    const char *slash = strrchr(path, '/');
    int dir = slash ? (int)(slash - path) + 1 : 0;
    int len = snprintf(temp, sizeof temp, "%.*s.muster-XXXXXX", dir, path);
    if (len < 0 || (size_t)len >= sizeof temp || strlen(path) >= PATH_MAX) {
        snprintf(why, why_size, "%s", strerror(ENAMETOOLONG));
        return -1;
    }
    int fd = mkstemp(temp);
    if (fd < 0) {
        snprintf(why, why_size, "%s", strerror(errno));
        return -1;
    }
    close(fd);
    unlink(temp);
    return 0;
}
