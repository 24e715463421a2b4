/* targets.h: the servers that a command line names.
 *
 * Purpose: `web01`, `'web*'`, `srv[01-10]`, `ops@10.0.0.5:2222`, `[2001:db8::1]:22`: choose from the inventory, or add.
 * Owner: the engine owns what is added; nothing is kept here.
 * Thread: the engine's.
 * Must not know: runs, scripts, how patterns match.
 */
#ifndef MU_CLI_TARGETS_H
#define MU_CLI_TARGETS_H

#include <stddef.h>

#include "muster.h"

/* One server as written on the command line: [user@]host[:port], with an IPv6 address in brackets when a port follows.
 */
struct target_spec {
    char user[64]; /* "": not said */
    char host[256];
    unsigned port; /* 0: not said */
    char id[272];  /* host, or host-port; an IPv6 address with - for each : (ids have no colon) */
};

/* 0, or -1 with a message that says what is wrong with text. */
int target_spec_parse(const char *text, struct target_spec *out, char *why, size_t why_size);

/* Choose the servers of the run: those named in words (commas separate as well; none: all of the inventory), narrowed
 * by each of the limits. What the inventory knows wins: an id, a group, name:name; what can be no host name is a pattern
 * (docs/patterns.md) and chooses from it; anything else is added as a host. 0, or CLI_USAGE when a message was printed. */
int targets_choose(struct muster *m, const char *command, const char *const *words, size_t n_words,
                   const char *const *limits, size_t n_limits);
size_t targets_count(const struct muster *m); /* servers chosen */
char *targets_fold(const struct muster *m);   /* their ids as a node set, for free(); NULL: out of memory */

#endif
