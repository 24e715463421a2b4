/* For LD_PRELOAD: a rest after each packet that a program sends, as on a machine that gives the time to others just then. What
 * the other side answers is there when the call returns. */
#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void rest(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
        usleep(200000);
}

__attribute__((visibility("default"))) ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int);
    *(void **)&real = dlsym(RTLD_NEXT, "send");
    ssize_t sent = real(fd, bytes, n, flags);
    rest(fd);
    return sent;
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *bytes, size_t n)
{
    ssize_t (*real)(int, const void *, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, "write");
    ssize_t sent = real(fd, bytes, n);
    rest(fd);
    return sent;
}
