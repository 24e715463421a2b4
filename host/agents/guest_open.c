/* What an agent fetches for a run: the brief, the bundle, the script; later what the brief says by now. All of it is done by helper
 * threads, on copies, since it waits. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "agents/bundle.h"
#include "core/clock.h"

#define OPEN_AGAIN_MS 2000

struct opening {
    struct mu_guest *guest;
    struct mu_nats *nats;
    const struct mu_bindings *bindings; /* these and the strings are borrowed: the guest outlives it */
    struct mu_logger *logger;
    const char *run_id, *cache_dir;
    int rc;
    struct mu_err err;
    struct mu_brief brief;
    char *script_file, *library_dir;
    struct mu_script *script;
};

static int read_brief(struct mu_nats *n, const char *run_id, struct mu_brief *brief, struct mu_err *err)
{
    struct mu_buf subject = MU_BUF_INIT, bytes = MU_BUF_INIT;
    mu_subject_brief(&subject, run_id);
    int rc = subject.failed ? mu_err_set(err, MU_ENOMEM, "out of memory")
                            : mu_nats_last(n, MU_STREAM_RUNS, mu_buf_cstr(&subject), &bytes, NULL, err);
    if (rc == MU_ENOENT)
        mu_err_set(err, MU_ENOENT, "the queue has no brief of run %s: it is over", run_id);
    if (!rc && (rc = mu_brief_read(brief, bytes.data ? bytes.data : "", bytes.len, err)))
        mu_err_prefix(err, "the brief of run %s cannot be read", run_id);
    if (!rc && strcmp(brief->run_id ? brief->run_id : "", run_id) != 0)
        rc = mu_err_set(err, MU_EINVAL, "the brief of run %s is one of another run", run_id);
    mu_buf_free(&subject);
    mu_buf_free(&bytes);
    return rc;
}

/* It goes into paths and subjects. */
static bool is_hash(const char *name)
{
    return name && strlen(name) == MU_BUNDLE_NAME_SIZE - 1 && strspn(name, "0123456789abcdef") == MU_BUNDLE_NAME_SIZE - 1;
}

static int fetch_bundle(struct opening *o, const char *name)
{
    struct mu_buf all = MU_BUF_INIT, piece = MU_BUF_INIT, subject = MU_BUF_INIT;
    int rc = 0;
    for (size_t i = 0; !rc; i++) {
        mu_buf_clear(&piece);
        mu_subject_bundle(&subject, name, i);
        rc = mu_nats_last(o->nats, MU_STREAM_RUNS, mu_buf_cstr(&subject), &piece, NULL, &o->err);
        if (rc == MU_ENOENT)
            mu_err_set(&o->err, rc, "the run's bundle is not whole: the queue has no piece %zu of %s", i, name);
        if (!rc && !piece.len)
            break;
        if (!rc && all.len + piece.len > MU_BUNDLE_MAX)
            rc = mu_err_set(&o->err, MU_EINVAL, "the run's bundle is larger than %zu MiB", MU_BUNDLE_MAX >> 20);
        mu_buf_add(&all, piece.data, piece.len);
        if (!rc && all.failed)
            rc = mu_err_set(&o->err, MU_ENOMEM, "out of memory");
    }
    if (!rc)
        rc = mu_bundle_unpack(o->cache_dir, name, all.data ? all.data : "", all.len, &o->err);
    mu_buf_free(&all);
    mu_buf_free(&piece);
    mu_buf_free(&subject);
    return rc;
}

static void open_work(void *data)
{
    struct opening *o = data;
    o->rc = read_brief(o->nats, o->run_id, &o->brief, &o->err);
    if (o->rc || o->brief.state != MU_BRIEF_OPEN)
        return;
    const char *name = o->brief.bundle;
    if (!is_hash(name)) {
        o->rc = mu_err_set(&o->err, MU_EINVAL, "the brief of run %s names no bundle", o->run_id);
        return;
    }
    o->rc = mu_bundle_find(o->cache_dir, name, &o->script_file, &o->library_dir, &o->err);
    if (o->rc == MU_ENOENT) {
        o->rc = fetch_bundle(o, name);
        if (!o->rc)
            o->rc = mu_bundle_find(o->cache_dir, name, &o->script_file, &o->library_dir, &o->err);
    }
    if (!o->rc &&
        (o->rc = mu_brief_load_script(&o->brief, o->script_file, o->library_dir, o->bindings, o->logger, &o->script, &o->err)))
        mu_err_prefix(&o->err, "the run's script does not load here");
}

static void drop_opening(void *data)
{
    struct opening *o = data;
    mu_brief_clear(&o->brief);
    mu_script_free(o->script);
    free(o->script_file);
    free(o->library_dir);
    free(o);
}

/* The brief's state is acted on when it is known. */
static void see_state(struct mu_guest *g, enum mu_brief_state state)
{
    if (state == MU_BRIEF_OVER && !g->over)
        mu_guest_cancel(g, MU_GUEST_FORGET, mu_agent_grace_ms(g->agent));
    else if (state == MU_BRIEF_CANCELLED && !g->cancelled)
        mu_guest_cancel(g, MU_GUEST_TELL, mu_agent_grace_ms(g->agent));
}

/* Somebody reads what is written, as far as anybody knows. */
static void let_go(struct mu_guest *g)
{
    if (g->held && mu_nats_connected(g->agent->nats)) {
        g->held = false;
        mu_outbox_hold(g->outbox, false);
    }
}

static void broken(struct mu_guest *g, const struct mu_err *why)
{
    g->state = MU_GUEST_BROKEN;
    g->why = *why;
}

static void opened(void *arg)
{
    struct opening *o = arg;
    struct mu_guest *g = o->guest;
    struct mu_err err = {0};
    g->opening = NULL;
    g->agent->works--;
    if (o->rc == MU_EIO || o->rc == MU_ETIMEDOUT || o->rc == MU_ENOMEM) {
        mu_log(MU_WARNING, "Run %s cannot be fetched yet: %s. It is tried again.", g->run_id, o->err.msg);
        g->open_again_ms = mu_clock_ms() + OPEN_AGAIN_MS;
        return;
    }
    let_go(g);
    if (o->rc) {
        broken(g, &o->err);
        mu_guest_go_on(g);
        return;
    }
    if (o->brief.state != MU_BRIEF_OPEN) {
        g->state = MU_GUEST_BROKEN;
        mu_err_set(&g->why, MU_ESTATE, "the run is over");
        see_state(g, o->brief.state);
        return;
    }
    g->brief = o->brief;
    o->brief = (struct mu_brief){0};
    g->script = o->script;
    g->script_file = o->script_file;
    g->library_dir = o->library_dir;
    o->script = NULL;
    o->script_file = o->library_dir = NULL;
    if (mu_guest_begin(g, &err)) {
        broken(g, &err);
    } else {
        g->state = MU_GUEST_READY;
        mu_log(MU_INFO, "Run %s: tasks of it are done here from now on; script %s, of %s.", g->run_id,
               g->brief.script_path ? g->brief.script_path : "?", g->brief.owner ? g->brief.owner : "?");
    }
    mu_guest_go_on(g);
}

void mu_guest_open(struct mu_guest *g)
{
    struct mu_agent *a = g->agent;
    struct mu_err err;
    struct opening *o = calloc(1, sizeof *o);
    if (o)
        *o = (struct opening){.guest = g, .nats = a->nats, .bindings = a->bindings, .logger = a->logger, .run_id = g->run_id,
                              .cache_dir = a->cache_dir};
    if (!o || mu_work_start(&g->opening, a->loop, NULL, open_work, o, drop_opening, opened, o, &err)) {
        free(o);
        g->open_again_ms = mu_clock_ms() + OPEN_AGAIN_MS;
        return;
    }
    a->works++;
}

/* ---- later ---- */

struct look {
    struct mu_guest *guest;
    struct mu_nats *nats;
    int rc;
    enum mu_brief_state state;
};

static void look_work(void *data)
{
    struct look *k = data;
    struct mu_brief brief = {0};
    struct mu_err err;
    k->rc = read_brief(k->nats, k->guest->run_id, &brief, &err);
    k->state = brief.state;
    mu_brief_clear(&brief);
}

static void looked(void *arg)
{
    struct look *k = arg;
    struct mu_guest *g = k->guest;
    g->looking = NULL;
    g->agent->works--;
    g->looked_ms = mu_clock_ms();
    if (g->state >= MU_GUEST_LEAVING)
        return;
    if (!k->rc)
        see_state(g, k->state);
    else if (k->rc == MU_ENOENT)
        see_state(g, MU_BRIEF_OVER);
    if (!k->rc || k->rc == MU_ENOENT)
        let_go(g);
    if (g->look_again) {
        g->look_again = false;
        mu_guest_look(g);
    }
}

void mu_guest_look(struct mu_guest *g)
{
    struct mu_err err;
    if (g->state >= MU_GUEST_LEAVING || g->state == MU_GUEST_WAITING || g->opening || g->open_again_ms)
        return; /* reads it anyway */
    if (g->looking) {
        g->look_again = true;
        return;
    }
    struct look *k = calloc(1, sizeof *k);
    if (k)
        *k = (struct look){.guest = g, .nats = g->agent->nats};
    if (!k || mu_work_start(&g->looking, g->agent->loop, NULL, look_work, k, free, looked, k, &err))
        free(k);
    else
        g->agent->works++;
}
