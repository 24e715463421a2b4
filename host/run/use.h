/* use.h: steps that a script takes from another one (muster.use), as steps of its own.
 *
 * Purpose: what muster.use returns stands in a list of steps; when the description is whole, the steps are put in its
 *   place, copies with their own names, thresholds and parameters, and the parameters become the using script's.
 * Owner: the lua_State. Thread: the worker's. All functions may raise.
 * Must not know: how scripts are found.
 */
#ifndef MU_RUN_USE_H
#define MU_RUN_USE_H

#include <lua.h>

/* The description of a used script, from the file at path, is on top; options is the index of a table, or of nil. Replace it
 * by what stands for its steps in a list. While a script is being loaded the description is checked, as that of a script
 * that is run by itself. */
void mu_use_take(lua_State *L, const char *path, int options);
/* The description on top, of the script at path, is replaced by one whose steps are all its own, where it uses others. */
void mu_use_flatten(lua_State *L, const char *path);
/* Push the table of a step's own parameters, of the step on top: which = MU_USE_WEAK those that hold where the using script
 * declares no such parameter, MU_USE_OWN those that hold in any case; nil: none. */
enum mu_use_params { MU_USE_WEAK, MU_USE_OWN };
void mu_use_push_params(lua_State *L, enum mu_use_params which);

#endif
