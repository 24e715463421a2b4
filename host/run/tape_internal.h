/* tape_internal.h: transcripts from inside: what tape.c, tape_write.c and tape_read.c share.
 * Owner: tape.c makes and frees. Thread: as tape.h. Must not know: what tape.h hides.
 */
#ifndef MU_RUN_TAPE_INTERNAL_H
#define MU_RUN_TAPE_INTERNAL_H

#include <jansson.h>

#include "core/buf.h"
#include "run/tape.h"

#define MU_TAPE_HASH 65 /* hex and a NUL */
#define MU_TAPE_SALT 16

struct mu_tape_entry {
    char *command, *glob;  /* one of them, or neither: a connection */
    bool here;
    char input[MU_TAPE_HASH]; /* "": none */
    json_t *env;              /* name → hash, or NULL */
    struct mu_err connect;
    struct mu_exec_result *answers;
    struct mu_tape_web_entry *web; /* a request instead (tape_web.c) */
    char *order;              /* of lines, a letter each: o stdout, e stderr; NULL: not known */
    size_t n_answers, used;   /* answers given; of a glob the last one is given again and again */
};

struct mu_tape {
    char *path;
    char salt[2 * MU_TAPE_SALT + 1];
    struct mu_err problem; /* of writing it, or reading */
    bool read;
    unsigned n_seeds; /* given */
    struct mu_tape_entry *entries;
    size_t n;
};

struct mu_tapes {
    bool replay;
    char *script;          /* as it is in heads; NULL in a replay */
    struct mu_tape *tapes; /* one each of n servers, and one more: of what is done for none of them */
    size_t n;
};

/* HMAC of bytes, keyed with the salt, in hex. */
void mu_tape_hash(const struct mu_tape *tape, const void *bytes, size_t len, char out[MU_TAPE_HASH]);
/* {"NAME": hash} of "NAME=value" strings; NULL when there are none, or no memory. */
json_t *mu_tape_hash_env(const struct mu_tape *tape, const char *const *env);
/* The server's; a transcript of one server that somebody wrote by hand, or for a test, may answer for the fleet, too. */
struct mu_tape *mu_tape_of(struct mu_tapes *t, size_t i);
/* tape_write.c: a new file with its head, only for this user to read. */
int mu_tape_begin(struct mu_tape *tape, const char *script, const char *server, struct mu_err *err);
/* Append a line, which is taken; what cannot be written is remembered, and said once. */
void mu_tape_note(struct mu_tape *tape, json_t *line);
/* The tape has its salt: written, or read. */
void mu_tape_ready(struct mu_tapes *t, size_t i);
/* name, or name_base64 for bytes that are no UTF-8; nothing when there are none. */
void mu_tape_set_bytes(json_t *line, const char *name, const struct mu_buf *b);
json_t *mu_tape_text(const char *s); /* what a server said may be in it */
bool mu_tape_get_bytes(const json_t *o, const char *name, struct mu_buf *out); /* false: it is neither */
bool mu_tape_get_error(const json_t *e, struct mu_err *out);                   /* NULL: there is none */
/* tape_web.c: NULL when it is none, or no memory. */
struct mu_tape_web_entry *mu_tape_web_read(const json_t *line);
void mu_tape_web_entry_free(struct mu_tape_web_entry *e); /* NULL allowed */
/* tape_read.c: the file into entries, once; why not is tape->problem. */
void mu_tape_read(struct mu_tape *tape);
void mu_tape_clear(struct mu_tape *tape);
/* A pattern in which * is any text, and every other character itself. */
bool mu_tape_like(const char *pattern, const char *text);

#endif
