/* process_os.h: the parts of running a local command that talk to the kernel: spawning it, and its process group.
 * Owner: descriptors given out are the caller's; an environment is freed with mu_process_env_free().
 * Thread: the loop's. For process.c alone. Must not know: results, limits, callbacks.
 */
#ifndef MU_LOOP_PROCESS_OS_H
#define MU_LOOP_PROCESS_OS_H

#include <uv.h>

#include <stdbool.h>

#include "core/err.h"

/* This process's environment with additions ("NAME=value", NULL-terminated, may be NULL) put over it. */
int mu_process_env(char ***out, const char *const *additions, struct mu_err *err);
void mu_process_env_free(char **env);

/* Spawn /bin/sh -c command in a session of its own, its streams 0–2 on pipes whose other ends go to fds (non-blocking,
 * closed on exec). On failure fds are -1; the handle is to be closed either way. */
int mu_process_spawn(uv_loop_t *loop, uv_process_t *handle, uv_exit_cb on_exit, const char *command, char **env,
                     int fds[3], struct mu_err *err);

/* The same with descriptors of the caller's as the command's streams 0–2; they stay open here. */
int mu_process_spawn_on(uv_loop_t *loop, uv_process_t *handle, uv_exit_cb on_exit, const char *command, char **env,
                        const int theirs[3], struct mu_err *err);

/* False when no member of the process group is left that could still run (zombies cannot). */
bool mu_process_group_alive(long pgid);

/* Write, without SIGPIPE when nobody reads: the result is -1 with EPIPE then, whatever the signal's disposition. */
ssize_t mu_process_write(int fd, const void *bytes, size_t n);

/* "TERM" for SIGTERM. */
void mu_process_signal_name(int signum, char *out, size_t size);

#endif
