/* tool.h: the programs in Lua that belong to the command line: luacheck's opinion of a script, and tests by busted.
 *
 * Purpose: a Lua state of its own with the whole standard library, the Debian modules of Lua 5.4 and those of
 *   scripts/lib; nothing in it belongs to a run.
 * Owner: the caller owns the tool.
 * Thread: the one that made it.
 * Must not know: options, terminals.
 */
#ifndef MU_BINDINGS_TOOL_H
#define MU_BINDINGS_TOOL_H

#include <stdbool.h>

#include "core/err.h"

struct mu_tool;
int mu_tool_new(struct mu_tool **out, const char *library_dir, struct mu_err *err);
void mu_tool_free(struct mu_tool *t); /* NULL allowed */

typedef void mu_tool_hint(void *arg, unsigned line, unsigned column, const char *message);
/* What luacheck has to say of a Lua file; nothing where it is not installed. */
int mu_tool_lint(struct mu_tool *t, const char *path, mu_tool_hint *fn, void *arg, struct mu_err *err);

struct mu_tool_test {
    const char *const *paths; /* specs, and folders of them; NULL-terminated; empty: where they usually are */
    const char *output;       /* a busted output; NULL: its default */
    const char *filter;       /* a pattern for names of tests; NULL: all */
    bool list, shuffle;       /* only print the names; in random order */
};
/* Run them with busted, which prints. Whether all passed, or MU_EINVAL when none ran. */
int mu_tool_test(struct mu_tool *t, const struct mu_tool_test *test, bool *passed, struct mu_err *err);

#endif
