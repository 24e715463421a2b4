/* Transcripts: writing. A line is written whole as soon as its command has ended; what cannot be written is remembered. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/log.h"
#include "run/tape_internal.h"

/* Append the value, which is taken, as a line. */
static int append(struct mu_tape *tape, json_t *line, int flags, struct mu_err *err)
{
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (!text)
        return mu_err_set(err, MU_ENOMEM, "transcript %s: out of memory", tape->path);
    int fd = open(tape->path, O_WRONLY | O_APPEND | O_CLOEXEC | flags, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "a");
    int sys = file ? 0 : errno;
    if (fd >= 0 && !file)
        close(fd);
    if (file && (fputs(text, file) == EOF || putc('\n', file) == EOF))
        sys = errno;
    if (file && fclose(file) && !sys)
        sys = errno;
    free(text);
    return sys ? mu_err_sys(err, MU_EIO, sys, "cannot write the transcript %s", tape->path) : 0;
}

int mu_tape_begin(struct mu_tape *tape, const char *script, const char *server, struct mu_err *err)
{
    unsigned char salt[MU_TAPE_SALT];
    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt)
        return mu_err_sys(err, MU_EIO, errno, "no random bytes for transcript %s", tape->path);
    for (size_t i = 0; i < sizeof salt; i++) {
        tape->salt[2 * i] = "0123456789abcdef"[salt[i] >> 4];
        tape->salt[2 * i + 1] = "0123456789abcdef"[salt[i] & 15];
    }
    /* Not over a file that others may read: it keeps its mode. */
    if (unlink(tape->path) && errno != ENOENT)
        return mu_err_sys(err, MU_EIO, errno, "cannot begin the transcript %s anew", tape->path);
    json_t *head = json_pack("{s:s,s:i,s:s,s:s,s:s}", "muster", "transcript", "version", 1, "script", script, "server",
                             server, "salt", tape->salt);
    return append(tape, head, O_CREAT | O_EXCL, err);
}

void mu_tape_set_bytes(json_t *line, const char *name, const struct mu_buf *b)
{
    char key[32] = "";
    if (!b->len)
        return;
    json_t *text = json_stringn(b->data, b->len); /* NULL: it is no UTF-8 */
    if (text) {
        json_object_set_new(line, name, text);
        return;
    }
    unsigned char *base64 = malloc(4 * ((b->len + 2) / 3) + 1);
    if (!base64)
        return;
    EVP_EncodeBlock(base64, (const unsigned char *)b->data, (int)b->len);
    strcat(strcpy(key, name), "_base64");
    json_object_set_new(line, key, json_string((char *)base64));
    free(base64);
}

/* What a server said may be in it. */
json_t *mu_tape_text(const char *s)
{
    struct mu_buf escaped = MU_BUF_INIT;
    json_t *text = json_string(s);
    if (text)
        return text;
    mu_buf_add_escaped(&escaped, s, strlen(s));
    text = json_string(mu_buf_cstr(&escaped));
    mu_buf_free(&escaped);
    return text;
}

static void set_error(json_t *line, const struct mu_err *e)
{
    if (!e->code)
        return;
    json_t *error = json_object();
    json_object_set_new(error, "code", json_string(mu_code_name(e->code)));
    json_object_set_new(error, "message", mu_tape_text(e->msg));
    json_object_set_new(error, "cause", mu_tape_text(e->cause));
    json_object_set_new(line, "error", error);
}

void mu_tape_note(struct mu_tape *tape, json_t *line)
{
    if (tape->problem.code) {
        json_decref(line);
        return;
    }
    if (append(tape, line, 0, &tape->problem)) /* said once; the rest of this server would be a torn story */
        mu_log(MU_ERROR, "%s; it ends here.", tape->problem.msg);
}

void mu_tape_ready(struct mu_tapes *t, size_t i)
{
    struct mu_tape *tape = mu_tape_of(t, i);
    if (t->replay)
        mu_tape_read(tape);
    else if (i == t->n && !tape->salt[0] && mu_tape_begin(tape, t->script, "", &tape->problem)) /* begun when there is something for it */
        mu_log(MU_ERROR, "%s", tape->problem.msg);
}

void mu_tapes_note(struct mu_tapes *t, size_t i, const struct mu_tape_question *q, const struct mu_exec_result *answer)
{
    struct mu_tape *tape = &t->tapes[i];
    char hash[MU_TAPE_HASH];
    mu_tape_ready(t, i);
    struct mu_buf command = {.data = (char *)q->command, .len = strlen(q->command)};
    json_t *line = json_object(), *env = mu_tape_hash_env(tape, q->env);
    mu_tape_set_bytes(line, "command", &command);
    if (q->here)
        json_object_set_new(line, "here", json_true());
    if (q->input_len) {
        mu_tape_hash(tape, q->input, q->input_len, hash);
        json_object_set_new(line, "stdin", json_string(hash));
    }
    if (env)
        json_object_set_new(line, "env", env);
    if (answer->signal[0])
        json_object_set_new(line, "signal", json_string(answer->signal));
    else if (!answer->error.code)
        json_object_set_new(line, "exit_status", json_integer(answer->exit_status));
    mu_tape_set_bytes(line, "stdout", &answer->out);
    mu_tape_set_bytes(line, "stderr", &answer->err);
    if (q->order)
        json_object_set_new(line, "order", json_string(q->order));
    set_error(line, &answer->error);
    mu_tape_note(tape, line);
}

void mu_tapes_note_connect(struct mu_tapes *t, size_t i, const char *address, const struct mu_err *result)
{
    json_t *line = json_object();
    json_object_set_new(line, "connect", mu_tape_text(address));
    set_error(line, result);
    mu_tape_note(&t->tapes[i], line);
}
