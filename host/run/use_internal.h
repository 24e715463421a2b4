/* use_internal.h: what the two halves of use.h share: use.c (the using script) and use_take.c (the used one).
 * Owner: the lua_State. Thread: the worker's. All may raise. Must not know: what use.h does not.
 */
#ifndef MU_RUN_USE_INTERNAL_H
#define MU_RUN_USE_INTERNAL_H

#include <lua.h>
#include <stdbool.h>

#include "run/use.h"

#define MU_USE_META "muster.use" /* of what stands for steps in a list: { steps = copies, params = defaults } */

/* Push a copy of the table at index; of anything else an empty table. */
void mu_use_push_copy(lua_State *L, int index);
/* Set what the table at `from` has in the one at `to`; what is there already stays, unless over. */
void mu_use_merge(lua_State *L, int to, int from, bool over);
int mu_use_raw_field(lua_State *L, int index, const char *name);
/* Set the table on top as the parameters of the step at index. */
void mu_use_set_params(lua_State *L, int step, enum mu_use_params which);

#endif
