/* nats_server.h: a real nats-server for a test, by tests/support/nats, in a folder of its own; ended whatever comes of the test. */
#ifndef MU_TESTS_UNIT_AGENTS_NATS_SERVER_H
#define MU_TESTS_UNIT_AGENTS_NATS_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct nats_server {
    char dir[64], url[128];
    pid_t pid;
};

static inline int nats_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/* False when it ended before it listened; it has said why. */
static inline bool nats_start(struct nats_server *s)
{
    char ready[96];
    int status;
    strcpy(s->dir, "/tmp/muster-nats-XXXXXX");
    if (!mkdtemp(s->dir))
        return false;
    snprintf(ready, sizeof ready, "%s/ready", s->dir);
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that crashes leaves none behind */
        execl(MUSTER_SOURCE "/tests/support/nats", "nats", "run", s->dir, (char *)NULL);
        _exit(127);
    }
    for (FILE *f; s->pid > 0 && waitpid(s->pid, &status, WNOHANG) == 0;) {
        if ((f = fopen(ready, "r"))) {
            bool got = fgets(s->url, sizeof s->url, f) != NULL;
            fclose(f);
            s->url[strcspn(s->url, "\n")] = '\0';
            return got;
        }
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    return false;
}

static inline void nats_end(struct nats_server *s)
{
    int status;
    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        waitpid(s->pid, &status, 0);
    }
    nftw(s->dir, nats_remove, 32, FTW_DEPTH | FTW_PHYS);
}

#endif
