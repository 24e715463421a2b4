/* Whatever bytes come, they are read or refused in words: cut off anywhere, changed at random, or made up to claim too much. The
 * sanitizers watch; each input lies in memory of exactly its size, so that a byte too far is seen. */
#include "wire_test.h"

#include <msgpack.h>

#define N_MUTATIONS 40000

/* ---- reading as anything ---- */

enum form { TASK, EVENT, WORD, LETTER, N_FORMS };

/* Everything that was read is gone through once: written anew, it must be readable again. */
static void retell(const struct mu_wire_event *e)
{
    struct mu_buf notes = MU_BUF_INIT, out = MU_BUF_INIT;
    struct mu_wire_event again;
    size_t at = 0;
    struct mu_err err = {0};
    if (e->line) {
        mu_wire_add_line(&out, &(const struct mu_record){e->line->level, e->line->wall_ms, mu_buf_cstr(&e->line->msg),
                                                         e->line->msg.len, e->line->fields, e->line->n_fields});
    } else if (e->kind == MU_EVENT_RESULT) {
        for (struct mu_list *l = e->messages.next; l != &e->messages; l = l->next) {
            const struct mu_message *m = mu_list_entry(l, struct mu_wire_note, link)->m;
            mu_wire_add_note(&notes, m, m->task, m->peer);
        }
        mu_wire_add_result(&out, e, &notes);
    } else {
        mu_wire_add_event(&out, e);
    }
    assert_false(out.failed);
    if (mu_wire_read_event(&again, out.data, out.len, &at, &err))
        fail_msg("what was read cannot be told: %s", err.msg);
    mu_wire_event_clear(&again);
    mu_buf_free(&notes);
    mu_buf_free(&out);
}

static void walk_task(const struct mu_wire_task *t)
{
    size_t n = strlen(t->run_id) + (t->claim ? strlen(t->claim) : 0) + (t->past_why ? strlen(t->past_why) : 0);
    if (t->verdict)
        for (size_t i = 0; i < t->verdict->n_failures; i++)
            n += strlen(t->verdict->failures[i].cause) + strlen(t->verdict->failures[i].where);
    for (size_t i = 0; t->repeat && i < t->repeat->n; i++)
        n += t->repeat->steps[i];
    for (size_t i = 0; t->servers && i < mu_inventory_count(t->servers); i++)
        n += strlen(mu_inventory_at(t->servers, i)->id);
    if (t->past)
        mu_past_find(t->past, "b", "cpu", "score", &n);
    assert_true(t->kind >= MU_TASK_BEFORE_ALL || t->servers);
    assert_int_not_equal(n, SIZE_MAX);
}

/* 0, or what the refusal says is a line. */
static int read_as(enum form form, const void *bytes, size_t len)
{
    void *exact = malloc(len ? len : 1);
    struct mu_err err = {0};
    struct mu_wire_task t;
    struct mu_wire_event e;
    struct mu_wire_word w;
    struct mu_wire_letter l;
    size_t at = 0;
    int rc = 0;
    memcpy(exact, bytes, len);
    if (form == TASK && !(rc = mu_wire_read_task(&t, exact, len, &err))) {
        walk_task(&t);
        mu_wire_task_clear(&t);
    }
    if (form == LETTER && !(rc = mu_wire_read_letter(&l, exact, len, &err)))
        for (size_t i = 0; i < l.len; i++)
            rc |= (((const char *)l.bytes)[i] & 0); /* it is there */
    while (form == EVENT && !(rc = mu_wire_read_event(&e, exact, len, &at, &err))) {
        retell(&e);
        mu_wire_event_clear(&e);
    }
    while (form == WORD && !(rc = mu_wire_read_word(&w, exact, len, &at, &err)))
        mu_wire_word_clear(&w);
    if (rc == MU_ENOENT) /* all were read */
        rc = 0;
    if (rc) {
        assert_int_equal(rc, MU_EINVAL);
        assert_int_equal(err.code, MU_EINVAL);
        assert_true(strlen(err.msg) > 5);
        assert_null(strchr(err.msg, '\n'));
    }
    free(exact);
    return rc;
}

/* ---- what is tried ---- */

static void make(enum form form, struct mu_buf *out)
{
    struct world w;
    static char text[] = "text";
    switch (form) {
    case TASK:
        make_world(&w);
        add_task(out, &w, MU_TASK_PAIR);
        free_world(&w);
        break;
    case EVENT:
        add_result(out, 20);
        add_line(out);
        mu_wire_add_event(out, &(const struct mu_wire_event){.kind = MU_EVENT_ACQUIRE, .text = text, .limit = 3});
        break;
    case WORD:
        mu_wire_add_word(out, &(const struct mu_wire_word){MU_WORD_HAIL, 1, 2, 3, 4, -5, text});
        mu_wire_add_word(out, &(const struct mu_wire_word){MU_WORD_ANSWER, 1, 2, 3, 70000, -5, NULL});
        break;
    case LETTER:
        mu_wire_add_letter(out, &(const struct mu_wire_letter){300, true, text, 4});
        break;
    case N_FORMS:
        break;
    }
    assert_false(out->failed);
}

/* Where one event or word ends and the next begins, the bytes before are whole. */
static bool is_boundary(enum form form, const struct mu_buf *b, size_t len)
{
    size_t at = 0;
    struct mu_wire_event e;
    struct mu_wire_word w;
    while (at < len) {
        if (form == EVENT && !mu_wire_read_event(&e, b->data, b->len, &at, NULL))
            mu_wire_event_clear(&e);
        else if (form == WORD && !mu_wire_read_word(&w, b->data, b->len, &at, NULL))
            mu_wire_word_clear(&w);
        else
            return false;
    }
    return at == len;
}

static void every_prefix_is_refused(void **state)
{
    (void)state;
    for (enum form form = TASK; form < N_FORMS; form++) {
        struct mu_buf b = MU_BUF_INIT;
        make(form, &b);
        assert_int_equal(read_as(form, b.data, b.len), 0);
        for (size_t len = 0; len < b.len; len++) {
            bool whole = (form == EVENT || form == WORD) && is_boundary(form, &b, len);
            assert_int_equal(read_as(form, b.data, len), whole ? 0 : MU_EINVAL);
        }
        mu_buf_free(&b);
    }
}

/* The bytes of one kind are no message of another, and trailing ones are no part of it. */
static void kinds_are_not_mixed_up(void **state)
{
    (void)state;
    for (enum form is = TASK; is < N_FORMS; is++) {
        struct mu_buf b = MU_BUF_INIT;
        make(is, &b);
        for (enum form as = TASK; as < N_FORMS; as++)
            assert_int_equal(read_as(as, b.data, b.len), as == is ? 0 : MU_EINVAL);
        mu_buf_addc(&b, '\xc0');
        assert_int_equal(read_as(is, b.data, b.len), MU_EINVAL);
        mu_buf_free(&b);
    }
}

static uint64_t seed = 20261126;

static uint32_t chance(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % n);
}

/* Half of what is put in is the first byte of something. */
static char any_byte(void)
{
    static const unsigned char heads[] = {0x00, 0x7f, 0x90, 0x91, 0x9f, 0xa0, 0xa1, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc6,
                                          0xc7, 0xca, 0xcb, 0xcc, 0xcf, 0xd0, 0xd3, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xff};
    return (char)(chance(2) ? heads[chance(sizeof heads)] : chance(256));
}

/* Half of them change little, to get far. */
static void mutate(struct mu_buf *b)
{
    for (uint32_t i = chance(2) ? 1 : 2 + chance(4); i > 0; i--) {
        size_t at = b->len ? chance((uint32_t)b->len) : 0;
        switch (chance(4)) {
        case 0: /* one more */
            mu_buf_addc(b, 0);
            memmove(b->data + at + 1, b->data + at, b->len - 1 - at);
            b->data[at] = any_byte();
            break;
        case 1: /* one less */
            if (!b->len)
                break;
            memmove(b->data + at, b->data + at + 1, b->len - 1 - at);
            b->len--;
            break;
        default:
            if (b->len)
                b->data[at] = any_byte();
        }
    }
}

static void mutations_are_read_or_refused(void **state)
{
    (void)state;
    size_t n_read = 0, n_refused = 0;
    struct mu_buf originals[N_FORMS] = {{0}}, b = MU_BUF_INIT;
    for (enum form form = TASK; form < N_FORMS; form++)
        make(form, &originals[form]);
    for (size_t i = 0; i < N_MUTATIONS; i++) {
        enum form form = (enum form)(i % 8 < 3 ? TASK : i % 8 < 6 ? EVENT : i % 8 == 6 ? WORD : LETTER);
        mu_buf_clear(&b);
        mu_buf_add(&b, originals[form].data, originals[form].len);
        mutate(&b);
        if (read_as(form, b.data, b.len))
            n_refused++;
        else
            n_read++;
    }
    print_message("of %d mutations %zu were read, %zu refused\n", N_MUTATIONS, n_read, n_refused);
    assert_true(n_read > N_MUTATIONS / 50); /* else they would be too coarse to get past the first look */
    assert_true(n_refused > N_MUTATIONS / 4);
    for (enum form form = TASK; form < N_FORMS; form++)
        mu_buf_free(&originals[form]);
    mu_buf_free(&b);
}

/* ---- made up ---- */

static int add(void *out, const char *bytes, size_t n)
{
    mu_buf_add(out, bytes, n);
    return 0;
}

/* A message of so many elements, the form and the kind before all others. */
static void begin(msgpack_packer *pk, struct mu_buf *b, size_t n, int kind)
{
    msgpack_packer_init(pk, b, add);
    msgpack_pack_array(pk, n);
    msgpack_pack_int(pk, MU_WIRE_FORM);
    msgpack_pack_int(pk, kind);
}

/* A letter whose number is what `element` is the bytes of; what the refusal says, or "". */
static const char *letter_with(const char *element, size_t len)
{
    static struct mu_err err;
    struct mu_buf b = MU_BUF_INIT;
    struct mu_wire_letter l;
    msgpack_packer pk;
    begin(&pk, &b, 5, 67);
    mu_buf_add(&b, element, len);
    msgpack_pack_false(&pk);
    msgpack_pack_bin(&pk, 0);
    mu_err_clear(&err);
    int rc = mu_wire_read_letter(&l, b.data, b.len, &err);
    mu_buf_free(&b);
    assert_int_equal(rc, *err.msg ? MU_EINVAL : 0);
    return err.msg;
}

static void a_refusal_says_what_is_wrong(void **state)
{
    (void)state;
    assert_string_equal(letter_with("\x01", 1), "");
    assert_string_equal(letter_with("\x00", 1), "letter: letters are counted from 1");
    assert_string_equal(letter_with("\xff", 1), "letter: element 3 is no count");
    assert_string_equal(letter_with("\xa1x", 2), "letter: element 3 is no count");
    assert_string_equal(letter_with("\xc0", 1), "letter: element 3 is no count");
    assert_string_equal(letter_with("\xcc\x01", 2), "");
    assert_string_equal(letter_with("\x01\xc3", 2), "letter: something comes after its end");
    assert_string_equal(letter_with("", 0), "letter: it is cut off");
    assert_string_equal(letter_with("\xc1", 1), "letter: byte 4 begins nothing that is written there");
    assert_string_equal(letter_with("\x80", 1), "letter: byte 4 begins nothing that is written there");
    assert_string_equal(letter_with("\xdd\xff\xff\xff\xff", 5), "letter: it is cut off");
    assert_string_equal(letter_with("\xdb\xff\xff\xff\xff", 5), "letter: it is cut off");
}

static const char *read_event_of(const char *bytes, size_t len)
{
    static struct mu_err err;
    struct mu_wire_event e;
    size_t at = 0;
    mu_err_clear(&err);
    int rc = mu_wire_read_event(&e, bytes, len, &at, &err);
    assert_int_equal(rc, MU_EINVAL);
    assert_int_equal(at, len > 1 && !strstr(err.msg, "cut off") && !strstr(err.msg, "nested") ? at : 0);
    mu_wire_event_clear(&e); /* harmless */
    return err.msg;
}

static void forms_and_kinds_are_known_ones(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    assert_string_equal(read_event_of("\x92\x02\x01", 3), "event: it is of form 2, and this muster reads form 1");
    assert_string_equal(read_event_of("\x92\x01\x0a", 3), "event: it is of a kind that this muster does not know");
    assert_string_equal(read_event_of("\x92\x01\x00", 3), "event: it is of a kind that this muster does not know");
    assert_string_equal(read_event_of("\x92\x01\x01", 3), "event: element 3 is missing");
    assert_string_equal(read_event_of("\x91\x01", 2), "event: element 2 is missing");
    assert_string_equal(read_event_of("\x01", 1), "event: it is no array");
    for (int i = 0; i < 100000; i++)
        mu_buf_addc(&b, '\x91');
    mu_buf_addc(&b, '\x01');
    assert_string_equal(read_event_of(b.data, b.len), "event: it is nested too deep");
    mu_buf_free(&b);
}

/* The bytes of `from` become those of `to`, of the same length, in a result with one message of everything. */
static const char *result_with(const char *from, const char *to, size_t len)
{
    static char said[512];
    struct mu_buf b = MU_BUF_INIT;
    add_result(&b, 5);
    char *found = memmem(b.data, b.len, from, len);
    assert_non_null(found);
    memcpy(found, to, len);
    snprintf(said, sizeof said, "%s", read_event_of(b.data, b.len));
    mu_buf_free(&b);
    return said;
}

static void what_would_mislead_is_refused(void **state)
{
    (void)state;
    assert_string_equal(result_with("R650", "R6\0x", 4), "verdict: element 2 is no text"); /* a string of C ends there */
    assert_string_equal(result_with("CommandError", "Command\0rror", 12), "message of a task: element 12 is no text");
    assert_string_equal(result_with("\xcb\x3f\xf0\0\0\0\0\0\0", "\xcb\x7f\xf8\0\0\0\0\0\0", 9),
                        "list of samples: element 1 is no finite number");
    assert_string_equal(result_with("\xcb\x40\x24\0\0\0\0\0\0", "\xcb\xc0\x24\0\0\0\0\0\0", 9), /* 10 %, -10 % */
                        "threshold: an amount is negative");
}

static void a_result_has_one_end(void **state)
{
    (void)state;
    static const int kinds[][3] = {{0}, {MU_MSG_STARTED}, {MU_MSG_DONE, MU_MSG_DONE}, {MU_MSG_DONE, MU_MSG_STARTED},
                                   {MU_MSG_STARTED, MU_MSG_DONE, MU_MSG_RETRIED}};
    static const char *const said[] = {"event: its end is missing", "event: its end is missing",
                                       "event: something comes after its end", "event: something comes after its end",
                                       "event: something comes after its end"};
    for (size_t i = 0; i < 5; i++) {
        struct mu_buf notes = MU_BUF_INIT, b = MU_BUF_INIT;
        for (size_t j = 0; j < 3 && kinds[i][j]; j++) {
            struct mu_message *m = mu_message_new(kinds[i][j]);
            mu_wire_add_note(&notes, m, 1, 2);
            mu_message_free(&m->head);
        }
        mu_wire_add_result(&b, &(const struct mu_wire_event){.index = 1}, &notes);
        assert_string_equal(read_event_of(b.data, b.len), said[i]);
        mu_buf_free(&notes);
        mu_buf_free(&b);
    }
}

static const char *read_task_of(const char *servers, int kind)
{
    static struct mu_err err;
    struct mu_buf b = MU_BUF_INIT;
    struct mu_wire_task t;
    msgpack_packer pk;
    begin(&pk, &b, 12, 65);
    msgpack_pack_str_with_body(&pk, "r", 1);
    msgpack_pack_int(&pk, 0);
    msgpack_pack_int(&pk, 0);
    msgpack_pack_int(&pk, kind);
    if (servers)
        msgpack_pack_str_with_body(&pk, servers, strlen(servers));
    else
        msgpack_pack_nil(&pk);
    for (int i = 0; i < 5; i++)
        msgpack_pack_nil(&pk);
    mu_err_clear(&err);
    int rc = mu_wire_read_task(&t, b.data, b.len, &err);
    assert_int_equal(rc, *err.msg ? MU_EINVAL : 0);
    assert_int_equal(err.code, rc);
    mu_wire_task_clear(&t);
    mu_buf_free(&b);
    return err.msg;
}

static void a_task_is_about_its_servers(void **state)
{
    (void)state;
    assert_string_equal(read_task_of("[\"a\"]", MU_TASK_RUN), "");
    assert_string_equal(read_task_of("[\"a\", \"b\"]", MU_TASK_PAIR), "");
    assert_string_equal(read_task_of("[]", MU_TASK_RUN), "no servers in task");
    assert_string_equal(read_task_of("[\"a\", \"b\"]", MU_TASK_RUN), "task: it is not about one server");
    assert_string_equal(read_task_of("[\"a\"]", MU_TASK_PAIR), "task: it is not about two servers");
    assert_string_equal(read_task_of(NULL, MU_TASK_RUN), "task: its server is missing");
    assert_string_equal(read_task_of(NULL, MU_TASK_PAIR), "task: its server is missing");
    assert_string_equal(read_task_of(NULL, MU_TASK_BEFORE_ALL), "");
    assert_string_equal(read_task_of("[\"a\"]", MU_TASK_AGAIN), "task: which steps are meant is missing");
    assert_non_null(strstr(read_task_of("[\"a\", \"a\"]", MU_TASK_PAIR), "task: "));
    assert_non_null(strstr(read_task_of("[{\"id\": \"a\", \"port\": 70000}]", MU_TASK_RUN), "port"));
    assert_non_null(strstr(read_task_of("[{\"id\": \"a\"", MU_TASK_RUN), "task:1:"));
    assert_non_null(strstr(read_task_of("srv01", MU_TASK_RUN), "task"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(kinds_are_not_mixed_up),
        cmocka_unit_test(mutations_are_read_or_refused),
        cmocka_unit_test(a_refusal_says_what_is_wrong),
        cmocka_unit_test(forms_and_kinds_are_known_ones),
        cmocka_unit_test(what_would_mislead_is_refused),
        cmocka_unit_test(a_result_has_one_end),
        cmocka_unit_test(a_task_is_about_its_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
