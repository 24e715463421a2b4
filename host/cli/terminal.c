#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ERASE "\r\033[J"

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT};
enum { N_FATAL = sizeof fatal / sizeof *fatal };

static struct termios former_modes;
static atomic_bool changed, wanted, has_status, stopped; /* changed: the modes are ours now */
static struct sigaction former[N_FATAL], former_stop;

static void put_back(void)
{
    if (atomic_exchange(&changed, false))
        tcsetattr(STDIN_FILENO, TCSANOW, &former_modes);
}

static void restore(void)
{
    atomic_store(&wanted, false);
    put_back();
}

static void erase(void)
{
    if (atomic_load(&has_status) && terminal_is_ours() && write(STDERR_FILENO, ERASE, sizeof ERASE - 1) < 0)
        errno = 0;
}

void terminal_leave(void)
{
    int errnum = errno;

    restore();
    erase();
    errno = errnum;
}

static void on_fatal(int signo)
{
    put_back();
    erase();
    for (int i = 0; i < N_FATAL; i++)
        if (fatal[i] == signo)
            sigaction(signo, &former[i], NULL);
    raise(signo);
}

/* The whole process stops here, with the terminal as it was; what runs on later takes up its modes again by itself. */
static void on_stop(int signo)
{
    int errnum = errno;
    struct sigaction by_default = {.sa_handler = SIG_DFL}, ours;
    sigset_t set, old;

    put_back();
    erase();
    atomic_store(&stopped, true);
    sigaction(signo, &by_default, &ours);
    sigemptyset(&set);
    sigaddset(&set, signo);
    raise(signo);
    pthread_sigmask(SIG_UNBLOCK, &set, &old);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    sigaction(signo, &ours, NULL);
    errno = errnum;
}

bool terminal_is_ours(void)
{
    pid_t group = tcgetpgrp(STDERR_FILENO);

    return group < 0 || group == getpgrp();
}

/* Keys come one by one; Ctrl-C and Ctrl-Z still are signals. In the background the terminal is another's. */
static bool take(void)
{
    struct termios modes;
    sigset_t set, old;

    if (!atomic_load(&wanted) || tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &modes) != 0)
        return false;
    if (!(modes.c_lflag & ICANON) && atomic_load(&changed))
        return true;
    if (!atomic_load(&changed))
        former_modes = modes;
    modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    /* Another process group may get the terminal between the question and this: to be stopped for it would be wrong. */
    sigemptyset(&set);
    sigaddset(&set, SIGTTOU);
    sigaddset(&set, SIGTSTP);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    atomic_store(&changed, true);
    bool ok = tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!atomic_load(&wanted)) /* restored by a signal handler meanwhile */
        put_back();
    return ok;
}

void terminal_begin(bool keys, bool status)
{
    static bool at_exit;
    struct sigaction act = {.sa_handler = on_fatal}, stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};

    atomic_store(&stopped, false);
    atomic_store(&has_status, status);
    if (!at_exit)
        at_exit = atexit(restore) == 0;
    for (int i = 0; i < N_FATAL; i++)
        sigaction(fatal[i], &act, &former[i]);
    sigaction(SIGTSTP, NULL, &former_stop);
    if (former_stop.sa_handler != SIG_IGN) /* a shell without job control: nobody could wake it up again */
        sigaction(SIGTSTP, &stop, NULL);
    atomic_store(&wanted, keys && isatty(STDIN_FILENO));
    take();
}

void terminal_end(void)
{
    restore();
    atomic_store(&has_status, false);
    for (int i = 0; i < N_FATAL; i++)
        sigaction(fatal[i], &former[i], NULL);
    sigaction(SIGTSTP, &former_stop, NULL);
}

int terminal_key(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned char c;

    if (!take() || poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN))
        return 0;
    if (read(STDIN_FILENO, &c, 1) == 1)
        return c;
    restore(); /* its other end is gone */
    return 0;
}

bool terminal_reads_keys(void) { return atomic_load(&changed); }

bool terminal_was_stopped(void) { return atomic_exchange(&stopped, false); }

unsigned terminal_width(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
