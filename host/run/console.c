#include "run/console.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/phase.h"
#include "run/run_internal.h"
#include "run/worker.h"

#define UNWIND_MS 2000

struct mu_console {
    char *line;   /* at work, or NULL */
    char *answer; /* of the line before */
    bool more, over;
};

/* ---- a line's fiber ---- */

static int prepare(lua_State *L, struct mu_fiber *f)
{
    struct mu_task *t = f->task;
    mu_phase_push_hook(L, t, "run");
    mu_task_push_slot(L, t, MU_SLOT_SERVER);
    lua_pushstring(L, t->console->line);
    return 2;
}

static void say(struct mu_console *c, const char *text)
{
    free(c->answer);
    c->answer = strdup(text);
}

/* What the script's step makes of a line: the text to show, or false: there is more to come. */
static void finish(lua_State *L, struct mu_fiber *f, int status, int base)
{
    struct mu_console *c = f->task->console;
    bool has = lua_gettop(L) >= base;
    if (f->scope->cancelled)
        return; /* done says it */
    if (status != LUA_OK)
        say(c, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text");
    else if (has && lua_type(L, base) == LUA_TSTRING)
        say(c, lua_tostring(L, base));
    else
        c->more = has && lua_isboolean(L, base);
}

static void done(struct mu_fiber *f)
{
    struct mu_task *t = f->task;
    struct mu_console *c = t->console;
    if (t->scope.cancelled || f->abandoned)
        say(c, t->scope.cancelled ? t->scope.why.msg : "ended at once");
    else if (f->status != LUA_OK)
        say(c, f->raised ? f->raised : "out of memory");
    free(c->line);
    c->line = NULL;
    t->cancelled = false; /* the next line is another matter */
    mu_scope_close(&t->scope);
    mu_task_advance(t);
}

/* ---- the task ---- */

static struct mu_task *console_of(struct mu_worker *w)
{
    struct mu_task *t = mu_list_empty(&w->tasks) ? NULL : mu_list_entry(w->tasks.next, struct mu_task, link);
    return t && t->kind == MU_TASK_CONSOLE && t->console ? t : NULL;
}

static void ask(struct mu_task *t)
{
    struct mu_message *m;
    while (!(m = mu_message_new(MU_MSG_PROMPT)))
        usleep(10000);
    m->worker = t->worker->index;
    m->text = t->console->answer;
    m->first = t->console->more;
    t->console->answer = NULL;
    t->console->more = false;
    mu_mailbox_post(t->worker->engine->home, &m->head);
}

bool mu_console_advance(struct mu_task *t)
{
    if (t->phase == MU_PHASE_LOAD) {
        if (t->phase_error.code || t->cancelled || !(t->console = calloc(1, sizeof *t->console)))
            return false;
        t->phase = MU_PHASE_CONSOLE;
    }
    if (t->console->over)
        return false;
    ask(t);
    return true;
}

void mu_console_free(struct mu_task *t)
{
    if (!t->console)
        return;
    free(t->console->line);
    free(t->console->answer);
    free(t->console);
    t->console = NULL;
}

static void leave(struct mu_task *t)
{
    t->console->over = true;
    mu_task_end(t);
}

void mu_console_line(struct mu_worker *w, char *line)
{
    struct mu_task *t = console_of(w);
    struct mu_err err = {0};
    if (!t || t->console->line) {
        free(line);
        return;
    }
    if (!line) {
        leave(t);
        return;
    }
    t->console->line = line;
    struct mu_ctx *former = mu_ctx_enter(t->ctx);
    int rc = mu_scope_open(&t->scope, w, 0, NULL, UNWIND_MS);
    if (!rc && (rc = mu_fiber_start(NULL, t, &t->scope, t->ctx, prepare, finish, done, &err)))
        mu_scope_close(&t->scope);
    if (rc) {
        say(t->console, "out of memory");
        free(t->console->line);
        t->console->line = NULL;
        mu_task_advance(t);
    }
    mu_ctx_leave(former);
}

void mu_console_break(struct mu_worker *w)
{
    struct mu_task *t = console_of(w);
    struct mu_err why;
    if (!t || !t->console->line)
        return;
    mu_err_set(&why, MU_ECANCELED, "interrupted");
    mu_scope_cancel(&t->scope, MU_ST_CANCELLED, &why);
}

bool mu_console_leave(struct mu_task *t)
{
    if (!t->console)
        return false;
    t->console->over = true;
    if (t->console->line)
        return false;
    mu_task_end(t);
    return true;
}

/* ---- the main thread's side ---- */

bool mu_run_prompted(struct mu_run *run, struct mu_message *m)
{
    const struct mu_console_io *io = run->config.console;
    if (m->head.kind != MU_MSG_PROMPT)
        return false;
    run->breaks_seen = atomic_load(&run->breaks); /* those were for the line before */
    char *line = run->interrupts_seen || run->over ? NULL : io->next(io->arg, m->text, m->first);
    struct mu_message *answer;
    while (!(answer = mu_message_new(MU_MSG_LINE)))
        usleep(10000);
    answer->text = line;
    mu_mailbox_post(run->local.workers[m->worker].mailbox, &answer->head);
    return true;
}

void mu_run_see_break(struct mu_run *run)
{
    int now = atomic_load(&run->breaks);
    if (now == run->breaks_seen || !run->local.n_started)
        return;
    run->breaks_seen = now;
    mu_crew_local_tell(&run->local, 0, MU_MSG_BREAK, 0);
}

void mu_run_break(struct mu_run *run)
{
    atomic_fetch_add(&run->breaks, 1);
    mu_mailbox_nudge(run->home);
}
