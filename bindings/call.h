/* call.h: a mu_call as a Lua value: the await, the line callback, and its end on every way out.
 * Owner: the userdata; the call is closed when its function returns, raises or is collected. Thread: the worker's.
 * Must not know: how results are shown to scripts.
 */
#ifndef MU_BINDINGS_CALL_H
#define MU_BINDINGS_CALL_H

#include <lua.h>
#include <stdbool.h>

#include "run/remote.h"

struct mu_bind_call_options {
    struct mu_remote *remote; /* NULL: the task's own */
    uint64_t timeout_ms; /* 0: none */
    int on_line;         /* stack index of a function, 0: none */
    bool check;          /* for `then` */
    bool here;           /* on this machine */
    bool as_root;        /* by sudo */
};

/* Push what the Lua function returns and give its count. The call is closed after it. */
typedef int mu_bind_call_fn(lua_State *L, struct mu_call *c);

/* Each drops the caller's stack; use as `return mu_bind_call_exec(…)`. */
int mu_bind_call_exec(lua_State *L, const struct mu_exec_request *req, const struct mu_bind_call_options *options,
                      mu_bind_call_fn *then);
int mu_bind_call_here(lua_State *L, const struct mu_exec_request *req, mu_bind_call_fn *then);
int mu_bind_call_connect(lua_State *L, struct mu_remote *remote, const struct mu_connect_request *req, mu_bind_call_fn *then);
/* Raise the typed error that the call ended with. */
int mu_bind_call_raise(lua_State *L, struct mu_call *c);
bool mu_bind_call_checks(const struct mu_call *c);
void mu_bind_open_call(lua_State *L); /* the metatable, once a state */

#endif
