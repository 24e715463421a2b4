/* secret.h: what a script may send and not read.
 * Owner: the userdata; its bytes are wiped when it is collected. Thread: the worker's. Must not know: who sends it.
 */
#ifndef MU_BINDINGS_SECRET_H
#define MU_BINDINGS_SECRET_H

#include <lua.h>
#include <stddef.h>

/* The text of the secret at index, NULL when it is none. Valid as long as the value is on the stack. */
const char *mu_bind_secret_text(lua_State *L, int index);
/* muster.secret{ env = "NAME" } and { file = "path" }. */
int mu_bind_secret(lua_State *L);
void mu_bind_open_secret(lua_State *L); /* the metatable, once a state */

#endif
