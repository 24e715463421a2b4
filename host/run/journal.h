/* journal.h: the claims of a run on disk, so that what it leaves behind is known when nobody is left to tell.
 *
 * Purpose: one file a run, STATE/claims/RUN-ID.jsonl: a line that says which run it was, then a line a claim, update and
 *   release. A line is on the disk before anybody is told that it is. Reading is in journal_read.h.
 * Owner: the run. The file is locked (flock) while the run lives; who can lock it knows that the run is gone.
 * Thread: the main one; mu_journal_sync() blocks on the disk.
 * Must not know: tasks, scripts' Lua values (data is JSON text), what a claim is for.
 *
 * Nothing is on disk before the first claim. The file appears under its name only when it is locked and has its first
 * claim; a line that could not be written whole is taken back. A journal without open claims is removed at the end.
 */
#ifndef MU_RUN_JOURNAL_H
#define MU_RUN_JOURNAL_H

#include "core/buf.h"
#include "core/err.h"
#include "inventory/inventory.h"
#include "run/script.h"

/* What the first line says. Paths are made absolute. No secrets. */
struct mu_journal_head {
    const char *run_id, *owner;
    const struct mu_script *script; /* path and parameters */
    const char *library_dir;        /* NULL: none */
    const char *user;               /* NULL: not said */
    const char *hostkey_policy;     /* NULL: not said */
    const char *ssh_config;         /* NULL: the user's and the system's */
    const char *const *known_hosts, *const *key_files; /* NULL: not said */
    bool local;
};

struct mu_journal;
/* state_dir NULL: $XDG_STATE_HOME/muster, else ~/.local/state/muster. Makes nothing; what is wrong comes with the first
 * claim. MU_ENOMEM. */
int mu_journal_new(struct mu_journal **out, const char *state_dir, const struct mu_journal_head *head,
                   struct mu_err *err);
/* Go on with a journal that was read: fd is open for appending and locked, and taken over. */
int mu_journal_adopt(struct mu_journal **out, const char *path, int fd, struct mu_err *err);

/* Note a line for the next sync. data is JSON. MU_EINVAL: it cannot be written down, and why. */
int mu_journal_claim(struct mu_journal *j, const struct mu_server *server, const char *data, struct mu_err *err);
int mu_journal_update(struct mu_journal *j, const char *server_id, const char *data, struct mu_err *err);
int mu_journal_release(struct mu_journal *j, const char *server_id, struct mu_err *err);
/* All that was noted is on the disk when it returns 0; otherwise none of it is. */
int mu_journal_sync(struct mu_journal *j, struct mu_err *err);
const char *mu_journal_path(const struct mu_journal *j); /* NULL while there is no file */
/* empty: no claim is open, so that the file is removed. NULL allowed. */
void mu_journal_close(struct mu_journal *j, bool empty);

/* The folder of the journals, in out. MU_EINVAL: there is no home to keep state in. */
int mu_journal_dir(struct mu_buf *out, const char *state_dir, struct mu_err *err);

/* journal_line.c: one line each, with its newline. */
int mu_journal_head_line(struct mu_buf *out, const struct mu_journal_head *head, struct mu_err *err);
int mu_journal_claim_line(struct mu_buf *out, const struct mu_server *server, const char *data, struct mu_err *err);
int mu_journal_id_line(struct mu_buf *out, const char *what, const char *server_id, const char *data,
                       struct mu_err *err);

#endif
