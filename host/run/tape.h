/* tape.h: transcripts of what servers were asked and answered: written by --record, answered from by --replay.
 *
 * A transcript is a server's and a script's, a file DIR/SCRIPT.SERVER.jsonl of JSON lines. The first is its head:
 *   {"muster": "transcript", "version": 1, "script": "cpu", "server": "srv01", "salt": "…"}
 * and each other one of
 *   {"connect": "10.0.0.1", "error": ERROR}                         a connection was made, or (error) not
 *   {"command": "nproc", "here": true, "stdin": HASH, "env": {"NAME": HASH}, ANSWER}    in the order of their ends
 *   {"glob": "sysbench cpu*", "answers": [{ANSWER} …]}              written by muster.testing: any command like this
 * where ANSWER is "exit_status": 0, "signal": "KILL", "stdout": TEXT, "stderr": TEXT, "error": ERROR, and ERROR is
 * {"code": "MU_ETIMEDOUT", "message": …, "cause": …}. What before_all and after_all asked this machine is in a file of its
 * own, DIR/SCRIPT%fleet.jsonl, whose server is "".
 * A file is a "command" named as in messages, "read_file /etc/x", with its text as "stdout", or, sent, the hash of its checksum
 * as "stdin". HTTP requests have lines of their own (tape_web.h). "order": "oeo" tells in which order lines of stdout and stderr came to
 * an on_line. What is not there was not said. Bytes that are no UTF-8 are
 * "stdout_base64" or "stderr_base64" instead. What was sent on standard input or in the environment is there as a hash
 * alone, HMAC-SHA-256 with the file's salt. Commands, and what they print, are in clear.
 *
 * Purpose: the file, and the search for an answer; replay.c ties it to calls.
 * Owner: the run owns its tapes; an answer lives as long as they do.
 * Thread: making and freeing: the main one's; noting and answering: the worker's that has the server now.
 * Must not know: Lua, how a command is run.
 */
#ifndef MU_RUN_TAPE_H
#define MU_RUN_TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/exec.h"
#include "inventory/inventory.h"

struct mu_tapes;

/* Begin a file for each server, anew where one is there, in dir, which is made when it is missing. */
int mu_tapes_record(struct mu_tapes **out, const char *dir, const char *script_path, struct mu_server *const *servers,
                    size_t n, struct mu_err *err);
/* Each server has its file in dir; it is read when its first answer is asked for. */
int mu_tapes_replay(struct mu_tapes **out, const char *dir, const char *script_path, struct mu_server *const *servers,
                    size_t n, struct mu_err *err);
void mu_tapes_free(struct mu_tapes *t); /* NULL allowed */
bool mu_tapes_records(const struct mu_tapes *t); /* NULL: neither */
bool mu_tapes_replays(const struct mu_tapes *t);
/* After a run: why a file is not whole; NULL: they all are. */
const char *mu_tapes_problem(const struct mu_tapes *t);

/* The ids of the servers that dir has transcripts of this script for, by name. fn returns 0 to go on. */
int mu_tapes_servers(const char *dir, const char *script_path, int (*fn)(void *arg, const char *id), void *arg,
                     struct mu_err *err);

struct mu_tape_question {
    const char *command;
    const char *input;
    size_t input_len;
    const char *const *env; /* "NAME=value", NULL-terminated, or NULL */
    bool here;              /* of this machine */
    const char *order;      /* for a note: of the lines handed over, 'o' and 'e' in turn; NULL: not known */
};

/* i: the server's place in the list given; behind the last: of what is done for no server. */
void mu_tapes_note(struct mu_tapes *t, size_t i, const struct mu_tape_question *q, const struct mu_exec_result *answer);
void mu_tapes_note_connect(struct mu_tapes *t, size_t i, const char *address, const struct mu_err *result);
/* A number for the next task of the server's that wants random ones: the same in the run that is recorded and in its replays.
 * False: neither is at work. */
bool mu_tapes_seed(struct mu_tapes *t, size_t i, uint64_t *seed);
/* The next answer to the question; NULL, and err, when there is none. */
const struct mu_exec_result *mu_tapes_answer(struct mu_tapes *t, size_t i, const struct mu_tape_question *q,
                                             const char **order, struct mu_err *err);
/* How the next connection goes: code 0: well, also when the transcript has no more of them. */
void mu_tapes_connect(struct mu_tapes *t, size_t i, struct mu_err *result);

#endif
