#include "run/threshold_json.h"

#include <string.h>

/* ---- a JSON object as threshold_read.h wants it ---- */

struct json_source {
    json_t *now, *outer;
};

static void get(void *arg, const char *field, struct mu_given *out)
{
    static const char *const types[] = {[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
                                        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "a boolean",
                                        [JSON_FALSE] = "a boolean", [JSON_NULL] = "null"};
    static const enum mu_given_kind kinds[] = {[JSON_OBJECT] = MU_GIVEN_TABLE, [JSON_ARRAY] = MU_GIVEN_OTHER,
                                               [JSON_STRING] = MU_GIVEN_TEXT, [JSON_INTEGER] = MU_GIVEN_NUMBER,
                                               [JSON_REAL] = MU_GIVEN_NUMBER, [JSON_TRUE] = MU_GIVEN_OTHER,
                                               [JSON_FALSE] = MU_GIVEN_OTHER, [JSON_NULL] = MU_GIVEN_OTHER};
    const json_t *v = json_object_get(((struct json_source *)arg)->now, field);
    out->kind = v ? kinds[json_typeof(v)] : MU_GIVEN_NOTHING;
    out->type = v ? types[json_typeof(v)] : "nothing";
    out->number = json_number_value(v);
    out->text = json_string_value(v);
}

static void enter(void *arg, const char *field)
{
    struct json_source *src = arg;
    src->outer = src->now;
    src->now = json_object_get(src->now, field);
}

static void leave(void *arg)
{
    struct json_source *src = arg;
    src->now = src->outer;
}

static const char *unknown(void *arg, const char *known)
{
    const char *name;
    json_t *value;
    json_object_foreach(((struct json_source *)arg)->now, name, value) {
        if (!mu_table_knows(known, name))
            return name;
    }
    return NULL;
}

/* ---- a rule ---- */

int mu_threshold_read_json(struct mu_threshold *th, json_t *rule, const char *label, struct mu_err *err)
{
    struct json_source src = {.now = rule};
    struct mu_table table = {&src, get, enter, leave, unknown};
    const char *word;
    return mu_threshold_read(th, &table, label, MU_THRESHOLD_FIELDS, &word, err);
}

int mu_threshold_read_text(struct mu_threshold *th, const char *text, const char *label, struct mu_err *err)
{
    json_error_t where;
    if (text[strspn(text, " \t")] != '{')
        return mu_threshold_parse(th, text, err);
    json_t *rule = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    int rc = rule ? mu_threshold_read_json(th, rule, label, err)
                  : mu_err_set(err, MU_EINVAL, "threshold %s: it begins as JSON and is none: %s (character %d)", label, where.text,
                               where.position);
    json_decref(rule);
    return rc;
}
