#include "list_say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "json.h"

static const char *const type_names[] = {[MUSTER_PARAM_STRING] = "string",
                                         [MUSTER_PARAM_INTEGER] = "integer",
                                         [MUSTER_PARAM_NUMBER] = "number",
                                         [MUSTER_PARAM_BOOLEAN] = "boolean"};

static void put_value(const struct muster_param *p)
{
    switch (p->type) {
    case MUSTER_PARAM_STRING:
        cli_json_string(stdout, p->string);
        break;
    case MUSTER_PARAM_INTEGER:
        printf("%" PRId64, p->integer);
        break;
    case MUSTER_PARAM_NUMBER:
        cli_json_number(stdout, p->number);
        break;
    case MUSTER_PARAM_BOOLEAN:
        fputs(p->boolean ? "true" : "false", stdout);
        break;
    }
}

/* ---- for people ---- */

static void say_params(const struct muster_script *script)
{
    struct muster_param p;
    int width = 0;

    for (size_t i = 0; muster_script_param(script, i, &p) == 0; i++)
        if ((int)strlen(p.name) > width)
            width = (int)strlen(p.name);
    for (size_t i = 0; muster_script_param(script, i, &p) == 0; i++) {
        printf("  -p %-*s  %s, default ", width, p.name, type_names[p.type]);
        put_value(&p);
        putchar('\n');
    }
}

static void say_threshold(const struct muster_threshold *t)
{
    putchar(' ');
    cli_put_escaped(stdout, t->metric);
    if (t->has_min) {
        fputs(t->min_open ? " > " : " >= ", stdout);
        cli_json_number(stdout, t->min);
    }
    if (t->has_max) {
        fputs(t->has_min ? "," : "", stdout);
        fputs(t->max_open ? " < " : " <= ", stdout);
        cli_json_number(stdout, t->max);
    }
    if (*t->unit) {
        putchar(' ');
        cli_put_escaped(stdout, t->unit);
    }
    fputs(t->peers ? ", as its peers" : "", stdout);
    fputs(t->history ? ", as before" : "", stdout);
    fputs(t->some ? " (some servers)" : "", stdout);
}

void list_say(const char *path, const struct muster_script *script)
{
    const char *description = muster_script_description(script);
    struct muster_threshold t;

    cli_put_escaped(stdout, path);
    if (*description) {
        fputs(": ", stdout);
        cli_put_escaped(stdout, description);
    }
    putchar('\n');
    for (size_t i = 0; i < muster_script_step_count(script); i++) {
        fputs("  step ", stdout);
        cli_put_escaped(stdout, muster_script_step_name(script, i));
        fputs(muster_script_step_destructive(script, i) ? " (destructive)" : "", stdout);
        fputs(muster_script_step_pair(script, i) ? " (pair)" : "", stdout);
        for (size_t j = 0; muster_script_threshold(script, i, j, &t) == 0; j++) {
            fputs(j ? ";" : ":", stdout);
            say_threshold(&t);
        }
        putchar('\n');
    }
    say_params(script);
}

/* ---- for programs ---- */

static void put_text(const char *name, const char *value)
{
    printf(",\"%s\":", name);
    cli_json_string(stdout, value);
}

static void put_bound(const char *name, bool there, double v)
{
    printf(",\"%s\":", name);
    if (there)
        cli_json_number(stdout, v);
    else
        fputs("null", stdout);
}

static void put_steps(const struct muster_script *script)
{
    struct muster_threshold t;

    fputs(",\"steps\":[", stdout);
    for (size_t i = 0; i < muster_script_step_count(script); i++) {
        fputs(i ? ",{\"name\":" : "{\"name\":", stdout);
        cli_json_string(stdout, muster_script_step_name(script, i));
        fputs(",\"thresholds\":[", stdout);
        for (size_t j = 0; muster_script_threshold(script, i, j, &t) == 0; j++) {
            fputs(j ? ",{\"metric\":" : "{\"metric\":", stdout);
            cli_json_string(stdout, t.metric);
            put_bound("min", t.has_min, t.min);
            put_bound("max", t.has_max, t.max);
            printf(",\"min_open\":%s,\"max_open\":%s", t.min_open ? "true" : "false", t.max_open ? "true" : "false");
            put_text("unit", *t.unit ? t.unit : NULL);
            printf(",\"peers\":%s,\"history\":%s,\"some_servers\":%s", t.peers ? "true" : "false", t.history ? "true" : "false",
                   t.some ? "true" : "false");
            putchar('}');
        }
        printf("],\"destructive\":%s,\"pair\":%s}", muster_script_step_destructive(script, i) ? "true" : "false",
               muster_script_step_pair(script, i) ? "true" : "false");
    }
    putchar(']');
}

void list_say_json(const char *path, const struct muster_script *script, const char *error)
{
    struct muster_param p;

    fputs("{\"path\":", stdout);
    cli_json_string(stdout, path);
    put_text("error", error);
    if (script) {
        put_text("description", muster_script_description(script));
        fputs(",\"params\":[", stdout);
        for (size_t i = 0; muster_script_param(script, i, &p) == 0; i++) {
            fputs(i ? ",{\"name\":" : "{\"name\":", stdout);
            cli_json_string(stdout, p.name);
            put_text("type", type_names[p.type]);
            fputs(",\"default\":", stdout);
            put_value(&p);
            putchar('}');
        }
        putchar(']');
        put_steps(script);
    }
    putchar('}');
}
