/* http.h: what the files of muster.http share: options as a request, and the request as a Lua call.
 * Owner: the lua_State's. Thread: the worker's. Must not know: libcurl.
 */
#ifndef MU_BINDINGS_HTTP_H
#define MU_BINDINGS_HTTP_H

#include <lua.h>

#include "http/http.h"

/* http_options.c: the table at index as a request. Pushes what the request's texts live in, so leave the stack as it is
 * while req is used. Raises, naming the field. */
void mu_bind_http_options(lua_State *L, int index, struct mu_http_request *req);
/* Raise when the table has other fields than those and these more (" a b "). */
void mu_bind_http_check_fields(lua_State *L, int index, const char *what, const char *more);

/* http.c: the request that the table at index 1 describes, awaited; use as `return mu_bind_http_send(L);`. */
int mu_bind_http_send(lua_State *L);

/* http_client.c */
int mu_bind_http_client(lua_State *L);
void mu_bind_open_http_client(lua_State *L); /* the metatable, once a state */

#endif
