/* A program that prints an inventory: called with --list, and with --host NAME when the former has no "_meta". */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "inventory/ansible.h"
#include "loop/process.h"

#define ANSWER_MAX ((size_t)256 << 20)
#define KILL_AFTER_MS 2000

struct program {
    struct mu_ansible *a;
    const struct mu_source *source;
    const char *path;
    uint64_t timeout_ms;
    struct mu_err *err;
    struct mu_numbers hosts; /* that it named, in order */
    uint32_t *seen;          /* by host: it is in hosts */
    size_t n_seen;
};

/* ---- calling it ---- */

struct call {
    struct program *p;
    struct mu_buf out;
    struct mu_buf last; /* the last line of its standard error */
    struct mu_process *process;
    bool over;
};

static int on_output(void *arg, const char *bytes, size_t n, struct mu_err *err)
{
    struct call *c = arg;

    if (c->out.len + n > ANSWER_MAX)
        return mu_err_set(err, MU_ELIMIT, "it prints more than %zu MiB", ANSWER_MAX >> 20);
    mu_buf_add(&c->out, bytes, n);
    return c->out.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}

static void on_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct call *c = arg;

    if (stream != MU_EXEC_STDERR || !len)
        return;
    mu_buf_clear(&c->last);
    mu_buf_add_escaped(&c->last, line, len);
    mu_log(MU_INFO, "%s: %.*s", c->p->source->name, (int)(len < 4096 ? len : 4096), line);
}

static void on_done(void *arg, struct mu_process *process)
{
    (void)process;
    ((struct call *)arg)->over = true;
}

static void on_time(void *arg)
{
    struct call *c = arg;
    struct mu_err why = {0};

    mu_err_set(&why, MU_ETIMEDOUT, "it took longer than %llu ms (--inventory-timeout)",
               (unsigned long long)c->p->timeout_ms);
    mu_process_abort(c->process, &why, KILL_AFTER_MS);
}

/* 'it'\''s': one word for the shell. */
static void add_word(struct mu_buf *out, const char *word)
{
    mu_buf_adds(out, " '");
    for (; *word; word++)
        if (*word == '\'')
            mu_buf_adds(out, "'\\''");
        else
            mu_buf_addc(out, *word);
    mu_buf_addc(out, '\'');
}

static int run(struct call *c, const char *command)
{
    struct mu_loop *loop = NULL;
    struct mu_timer *timer = NULL;
    struct mu_exec_request req = {.command = command, .on_line = on_line, .on_line_arg = c, .on_output = on_output,
                                  .stream_arg = c, .limit = 1 << 20, .label = c->p->source->name, .read_only = true};
    int rc = mu_loop_new(&loop, c->p->err);

    if (!rc)
        rc = mu_process_start(&c->process, loop, NULL, &req, on_done, c, c->p->err);
    if (!rc) {
        timer = mu_timer_new(loop, on_time, c);
        if (timer)
            mu_timer_start(timer, NULL, c->p->timeout_ms);
        while (!c->over)
            mu_loop_turn(loop, true);
        const struct mu_exec_result *r = mu_process_result(c->process);
        const char *last = mu_buf_cstr(&c->last);
        if (r->error.code)
            rc = mu_err_set(c->p->err, r->error.code, "%s: %s", c->p->source->name, r->error.msg);
        else if (r->exit_status != 0)
            rc = mu_err_set(c->p->err, MU_EINVAL, r->signal[0] ? "%s was ended by signal %s%.0d%s%s"
                                                               : "%s%.0s ended with exit code %d%s%s",
                            c->p->source->name, r->signal, r->signal[0] ? 0 : r->exit_status, *last ? ": " : "", last);
    }
    mu_timer_free(timer);
    mu_process_free(c->process);
    mu_loop_free(loop);
    return rc;
}

/* The answer as a tree; doc->root is NULL when it printed nothing. */
static int ask(struct program *p, const char *option, const char *host, struct mu_tree_doc *doc)
{
    struct call c = {.p = p};
    struct mu_buf command = MU_BUF_INIT;
    struct mu_err e = {0};
    int rc;

    *doc = (struct mu_tree_doc){0};
    mu_buf_adds(&command, "exec");
    if (!strchr(p->path, '/')) {
        struct mu_buf here = MU_BUF_INIT;
        mu_buf_addf(&here, "./%s", p->path);
        add_word(&command, mu_buf_cstr(&here));
        mu_buf_free(&here);
    } else {
        add_word(&command, p->path);
    }
    add_word(&command, option);
    if (host)
        add_word(&command, host);
    rc = command.failed ? mu_err_set(p->err, MU_ENOMEM, "out of memory") : run(&c, mu_buf_cstr(&command));
    if (!rc)
        rc = mu_source_check(p->source, mu_buf_cstr(&c.out), c.out.len, p->err);
    if (!rc && strspn(mu_buf_cstr(&c.out), " \t\r\n") < c.out.len) {
        rc = mu_tree_parse_json(doc, p->source->name, mu_buf_cstr(&c.out), c.out.len, &e);
        struct mu_quoted q;
        if (rc < 0)
            mu_err_set(p->err, rc, "%s%s%s%s", e.msg, host ? " (it was asked for " : "",
                       host ? mu_quote(&q, host, strlen(host)) : "", host ? ")" : "");
    } else if (!rc && !host) {
        rc = mu_err_set(p->err, MU_EINVAL, "%s printed nothing when called with --list", p->source->name);
    }
    mu_buf_free(&command);
    mu_buf_free(&c.out);
    mu_buf_free(&c.last);
    return rc;
}

/* ---- what it says ---- */

static int bad(struct program *p, const char *group, const char *what)
{
    struct mu_quoted q;

    return mu_err_set(p->err, MU_EINVAL, "%s: group \"%s\": %s", p->source->name, mu_quote(&q, group, strlen(group)), what);
}

static int in_place(struct program *p, int rc)
{
    if (rc < 0 && rc != MU_ENOMEM)
        mu_err_prefix(p->err, "%s", p->source->name);
    return rc;
}

static int add_host(struct program *p, const char *name, uint32_t group)
{
    struct mu_place place = {p->source, 0};
    uint32_t host;
    int rc = in_place(p, mu_ansible_host(p->a, name, place, group, 0, &host, p->err));

    if (rc)
        return rc;
    if (host >= p->n_seen) {
        size_t n = host < 64 ? 128 : (size_t)host * 2;
        uint32_t *seen = reallocarray(p->seen, n, sizeof *seen);
        if (!seen)
            return mu_err_set(p->err, MU_ENOMEM, "out of memory");
        memset(seen + p->n_seen, 0, (n - p->n_seen) * sizeof *seen);
        p->seen = seen;
        p->n_seen = n;
    }
    if (p->seen[host]++)
        return 0;
    return mu_numbers_add(&p->hosts, host) < 0 ? mu_err_set(p->err, MU_ENOMEM, "out of memory") : 0;
}

static int add_hosts(struct program *p, const char *group, const struct mu_tree *hosts, uint32_t number)
{
    int rc = 0;

    if (hosts->kind != MU_TREE_LIST)
        return bad(p, group, "\"hosts\" is not a list of names");
    for (size_t i = 0; i < hosts->n && !rc; i++) {
        const char *name = hosts->at[i]->kind == MU_TREE_LEAF ? json_string_value(hosts->at[i]->leaf) : NULL;
        rc = name ? add_host(p, name, number) : bad(p, group, "the name of a host is not text");
    }
    return rc;
}

static int add_vars(struct program *p, const char *name, const struct mu_tree *vars, bool host, uint32_t number)
{
    struct mu_place place = {p->source, 0};
    struct mu_quoted q;
    int rc = 0;

    if (vars->kind != MU_TREE_MAP)
        return mu_err_set(p->err, MU_EINVAL, "%s: the variables of %s \"%s\" are no object", p->source->name,
                          host ? "host" : "group", mu_quote(&q, name, strlen(name)));
    for (size_t i = 0; i < vars->n && !rc; i++) {
        json_t *value = mu_tree_json(vars->at[i]);
        if (!value)
            return mu_err_set(p->err, MU_ENOMEM, "out of memory");
        rc = in_place(p, host ? mu_ansible_host_var(p->a, number, vars->keys.at[i], value, place, p->err)
                              : mu_ansible_group_var(p->a, number, vars->keys.at[i], value, place, p->err));
        json_decref(value);
    }
    return rc;
}

static int add_children(struct program *p, const char *group, const struct mu_tree *children, uint32_t number)
{
    struct mu_place place = {p->source, 0};
    int rc = 0;

    if (children->kind != MU_TREE_LIST)
        return bad(p, group, "\"children\" is not a list of groups");
    for (size_t i = 0; i < children->n && !rc; i++) {
        const char *name = children->at[i]->kind == MU_TREE_LEAF ? json_string_value(children->at[i]->leaf) : NULL;
        uint32_t child;
        if (!name)
            return bad(p, group, "the name of a child is not text");
        rc = mu_ansible_group(p->a, name, place, &child, p->err);
        if (!rc)
            rc = mu_ansible_child(p->a, number, child, place, p->err);
        rc = in_place(p, rc);
    }
    return rc;
}

/* A list is its hosts; an object without hosts, vars and children are the variables of a host of that name. */
static int add_group(struct program *p, const char *name, const struct mu_tree *data)
{
    struct mu_place place = {p->source, 0};
    const struct mu_tree *hosts, *vars, *children;
    uint32_t number;
    int rc = in_place(p, mu_ansible_group(p->a, name, place, &number, p->err));

    if (rc)
        return rc;
    if (data->kind != MU_TREE_MAP)
        return add_hosts(p, name, data, number);
    hosts = mu_tree_get(data, "hosts");
    vars = mu_tree_get(data, "vars");
    children = mu_tree_get(data, "children");
    if (!hosts && !vars && !children) {
        rc = add_host(p, name, number);
        return rc ? rc : add_vars(p, name, data, false, number);
    }
    if (hosts)
        rc = add_hosts(p, name, hosts, number);
    if (!rc && vars)
        rc = add_vars(p, name, vars, false, number);
    if (!rc && children)
        rc = add_children(p, name, children, number);
    return rc;
}

static int add_host_vars(struct program *p, const struct mu_tree *all)
{
    int rc = 0;

    for (uint32_t i = 0; i < p->hosts.n && !rc; i++) {
        const char *name = p->a->hosts.at[p->hosts.at[i]];
        struct mu_tree_doc doc = {0};
        const struct mu_tree *vars = all ? mu_tree_get(all, name) : NULL;
        if (!all) {
            rc = ask(p, "--host", name, &doc);
            vars = doc.root;
        }
        if (!rc && vars)
            rc = add_vars(p, name, vars, true, p->hosts.at[i]);
        mu_tree_free(&doc);
    }
    return rc;
}

int mu_ansible_read_program(struct mu_ansible *a, const struct mu_source *source, const char *path, uint64_t timeout_ms,
                            struct mu_err *err)
{
    struct program p = {.a = a, .source = source, .path = path, .timeout_ms = timeout_ms, .err = err};
    struct mu_tree_doc doc;
    const struct mu_tree *meta, *all = NULL;
    int rc = ask(&p, "--list", NULL, &doc);

    if (!rc && doc.root->kind != MU_TREE_MAP)
        rc = mu_err_set(err, MU_EINVAL, "%s printed %s when called with --list, not an object with groups", source->name,
                        mu_tree_kind_name(doc.root));
    for (size_t i = 0; !rc && i < doc.root->n; i++)
        if (strcmp(doc.root->keys.at[i], "_meta") != 0)
            rc = add_group(&p, doc.root->keys.at[i], doc.root->at[i]);
    if (!rc) {
        meta = mu_tree_get(doc.root, "_meta");
        all = meta && meta->kind == MU_TREE_MAP ? mu_tree_get(meta, "hostvars") : NULL;
        if (all && all->kind != MU_TREE_MAP)
            rc = mu_err_set(err, MU_EINVAL, "%s: \"hostvars\" in \"_meta\" is no object", source->name);
    }
    if (!rc)
        rc = add_host_vars(&p, all);
    mu_tree_free(&doc);
    free(p.hosts.at);
    free(p.seen);
    return rc;
}
