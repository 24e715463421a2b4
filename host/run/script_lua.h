/* script_lua.h: a script's source on its way through Lua: compiled into factories, described into struct mu_script.
 * Owner: the lua_State owns what is compiled. Thread: the worker's. Must not know: tasks.
 */
#ifndef MU_RUN_SCRIPT_LUA_H
#define MU_RUN_SCRIPT_LUA_H

#include <lua.h>

#include "run/lint.h"
#include "run/script.h"

/* The description on top of L's stack into *s (describe.c). Raises nothing; MU_EINVAL with file:line. source is for
 * finding lines. */
int mu_script_describe(lua_State *L, struct mu_script *s, const char *source, struct mu_err *err);

/* Push the function of a source file: called with an environment it returns the file's main function. Compiled once a
 * worker, kept in the registry. Raises with file:line:column on a syntax error. */
void mu_script_push_factory(lua_State *L, const char *path);
void mu_script_push_factories(lua_State *L); /* those made so far: a table, path → factory */

/* Look for mistakes in the script that was just loaded, description on top (lint_chunk.c). May raise. */
void mu_lint_script(lua_State *L, const struct mu_script *s, const char *source, struct mu_findings *found);

#endif
