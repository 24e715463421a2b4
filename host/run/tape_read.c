/* Transcripts: reading, and finding the answer to a question. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/tape_internal.h"

#define SHOWN 5 /* commands named in a message */

/* ---- values ---- */

static void copy_text(char *to, size_t size, const json_t *from)
{
    const char *text = json_string_value(from);
    snprintf(to, size, "%s", text ? text : "");
}

/* NAME, or NAME_base64. False when it is neither text. */
bool mu_tape_get_bytes(const json_t *o, const char *name, struct mu_buf *out)
{
    char key[32];
    const json_t *text = json_object_get(o, name);
    snprintf(key, sizeof key, "%s_base64", name);
    const json_t *base64 = json_object_get(o, key);
    if (text) {
        mu_buf_add(out, json_string_value(text), json_string_length(text));
        return json_is_string(text) && !out->failed;
    }
    if (!base64)
        return true;
    size_t len = json_string_length(base64);
    if (!json_is_string(base64) || len % 4 || mu_buf_reserve(out, len))
        return false;
    const char *s = json_string_value(base64);
    int n = EVP_DecodeBlock((unsigned char *)out->data, (const unsigned char *)s, (int)len);
    for (size_t i = len; i > 0 && s[i - 1] == '='; i--)
        n--; /* padding is counted as bytes */
    if (n < 0)
        return false;
    out->len = (size_t)n;
    out->data[n] = '\0';
    return true;
}

bool mu_tape_get_error(const json_t *e, struct mu_err *out)
{
    const char *name = json_string_value(json_object_get(e, "code"));
    const char *message = json_string_value(json_object_get(e, "message"));
    const char *cause = json_string_value(json_object_get(e, "cause"));
    if (!e)
        return true;
    for (int code = -1; name && code > -100; code--)
        if (!strcmp(mu_code_name(code), name)) {
            mu_err_set(out, code, "%s", message ? message : name);
            if (cause)
                mu_err_cause(out, "%s", cause);
            return true;
        }
    return false;
}

static bool get_answer(const json_t *o, struct mu_exec_result *r)
{
    const json_t *status = json_object_get(o, "exit_status"), *signal = json_object_get(o, "signal");
    bool signalled = json_is_string(signal), failed = json_object_get(o, "error") != NULL;
    if ((status && !json_is_integer(status)) || (signal && !signalled && !json_is_null(signal)))
        return false;
    copy_text(r->signal, sizeof r->signal, signal);
    r->exit_status = status ? (int)json_integer_value(status) : signalled || failed ? -1 : 0;
    return json_is_object(o) && mu_tape_get_bytes(o, "stdout", &r->out) && mu_tape_get_bytes(o, "stderr", &r->err) &&
           mu_tape_get_error(json_object_get(o, "error"), &r->error);
}

/* ---- lines ---- */

static bool get_entry(const json_t *line, struct mu_tape_entry *e)
{
    struct mu_buf command = MU_BUF_INIT;
    const json_t *glob = json_object_get(line, "glob"), *answers = json_object_get(line, "answers"),
                 *env = json_object_get(line, "env");
    if (json_object_get(line, "http") || json_object_get(line, "http_glob"))
        return (e->web = mu_tape_web_read(line)) != NULL;
    if (json_object_get(line, "connect"))
        return mu_tape_get_error(json_object_get(line, "error"), &e->connect);
    size_t n = glob ? json_array_size(answers) : 1;
    if (!n || !(e->answers = calloc(n, sizeof *e->answers)))
        return false;
    e->n_answers = n;
    if (glob) {
        e->glob = json_is_string(glob) ? strdup(json_string_value(glob)) : NULL;
        for (size_t i = 0; i < n; i++)
            if (!get_answer(json_array_get(answers, i), &e->answers[i]))
                return false;
        return e->glob != NULL;
    }
    bool ok = mu_tape_get_bytes(line, "command", &command) && command.len && !memchr(command.data, 0, command.len);
    e->command = ok ? mu_buf_take(&command) : NULL;
    mu_buf_free(&command);
    const char *order = json_string_value(json_object_get(line, "order"));
    if (order && !(e->order = strdup(order)))
        return false;
    e->here = json_is_true(json_object_get(line, "here"));
    copy_text(e->input, sizeof e->input, json_object_get(line, "stdin"));
    e->env = env ? json_deep_copy(env) : NULL;
    return e->command && get_answer(line, &e->answers[0]);
}

static bool get_line(struct mu_tape *tape, const char *text, size_t len, size_t number)
{
    json_t *line = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    bool ok = json_is_object(line);
    if (number == 1) {
        const char *what = json_string_value(json_object_get(line, "muster"));
        ok = ok && what && !strcmp(what, "transcript") && json_integer_value(json_object_get(line, "version")) == 1;
        copy_text(tape->salt, sizeof tape->salt, json_object_get(line, "salt"));
    } else if (ok) {
        struct mu_tape_entry *more = realloc(tape->entries, (tape->n + 1) * sizeof *more);
        if ((ok = more != NULL)) {
            tape->entries = more;
            more[tape->n] = (struct mu_tape_entry){0};
            ok = get_entry(line, &more[tape->n++]);
        }
    }
    json_decref(line);
    return ok;
}

void mu_tape_read(struct mu_tape *tape)
{
    char *text = NULL;
    size_t room = 0, number = 0;
    ssize_t len;
    if (tape->read)
        return;
    tape->read = true;
    FILE *file = fopen(tape->path, "re");
    if (!file) {
        mu_err_set(&tape->problem, MU_ENOENT, "cannot read the transcript %s", tape->path);
        return;
    }
    while (!tape->problem.code && (len = getline(&text, &room, file)) > 0)
        if (!get_line(tape, text, (size_t)len, ++number))
            mu_err_set(&tape->problem, MU_EINVAL, "%s:%zu: %s", tape->path, number,
                       number == 1 ? "is no transcript of muster run --record" : "is no line of a transcript");
    if (!tape->problem.code && !number)
        mu_err_set(&tape->problem, MU_EINVAL, "%s: is empty, and no transcript", tape->path);
    mu_err_cause(&tape->problem, "the transcript cannot be used");
    fclose(file);
    free(text);
}

void mu_tape_clear(struct mu_tape *tape)
{
    for (size_t i = 0; i < tape->n; i++) {
        struct mu_tape_entry *e = &tape->entries[i];
        for (size_t j = 0; j < e->n_answers; j++) {
            mu_buf_free(&e->answers[j].out);
            mu_buf_free(&e->answers[j].err);
        }
        json_decref(e->env);
        mu_tape_web_entry_free(e->web);
        free(e->order);
        free(e->answers);
        free(e->command);
        free(e->glob);
    }
    free(tape->entries);
    tape->entries = NULL;
    tape->n = 0;
}

/* ---- finding ---- */

bool mu_tape_like(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

struct asked {
    const struct mu_tape_question *q;
    char input[MU_TAPE_HASH];
    json_t *env;
};

static bool same_input(const struct mu_tape_entry *e, const struct asked *a)
{
    return !strcmp(e->input, a->input) && (e->env || a->env ? json_equal(e->env, a->env) : 1);
}

/* Why there is none. */
static void explain(const struct mu_tape *tape, const struct asked *a, struct mu_err *err)
{
    const struct mu_tape_question *q = a->q;
    size_t used = 0, other = 0, names = 0;
    struct mu_buf all = MU_BUF_INIT;
    for (size_t i = 0; i < tape->n; i++) {
        const struct mu_tape_entry *e = &tape->entries[i];
        bool same = e->command && e->here == q->here && !strcmp(e->command, q->command);
        used += same && same_input(e, a);
        other += same && !same_input(e, a);
        const char *name = e->glob ? e->glob : e->command;
        if (name && names++ < SHOWN)
            mu_buf_addf(&all, "%s`%.60s`", names > 1 ? ", " : "", name);
    }
    if (names > SHOWN)
        mu_buf_addf(&all, " and %zu more", names - SHOWN);
    const char *where = q->here ? " on this machine" : "";
    if (used)
        mu_err_set(err, MU_ENOENT, "`%.120s`%s is in the transcript %zu time%s, and was asked once more", q->command, where, used,
                   used == 1 ? "" : "s");
    else if (other)
        mu_err_set(err, MU_ENOENT, "`%.120s`%s is in the transcript with other standard input or environment", q->command, where);
    else
        mu_err_set(err, MU_ENOENT, "nothing is known of `%.120s`%s; there are answers to: %s", q->command, where,
                   names ? mu_buf_cstr(&all) : "nothing");
    mu_err_cause(err, "a command that is not in the transcript");
    mu_buf_free(&all);
}

static const struct mu_exec_result *find(struct mu_tape *tape, const struct asked *a, const char **order)
{
    *order = NULL;
    for (size_t i = 0; i < tape->n; i++) {
        struct mu_tape_entry *e = &tape->entries[i];
        if (e->command && !e->used && e->here == a->q->here && !strcmp(e->command, a->q->command) && same_input(e, a)) {
            e->used = 1;
            *order = e->order;
            return &e->answers[0];
        }
    }
    for (size_t i = 0; i < tape->n; i++) {
        struct mu_tape_entry *e = &tape->entries[i];
        if (e->glob && mu_tape_like(e->glob, a->q->command))
            return &e->answers[e->used + 1 < e->n_answers ? e->used++ : e->n_answers - 1];
    }
    return NULL;
}

const struct mu_exec_result *mu_tapes_answer(struct mu_tapes *t, size_t i, const struct mu_tape_question *q,
                                             const char **order, struct mu_err *err)
{
    struct mu_tape *tape = mu_tape_of(t, i);
    struct asked a = {.q = q};
    const struct mu_exec_result *answer = NULL;
    mu_tape_read(tape);
    if (tape->problem.code) {
        *err = tape->problem;
        return NULL;
    }
    if (q->input_len)
        mu_tape_hash(tape, q->input, q->input_len, a.input);
    a.env = mu_tape_hash_env(tape, q->env);
    answer = find(tape, &a, order);
    if (!answer)
        explain(tape, &a, err);
    json_decref(a.env);
    return answer;
}

void mu_tapes_connect(struct mu_tapes *t, size_t i, struct mu_err *result)
{
    struct mu_tape *tape = &t->tapes[i];
    mu_tape_read(tape);
    mu_err_clear(result);
    for (size_t j = 0; j < tape->n; j++) {
        struct mu_tape_entry *e = &tape->entries[j];
        if (e->command || e->glob || e->web || e->used)
            continue;
        e->used = 1;
        *result = e->connect;
        return;
    }
}
