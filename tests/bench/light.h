/* light.h: what the two files of the light server share: light_session.c, which speaks SSH, and lightserver.c, the
 * process with its threads.
 *
 * A connection is accepted in the main thread and from then on belongs to one worker, with all of its sessions' memory.
 */
#ifndef MUSTER_BENCH_LIGHT_H
#define MUSTER_BENCH_LIGHT_H

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct light_command;
struct light_session;

struct light_worker {
    pthread_t thread;
    ssh_bind bind;
    int epoll, wake;
    struct light_command *first, *last; /* waiting for their answers, in the order they came: that of their times */
};

struct light_options {
    const char *output;
    ssh_key client_key; /* the one that is let in */
    uint64_t delay_ms;
    size_t barrier;
};

struct light_counts {
    atomic_size_t sessions, authenticated, commands, answered;
};

extern struct light_options light_options;
extern struct light_counts light_counts;

/* ---- light_session.c ---- */

/* A connection just accepted; NULL when out of memory. It is w's, and watched for reading and writing. */
struct light_session *light_session_new(struct light_worker *w, int fd);
/* There is something to read or room to write. False: it is over, and to be freed. */
bool light_session_serve(struct light_session *s);
void light_session_free(struct light_session *s); /* and its commands that wait */
/* Answer what is due in w. Returns the milliseconds until the next, -1: nothing waits. */
int light_answer_due(struct light_worker *w);

/* ---- lightserver.c ---- */

void light_die(const char *what);
void light_wake_all(void);

#endif
