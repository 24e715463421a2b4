#include "results/store_push.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "results/store_internal.h"

/* Ids of servers, steps and failures are unique in a database. A run's are shifted as a whole, so that they are free in the
 * other one, and what refers to them by the same amount. */
enum space { SERVERS, STEPS, FAILURES, SPACES, RUN = SPACES, NO_SPACE };

enum { COLUMNS_MOST = 32 };

/* One table: its columns, "name:kind" with blanks between, kind i (whole number), n (number), t (text), b (bytes), or R, S, T, F: the id of
 * a run, server, step, failure. from: where its rows of run $1 are, as x. */
struct table {
    const char *name, *columns, *from;
};

#define OF_SERVER " x JOIN servers s ON x.server = s.id WHERE s.run = $1"
#define OF_STEP " x JOIN steps t ON x.step = t.id JOIN servers s ON t.server = s.id WHERE s.run = $1"

/* In an order in which nothing refers to what is not there yet. */
static const struct table tables[] = {
    {"servers", "id:S run:R idx:i server_id:t address:t inventory:t facts:t status:t started_ms:i duration_ms:i worker:i dealt:i finished:i"
                " final:i mark_state:t mark_reason:t mark_note:t mark_tries:i left_behind:i claim:t"
                " connect_retries:i retried_connections:i", " x WHERE x.run = $1"},
    {"unended", "server:S idx:i command:t", OF_SERVER},
    {"steps", "id:T server:S pass:t idx:i name:t status:t started_ms:i duration_ms:i measured:i withheld:i earlier:t log:b", OF_SERVER},
    {"metrics", "step:T idx:i name:t value:n unit:t samples:t mad:n judgement:t min:n max:n min_open:i max_open:i reference:n lower_kind:i"
                " lower:n upper_kind:i upper:n rule_unit:t", OF_STEP},
    {"peers", "step:T idx:i group_by:t drop_kind:i drop_by:n rise_kind:i rise_by:n min_cohort:i state:t below:i above:i median:n noise:n"
              " cohort:i group_value:t note:t", OF_STEP},
    {"pasts", "step:T idx:i last:i min_runs:i drop_kind:i drop_by:n rise_kind:i rise_by:n state:t below:i above:i median:n noise:n n:i note:t",
     OF_STEP},
    {"failures", "id:F server:S step:T status:t type:t place:t metric:t cause:t message:t", OF_SERVER},
    {"artefacts", "server:S name:t kept_ms:i bytes:b", OF_SERVER},
};

static const struct table sources = {"sources", "hash:t text:b",
                                     " x WHERE x.hash IN (SELECT source FROM run_files WHERE run = $1)"
                                     " OR x.hash IN (SELECT source FROM runs WHERE id = $2)"};
static const struct table run_files = {"run_files", "run:R path:t source:t", " x WHERE x.run = $1"};
static const struct table runs = {"runs", "run_id:t script:t script_path:t source:t description:t version:t host:t owner:t state:t started_ms:i"
                                          " ended_ms:i duration_ms:i exit_code:i interrupted:i signal:i dry_run:i replayed:i resumed:i"
                                          " after_all:t n_servers:i marks_cap:i marks_said:t marks_candidates:i marks_over:i params:t"
                                          " thresholds:t options:t", " x WHERE x.id = $1"};

struct copying {
    struct mu_store *from, *to;
    int64_t run, new_run;
    int64_t shift[SPACES];
    char kinds[COLUMNS_MOST];
    int n;
};

/* ---- one table ---- */

/* Both statements; the kinds of the columns into c. */
static void write_statements(struct copying *c, const struct table *t, struct mu_buf *select, struct mu_buf *insert)
{
    struct mu_buf values = MU_BUF_INIT;
    mu_buf_adds(select, "SELECT ");
    mu_buf_addf(insert, "INSERT INTO %s (", t->name);
    c->n = 0;
    for (const char *at = t->columns; *at;) {
        int len = (int)strcspn(at, ":");
        mu_buf_addf(select, "%sx.%.*s", c->n ? ", " : "", len, at);
        mu_buf_addf(insert, "%s%.*s", c->n ? ", " : "", len, at);
        mu_buf_addf(&values, "%s$%d", c->n ? ", " : "", c->n + 1);
        c->kinds[c->n++] = at[len + 1];
        at += len + 2;
        at += *at == ' ';
    }
    mu_buf_addf(select, " FROM %s%s", t->name, t->from);
    mu_buf_addf(insert, ") VALUES (%s) ON CONFLICT DO NOTHING", mu_buf_cstr(&values));
    insert->failed = insert->failed || values.failed;
    mu_buf_free(&values);
}

static enum space space_of(char kind)
{
    return kind == 'S' ? SERVERS : kind == 'T' ? STEPS : kind == 'F' ? FAILURES : kind == 'R' ? RUN : NO_SPACE;
}

static void copy_value(const struct copying *c, struct mu_query *from, struct mu_query *to, int at)
{
    enum space space = space_of(c->kinds[at]);
    size_t n = 0;
    if (mu_query_is_null(from, at))
        mu_query_text(to, at + 1, NULL);
    else if (space == RUN)
        mu_query_int(to, at + 1, c->new_run);
    else if (space != NO_SPACE)
        mu_query_int(to, at + 1, mu_query_get_int(from, at) + c->shift[space]);
    else if (c->kinds[at] == 'i')
        mu_query_int(to, at + 1, mu_query_get_int(from, at));
    else if (c->kinds[at] == 'n')
        mu_query_num(to, at + 1, mu_query_get_num(from, at));
    else if (c->kinds[at] == 't')
        mu_query_text(to, at + 1, mu_query_get_text(from, at));
    else {
        const void *bytes = mu_query_get_blob(from, at, &n);
        mu_query_blob(to, at + 1, bytes, n);
    }
}

static int copy_table(struct copying *c, const struct table *t, struct mu_err *err)
{
    struct mu_buf select = MU_BUF_INIT, insert = MU_BUF_INIT;
    struct mu_query *from = NULL, *to = NULL;
    int row = 0, rc = 0;
    write_statements(c, t, &select, &insert);
    if (select.failed || insert.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = mu_query_new(&from, c->from->db, mu_buf_cstr(&select), err);
    if (!rc)
        rc = mu_query_new(&to, c->to->db, mu_buf_cstr(&insert), err);
    if (!rc) {
        mu_query_int(from, 1, c->run);
        if (t == &sources)
            mu_query_int(from, 2, c->run);
    }
    while (!rc && (row = mu_query_step(from, err)) > 0) {
        for (int i = 0; i < c->n; i++)
            copy_value(c, from, to, i);
        rc = mu_query_run(to, err);
    }
    mu_query_free(from);
    mu_query_free(to);
    mu_buf_free(&select);
    mu_buf_free(&insert);
    return !rc && row < 0 ? row : rc;
}

/* ---- one run ---- */

static int one_number(struct mu_db *db, const char *sql, const int64_t *arg, const char *text, int64_t *out, bool *there,
                      struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, db, sql, err);
    if (rc)
        return rc;
    if (arg)
        mu_query_int(q, 1, *arg);
    if (text)
        mu_query_text(q, 1, text);
    rc = mu_query_step(q, err);
    *there = rc > 0 && !mu_query_is_null(q, 0);
    *out = *there ? mu_query_get_int(q, 0) : 0;
    mu_query_free(q);
    return rc < 0 ? rc : 0;
}

/* By how much the ids are shifted: the run's least becomes one more than the greatest of the other database. */
static int find_shifts(struct copying *c, struct mu_err *err)
{
    static const struct {
        const char *least, *greatest;
    } sql[SPACES] = {
        {"SELECT min(id) FROM servers WHERE run = $1", "SELECT max(id) FROM servers"},
        {"SELECT min(x.id) FROM steps" OF_SERVER, "SELECT max(id) FROM steps"},
        {"SELECT min(x.id) FROM failures" OF_SERVER, "SELECT max(id) FROM failures"},
    };
    int rc = 0;
    for (int i = 0; !rc && i < SPACES; i++) {
        int64_t least = 0, greatest = 0;
        bool any;
        rc = one_number(c->from->db, sql[i].least, &c->run, NULL, &least, &any, err);
        if (!rc)
            rc = one_number(c->to->db, sql[i].greatest, NULL, NULL, &greatest, &any, err);
        c->shift[i] = greatest + 1 - least;
    }
    return rc;
}

#define ID_OF "SELECT id FROM runs WHERE run_id = $1"

/* All of it, in a transaction that is open. *there: the other has it. */
static int copy_run(struct copying *c, const char *run_id, bool *there, struct mu_err *err)
{
    int64_t id;
    int rc = one_number(c->to->db, ID_OF, NULL, run_id, &id, there, err);
    if (rc || *there)
        return rc;
    bool found = false;
    rc = find_shifts(c, err);
    if (!rc)
        rc = copy_table(c, &sources, err);
    if (!rc)
        rc = copy_table(c, &runs, err);
    if (!rc)
        rc = one_number(c->to->db, ID_OF, NULL, run_id, &c->new_run, &found, err);
    if (!rc && !found)
        rc = mu_err_set(err, MU_EIO, "results %s: the run %s could not be put there", c->to->where, run_id);
    if (!rc)
        rc = mu_db_pipe(c->to->db, true, err);
    if (!rc)
        rc = copy_table(c, &run_files, err);
    for (size_t i = 0; !rc && i < sizeof tables / sizeof *tables; i++)
        rc = copy_table(c, &tables[i], err);
    int ended = mu_db_pipe(c->to->db, false, rc ? NULL : err);
    rc = rc ? rc : ended;
    static const char *const numbered[] = {"servers", "steps", "failures"};
    for (size_t i = 0; !rc && i < sizeof numbered / sizeof *numbered; i++)
        rc = mu_db_settle_ids(c->to->db, numbered[i], err);
    return rc;
}

static int push_one(struct mu_store *from, struct mu_store *to, const struct mu_store_run *run, bool *there, struct mu_err *err)
{
    struct copying c = {.from = from, .to = to, .run = run->id};
    int rc = mu_db_begin(to->db, err);
    *there = false;
    if (rc)
        return rc;
    rc = copy_run(&c, run->run_id, there, err);
    if (!rc && !*there)
        return mu_db_commit(to->db, err);
    mu_db_rollback(to->db);
    return rc;
}

/* ---- all runs ---- */

/* The ids of those there: a question each would take as long as the way there and back. */
static int list_there(struct mu_store *to, char ***out, size_t *n, struct mu_err *err)
{
    struct mu_query *q = NULL;
    size_t cap = 0;
    int row = 0, rc = mu_query_new(&q, to->db, "SELECT run_id FROM runs", err);
    while (!rc && (row = mu_query_step(q, err)) > 0) {
        if (*n == cap) {
            char **grown = reallocarray(*out, cap = cap ? 2 * cap : 64, sizeof *grown);
            if (!grown) {
                rc = mu_err_set(err, MU_ENOMEM, "out of memory");
                break;
            }
            *out = grown;
        }
        if (mu_query_get_copy(q, 0, &(*out)[*n]))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        else
            ++*n;
    }
    mu_query_free(q);
    return !rc && row < 0 ? row : rc;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int push_each(struct mu_store *from, struct mu_store *to, char **known, size_t n_known, mu_pushed_fn *fn, void *arg,
                     struct mu_push *out, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row = 0, rc = mu_query_new(&q, from->db, MU_STORE_RUN_COLUMNS " ORDER BY started_ms, id", err);
    while (!rc && (row = mu_query_step(q, err)) > 0) {
        struct mu_store_run run;
        bool there = false;
        rc = mu_store_read_run(from, q, &run, err);
        if (rc)
            break;
        if (run.state != MU_STORE_FINISHED) {
            out->not_ended++;
        } else if (n_known && bsearch(&run.run_id, known, n_known, sizeof *known, by_text)) {
            out->there++;
        } else {
            rc = push_one(from, to, &run, &there, err);
            if (!rc && there)
                out->there++; /* another pusher was quicker */
            else if (!rc) {
                out->pushed++;
                if (fn)
                    fn(arg, run.run_id, run.n_servers);
            }
        }
        mu_store_run_clear(&run);
    }
    mu_query_free(q);
    return !rc && row < 0 ? row : rc;
}

int mu_store_push(struct mu_store *from, struct mu_store *to, mu_pushed_fn *fn, void *arg, struct mu_push *out, struct mu_err *err)
{
    char **known = NULL;
    size_t n = 0;
    *out = (struct mu_push){0};
    int rc = list_there(to, &known, &n, err);
    if (!rc && n)
        qsort(known, n, sizeof *known, by_text);
    if (!rc)
        rc = push_each(from, to, known, n, fn, arg, out, err);
    for (size_t i = 0; i < n; i++)
        free(known[i]);
    free(known);
    return rc;
}
