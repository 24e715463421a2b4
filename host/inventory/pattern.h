/* pattern.h: what the files that read server patterns share: pattern.c (a pattern as a whole), pattern_split.c (its terms),
 * pattern_match.c (whom a term names), pattern_regex.c, pattern_file.c.
 *
 * Purpose: one selection at work, from the text to the servers.
 * Owner: mu_pattern_select() owns a selection for as long as it lasts.
 * Thread: one a selection. Must not know: anything outside inventory/ but core.
 */
#ifndef MU_INVENTORY_PATTERN_H
#define MU_INVENTORY_PATTERN_H

#include <stdint.h>

#include "inventory/internal.h"

/* Servers, each of them once, in the order in which they were taken. */
struct mu_picks {
    size_t *at; /* room for all servers */
    size_t n;
    uint32_t *seen; /* seen[i] == turn: server i is one of them */
    uint32_t turn;
};

struct mu_selection {
    const struct mu_inventory *inv;
    struct mu_picks picks; /* of the operand that was read last */
    bool named;            /* it names something that is there, if only a group without servers */
    bool in_file;
    uint64_t visits; /* servers and groups looked at */
};

/* What the terms of a pattern have said so far. */
struct mu_choice {
    bool *in, *out;   /* taken by a term; taken out by a term with "!" */
    uint32_t *common; /* in how many of the terms with "&" a server is */
    size_t n_terms, n_plain, n_common;
};

/* ---- pattern.c ---- */

/* As mu_pattern_select(), and tells how many servers and groups were looked at. */
int mu_pattern_select_counted(const struct mu_inventory *inv, const char *pattern, bool *selected, uint64_t *visits,
                              struct mu_err *err);
int mu_choice_new(struct mu_choice *choice, size_t n_servers);
void mu_choice_free(struct mu_choice *choice);
bool mu_choice_has(const struct mu_choice *choice, size_t server);
/* Read a text's terms into the choice. */
int mu_choice_read(struct mu_selection *sel, struct mu_choice *choice, const char *pattern, struct mu_err *err);

static inline void mu_picks_clear(struct mu_picks *picks)
{
    picks->n = 0;
    picks->turn++;
}

static inline void mu_picks_take(struct mu_selection *sel, size_t server)
{
    sel->visits++;
    if (sel->picks.seen[server] == sel->picks.turn)
        return;
    sel->picks.seen[server] = sel->picks.turn;
    sel->picks.at[sel->picks.n++] = server;
}

/* ---- pattern_split.c ---- */

/* Copy the next term of *at, which ends at a comma, a colon or white space outside brackets; white space inside them is
 * left out, since no id has any. The copy is empty when there is none between two commas. 0 or MU_ENOMEM. */
int mu_pattern_next_term(const char **at, struct mu_buf *term);
/* Where the first operator (! & ^) between two operands of a term stands; NULL when there is none. */
const char *mu_pattern_operator(const char *term);
/* A copy of the pattern without what a summary prints around a list of servers: failed_servers=[srv1, srv2]. NULL: no
 * memory. */
char *mu_pattern_without_list(const char *pattern);

/* How a term in brackets may end: [3] [-1] [0:4] [2:] */
struct mu_subscript {
    size_t base_len; /* of what stands before it */
    long long first, last;
    bool range;    /* it has a colon */
    bool open;     /* and nothing behind it */
    bool negative; /* counted from the end: first is -1 or less */
};
bool mu_pattern_subscript(const char *term, struct mu_subscript *out);

/* ---- pattern_match.c, pattern_regex.c, pattern_file.c: put the servers of an operand into sel->picks ---- */

int mu_pattern_operand(struct mu_selection *sel, const char *text, struct mu_err *err);
int mu_pattern_regex(struct mu_selection *sel, const char *expression, struct mu_err *err);
int mu_pattern_file(struct mu_selection *sel, const char *path, struct mu_err *err);

/* A user's pattern in a message; the text is *q's. */
int mu_pattern_error(struct mu_err *err, int code, const char *term, const char *why);

#endif
