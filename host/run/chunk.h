/* chunk.h: what a function was compiled to, read from Lua's own dump of it, for finding mistakes without running it.
 *
 * Purpose: instructions, constants, upvalues and lines of a function and those inside it. The dump is made by the same
 *   library in the same process and its header is compared byte by byte: with a Lua of another format there is no chunk.
 * Owner: the caller; strings and instructions are copies, freed with the chunk.
 * Thread: the worker's.
 * Must not know: what is a mistake.
 */
#ifndef MU_RUN_CHUNK_H
#define MU_RUN_CHUNK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct mu_proto {
    uint32_t *code;
    unsigned *lines;  /* an instruction each */
    size_t n_code;
    char **strings;   /* a constant each; NULL: it is none that is text */
    size_t n_constants;
    struct {
        bool in_stack; /* a local of the function around it, else one of that one's upvalues */
        uint8_t index;
    } *upvalues;
    size_t n_upvalues;
    struct mu_proto *inner;
    size_t n_inner;
    unsigned line, last_line;
};

/* The function on top of the stack, which stays. MU_ESTATE when this Lua's dumps are of another form. Raises nothing. */
int mu_chunk_read(lua_State *L, struct mu_proto **out, struct mu_err *err);
void mu_chunk_free(struct mu_proto *p); /* NULL allowed */

/* Instructions, as of Lua 5.4. Only those that somebody asks for have a name. */
enum mu_op {
    MU_OP_MOVE = 0,
    MU_OP_LOADK = 3,
    MU_OP_SETUPVAL = 10,
    MU_OP_GETTABUP = 11,
    MU_OP_SETTABUP = 15,
    MU_OP_SETTABLE = 16,
    MU_OP_SETI = 17,
    MU_OP_SETFIELD = 18,
    MU_OP_NEWTABLE = 19,
    MU_OP_SELF = 20,
    MU_OP_MMBIN = 46,
    MU_OP_MMBINK = 48,
    MU_OP_CLOSE = 54,
    MU_OP_JMP = 56,
    MU_OP_TEST = 66,
    MU_OP_TAILCALL = 69,
    MU_OP_RETURN = 70,
    MU_OP_RETURN0 = 71,
    MU_OP_RETURN1 = 72,
    MU_OP_FORLOOP = 73,
    MU_OP_TFORLOOP = 77,
    MU_OP_SETLIST = 78,
    MU_OP_CLOSURE = 79,
    MU_OP_EXTRAARG = 82
};
/* The parts of an instruction. */
static inline unsigned mu_op(uint32_t i) { return i & 0x7f; }         /* one of enum mu_op */
static inline unsigned mu_op_a(uint32_t i) { return i >> 7 & 0xff; }  /* its operands */
static inline unsigned mu_op_b(uint32_t i) { return i >> 16 & 0xff; } /* the second */
static inline unsigned mu_op_c(uint32_t i) { return i >> 24; }        /* the third */
static inline uint32_t mu_op_bx(uint32_t i) { return i >> 15; }       /* second and third as one, of MU_OP_LOADK */
static inline bool mu_op_k(uint32_t i) { return i >> 15 & 1; }        /* the third is a constant, not a register */
static inline long mu_op_jump(uint32_t i) { return (long)(i >> 7) - 0xffffff; } /* of MU_OP_JMP, from the next one */

#endif
