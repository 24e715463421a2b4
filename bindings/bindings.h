/* bindings.h: the one name of the Lua side that the engine's door needs, without Lua.
 * Owner: static. Thread: any. Must not know: anything.
 */
#ifndef MU_BINDINGS_BINDINGS_H
#define MU_BINDINGS_BINDINGS_H

struct mu_bindings; /* run/engine.h */
extern const struct mu_bindings mu_bindings;

#endif
