/* describe.h: reading a script's description: one mistake is told, the first, with file and line; internal to run/.
 *
 * Purpose: describe.c reads the script's own fields, describe_steps.c steps, describe_thresholds.c their
 *   thresholds, describe_read.c single values.
 * Owner: a reading borrows all; what is read belongs to the script.
 * Thread: the worker's. Must not know: tasks.
 */
#ifndef MU_RUN_DESCRIBE_H
#define MU_RUN_DESCRIBE_H

#include "run/script_lua.h"

struct mu_reading {
    struct mu_script *s;
    const char *source;
    struct mu_err *err;
    int failed; /* a code */
};

/* Each reads a field of the table on top of the stack, and leaves the stack as it was. */

/* word: the field where the mistake is, to find its line; NULL: none. The first call counts. */
void mu_reading_complain(struct mu_reading *r, const char *word, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Every field of the table must be in known (space separated). */
void mu_reading_check_fields(lua_State *L, struct mu_reading *r, const char *what, const char *known);
char *mu_reading_copy(struct mu_reading *r, const char *text);
uint64_t mu_reading_duration(lua_State *L, struct mu_reading *r, const char *field, uint64_t otherwise);
bool mu_reading_function(lua_State *L, struct mu_reading *r, const char *field); /* whether there is one */
bool mu_reading_flag(lua_State *L, struct mu_reading *r, const char *field);     /* true, or false when not given */
unsigned mu_reading_whole(lua_State *L, struct mu_reading *r, const char *field, unsigned most, unsigned otherwise);

/* The line of source where word stands as a field's name, for `word =` or `["word"] =`; 0 when there is none. */
int mu_reading_line(const char *source, const char *word);

/* describe.c: the value on top as the default of a parameter; p has its name. */
void mu_reading_param(lua_State *L, struct mu_reading *r, struct mu_param *p);
/* describe_steps.c: the steps, into r->s; the script's own confirm is there already. */
void mu_reading_steps(lua_State *L, struct mu_reading *r);
/* describe_thresholds.c: those of the step on top, into *st, which is the script's last step. */
void mu_reading_thresholds(lua_State *L, struct mu_reading *r, struct mu_step *st);
bool mu_reading_valid_name(const char *name);
#define MU_CONFIRM_MAX 10

#endif
