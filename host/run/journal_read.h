/* journal_read.h: journals that earlier runs left, read back.
 *
 * Purpose: find the journals whose run no longer lives, and say which claims are open in each.
 * Owner: the caller owns what is opened; while it is open its file is locked against everybody else.
 * Thread: the main one. Must not know: scripts, tasks, how a claim is given back.
 *
 * A line that makes no sense (torn by a crash in the middle of writing it) is left out with a warning, whatever stands
 * before and after it. Journals are trusted with the name of a script to run: one that belongs to somebody else, or that
 * others may write, is refused.
 */
#ifndef MU_RUN_JOURNAL_READ_H
#define MU_RUN_JOURNAL_READ_H

#include "core/err.h"
#include "inventory/inventory.h"

struct mu_left_claim {
    struct mu_server *server; /* the left's inventory owns it */
    char *data;               /* JSON, as the latest update says */
    char *time;               /* ISO 8601, UTC */
};

/* What one run left. */
struct mu_left {
    char *path;
    int fd; /* open for appending, locked; -1 when taken by mu_journal_adopt() */
    char *run_id, *owner, *time, *script;
    char *library_dir, *user, *hostkey_policy, *ssh_config; /* NULL: not said */
    char **known_hosts, **key_files;           /* NULL-terminated; NULL: not said */
    bool local;
    char **params; /* name, value, name, value, …, NULL */
    struct mu_inventory *inventory;
    struct mu_left_claim *claims; /* the open ones, in the order of claiming */
    size_t n_claims;
    size_t n_bad_lines;
};

/* MU_ESTATE: its run still lives. MU_ENOENT: there is none (any more). MU_EINVAL, MU_EIO: and why. */
int mu_left_open(struct mu_left **out, const char *path, struct mu_err *err);
void mu_left_free(struct mu_left *left); /* NULL allowed */

/* The paths of all journals in a folder, sorted, so that the oldest run is first; NULL-terminated, the caller frees each
 * and the list. A folder that is not there has none. tidy: files that a crash left half-made are removed on the
 * way. */
int mu_left_list(char ***out, const char *dir, bool tidy, struct mu_err *err);

#endif
