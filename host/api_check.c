/* api_check.c: what is wrong or doubtful in a script, through muster.h. */
#include "api_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/bindings.h"
#include "bindings/tool.h"
#include "run/lint.h"

struct muster_check {
    struct muster_script *script; /* NULL: it cannot be loaded */
    struct mu_findings found;
    struct mu_tool *tool; /* while the check is being made */
};

/* "FILE:LINE:COLUMN: words" as most errors of loading are; words NULL: it begins with no place. */
struct place {
    size_t file_len;
    unsigned line, column;
    const char *words;
};

static struct place place_of(const char *message)
{
    struct place p = {0};
    for (const char *at = message; (at = strchr(at, ':')) != NULL; at++) {
        char *end;
        if (at == message || !isdigit((unsigned char)at[1]))
            continue;
        p.file_len = (size_t)(at - message);
        p.line = (unsigned)strtoul(at + 1, &end, 10);
        if (end[0] == ':' && isdigit((unsigned char)end[1]))
            p.column = (unsigned)strtoul(end + 1, &end, 10);
        if (end[0] == ':' && end[1] == ' ') {
            p.words = end + 2;
            return p;
        }
        p = (struct place){0};
    }
    return p;
}

static void add_load_error(struct muster_check *c, const char *path, const struct mu_err *e)
{
    struct place p = place_of(e->msg);
    char file[sizeof e->msg];
    size_t n = strlen(path);
    if (p.words) {
        memcpy(file, e->msg, p.file_len);
        file[p.file_len] = '\0';
        mu_findings_add(&c->found, false, file, p.line, p.column, "load", "%s", p.words);
    } else if (!strncmp(e->msg, path, n) && !strncmp(e->msg + n, ": ", 2)) {
        mu_findings_add(&c->found, false, path, 0, 0, "load", "%s", e->msg + n + 2);
    } else {
        mu_findings_add(&c->found, false, path, 0, 0, "load", "%s", e->msg);
    }
}

struct hinting {
    struct muster_check *check;
    const char *path;
};

static void add_hint(void *arg, unsigned line, unsigned column, const char *message)
{
    struct hinting *h = arg;
    mu_findings_add(&h->check->found, true, h->path, line, column, "luacheck", "%s", message);
}

/* luacheck's opinion, where it is installed; that it is not is no trouble. */
static int add_hints(struct muster_check *c, const char *path, struct mu_err *err)
{
    struct hinting h = {c, path};
    int rc = c->script->m->library_dir ? mu_tool_new(&c->tool, c->script->m->library_dir, err) : 0;
    if (!rc && c->tool)
        rc = mu_tool_lint(c->tool, path, add_hint, &h, err);
    mu_tool_free(c->tool);
    c->tool = NULL;
    return rc;
}

int muster_check_new(struct muster *m, const char *path, struct muster_check **out, struct muster_error *err)
{
    struct mu_err e = {0};
    struct muster_check *c = calloc(1, sizeof *c);
    struct muster_script *s = calloc(1, sizeof *s);
    int rc = 0;
    if (!c || !s) {
        rc = mu_err_set(&e, MU_ENOMEM, "out of memory");
        goto out;
    }
    s->m = m;
    rc = mu_script_check(&s->script, path, m->library_dir, &mu_bindings, m->logger, &c->found, &e);
    if (!rc) {
        c->script = s;
        s = NULL;
        rc = add_hints(c, path, &e);
    } else if (rc != MU_ENOMEM) {
        add_load_error(c, path, &e);
        rc = 0;
    }
    if (!rc && c->found.failed)
        rc = mu_err_set(&e, MU_ENOMEM, "out of memory");
out:
    free(s);
    if (rc) {
        muster_check_free(c);
        return mu_api_give(err, &e);
    }
    mu_findings_sort(&c->found);
    *out = c;
    return 0;
}

void muster_check_free(struct muster_check *c)
{
    if (!c)
        return;
    muster_script_free(c->script);
    mu_findings_clear(&c->found);
    free(c);
}

const struct muster_script *muster_check_script(const struct muster_check *c) { return c->script; }

int muster_check_finding(const struct muster_check *c, size_t i, struct muster_finding *out)
{
    if (i >= c->found.n)
        return MU_EINVAL;
    const struct mu_finding *f = &c->found.items[i];
    *out = (struct muster_finding){f->hint ? MUSTER_FINDING_HINT : MUSTER_FINDING_ERROR, f->file, f->line, f->column, f->rule,
                                   f->message};
    return 0;
}
