#include "ssh/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A command whose output has begun has announced itself already, or never will. */
#define ANNOUNCE_WAIT_MS 500
#define CLOSE_WAIT_MS 500

/* Ends everything in the command's session, which sshd made for it: its process group, and the groups that programs
 * like timeout(1) made inside. Only /proc knows those, and tells zombies, which a signal finds for ever where nobody
 * reaps them; without /proc there is the one group. Reading all of /proc is work for the server, so that signal 0 is
 * asked first and /proc when it finds nobody, or once a second. One cat and no `read`, which takes a byte at a time.
 * The script goes to sh by standard input, whatever the login shell is. */
static const char script[] =
    "P=%ld S=%s K=%llu E=%llu\n" /* process group, or with S empty its shell; tenths of a second until KILL and giving up */
    "exec 2>/dev/null\n"
    "set -f\n"
    "D=\" $P \"\n"
    "tree() {\n" /* P and what has descended from it since we look; a parent may come behind its child */
    "  A=$(set +f; cat /proc/[0-9]*/stat) N=\n"
    "  while [ \"$D\" != \"$N\" ]; do\n"
    "    N=$D G=\n"
    "    IFS='\n'\n"
    "    for l in $A; do\n"
    "      IFS=' '\n"
    "      p=${l%%%% *}\n"
    "      set -- ${l##*) }\n"
    "      case \"$D\" in *\" $p \"*) ;; *\" $2 \"*) D=\"$D$p \";; *) continue;; esac\n"
    "      case $1 in Z|X|x) ;; *) G=\"$G $p\";; esac\n"
    "    done\n"
    "  done\n"
    "  IFS=' '\n"
    "  [ -n \"$G\" ]\n"
    "}\n"
    "scan() {\n"
    "  G=\n"
    "  if [ ! -r /proc/self/stat ]; then\n"
    "    kill -0 $S$P && G=$P\n"
    "    [ -n \"$G\" ]; return\n"
    "  fi\n"
    "  [ -n \"$S\" ] || { tree; return; }\n"
    "  IFS='\n'\n"
    "  for l in $(set +f; cat /proc/[0-9]*/stat); do\n"
    "    IFS=' '\n"
    "    set -- ${l##*) }\n" /* state parent group session; what is before may be any text */
    "    [ \"$3\" = $P ] || [ \"$4\" = $P ] || continue\n"
    "    case $1 in Z|X|x) continue;; esac\n"
    "    case \" $G \" in *\" $3 \"*) ;; *) G=\"$G $3\";; esac\n"
    "  done\n"
    "  IFS=' '\n"
    "  [ -n \"$G\" ]\n"
    "}\n"
    "look() {\n"
    "  if [ $t -lt $n ]; then for g in $G; do kill -0 $S$g && return; done; fi\n"
    "  n=$((t+10))\n"
    "  scan || { echo gone; exit 0; }\n"
    "}\n"
    "hit() { for g in $G; do kill -$1 $S$g; done; }\n"
    "nap() { if sleep 0.1; then t=$((t+1)); else sleep 1; t=$((t+10)); fi; }\n"
    "t=0 n=0\n"
    "look; hit TERM; hit CONT\n"
    "sleep 0.02; look\n"
    "while [ $t -lt $K ]; do nap; look; done\n"
    "while [ $t -lt $E ]; do n=0; look; hit KILL; n=$((t+10)); sleep 0.02; look; nap; done\n"
    "echo alive\n";

struct mu_ender {
    struct mu_ssh_exec *target;
    struct mu_ssh_session *own; /* when the server gave no second channel */
    struct mu_ssh_exec *script;
};

static int run_script(struct mu_ender *n, struct mu_ssh_session *s, struct mu_err *err);

static uint64_t left_ms(const struct mu_ssh_exec *e)
{
    uint64_t now = mu_loop_now_ms(e->s->loop);

    return e->end_deadline_ms > now ? e->end_deadline_ms - now : 0;
}

void mu_end_free(struct mu_ssh_exec *e)
{
    struct mu_ender *n = e->ender;

    if (!n)
        return;
    e->ender = NULL;
    mu_ssh_exec_free(n->script);
    mu_ssh_session_free(n->own);
    free(n);
}

/* A command whose channel has closed has ended at least for those who wait for its output. */
static void ended(struct mu_ssh_exec *e, bool sure)
{
    e->result.unended = !sure;
    if (!sure)
        mu_log(MU_WARNING, "a command could not be ended on the server: process group %ld", e->result.pid);
    mu_exec_finish(e, NULL);
}

/* The channel's end is awaited, though nobody wants it: until then the command counts as a session, and a server that
 * allows few would refuse the next. */
static void seen_gone(struct mu_ssh_exec *e)
{
    if (e->closed || left_ms(e) <= CLOSE_WAIT_MS) {
        ended(e, true);
        return;
    }
    mu_end_free(e);
    e->seen_gone = true;
    e->end_deadline_ms = mu_loop_now_ms(e->s->loop) + CLOSE_WAIT_MS;
    mu_timer_start(e->timer, e->ctx, CLOSE_WAIT_MS);
}

static void could_not_look(struct mu_ender *n, const struct mu_err *err)
{
    mu_log(MU_DEBUG, "no way to end a command on the server: %s", err->msg);
    ended(n->target, n->target->closed);
}

static void on_connected(void *arg, const struct mu_err *err)
{
    struct mu_ender *n = arg;
    struct mu_err failed = {0};

    if (err->code)
        could_not_look(n, err);
    else if (run_script(n, n->own, &failed))
        could_not_look(n, &failed);
}

/* The server gives no second channel on this connection: try another connection. */
static void connect_again(struct mu_ender *n)
{
    struct mu_ssh_exec *e = n->target;
    const struct mu_ssh_target target = {.host = e->s->host, .port = e->s->port, .user = e->s->user,
                                         .key_file = e->s->key_file, .trust = e->s->trust, .args = e->s->args, .ways = e->s->ways};
    struct mu_err err = {0};

    if (mu_ssh_session_new(&n->own, e->s->loop, e->s->shared, &target, &err) ||
        mu_ssh_session_connect(n->own, e->ctx, left_ms(e), on_connected, n, &err))
        could_not_look(n, &err);
}

static void on_script_done(void *arg, struct mu_ssh_exec *script_exec)
{
    struct mu_ender *n = arg;
    struct mu_exec_result *r = &script_exec->result;

    if (r->error.code == MU_ECHANNEL && !n->own) {
        mu_ssh_exec_free(n->script);
        n->script = NULL;
        connect_again(n);
    } else if (r->error.code) {
        could_not_look(n, &r->error);
    } else if (r->out.len >= 4 && memcmp(r->out.data, "gone", 4) == 0) {
        seen_gone(n->target);
    } else {
        ended(n->target, false);
    }
}

static int run_script(struct mu_ender *n, struct mu_ssh_session *s, struct mu_err *err)
{
    struct mu_ssh_exec *e = n->target;
    struct mu_exec_request req = {.command = "exec sh", .limit = 4096};
    struct mu_buf text = MU_BUF_INIT;
    int rc = MU_ENOMEM;

    req.command = e->end_command ? e->end_command : req.command;
    mu_buf_adds(&text, e->end_input);
    mu_buf_addf(&text, script, e->result.pid, e->by_tree ? "" : "-", (unsigned long long)(e->kill_after_ms / 100),
                (unsigned long long)(e->kill_after_ms / 100 + left_ms(e) / 100 + 10));
    req.input = mu_buf_cstr(&text);
    req.input_len = text.len;
    if (!text.failed)
        rc = mu_exec_start(&n->script, s, e->ctx, &req, false, on_script_done, n, err);
    if (e->end_input && text.data)
        explicit_bzero(text.data, text.len);
    mu_buf_free(&text);
    return rc;
}

static void start(struct mu_ssh_exec *e)
{
    struct mu_ender *n = calloc(1, sizeof(*n));
    struct mu_err err = {0};

    if (!n) {
        ended(e, false);
        return;
    }
    n->target = e;
    e->ender = n;
    if (run_script(n, e->s, &err))
        could_not_look(n, &err);
}

void mu_end_advance(struct mu_ssh_exec *e)
{
    if (e->ender)
        return; /* its answer counts, also when the channel has closed: the shell alone may have ended */
    if (e->seen_gone) {
        if (e->closed)
            ended(e, true);
    } else if (e->result.pid) {
        start(e);
    } else if (e->closed || (e->eof && e->got_status)) {
        ended(e, true);
    } else if (e->seen_output && left_ms(e) > ANNOUNCE_WAIT_MS) {
        e->end_deadline_ms = mu_loop_now_ms(e->s->loop) + ANNOUNCE_WAIT_MS;
        mu_timer_start(e->timer, e->ctx, ANNOUNCE_WAIT_MS);
    }
}

void mu_end_timeout(struct mu_ssh_exec *e) { ended(e, e->seen_gone || e->state == MU_EXEC_OPENING); }

void mu_ssh_exec_abort(struct mu_ssh_exec *e, const struct mu_err *why, uint64_t kill_after_ms, uint64_t end_timeout_ms)
{
    bool again = e->aborting;

    if (e->state == MU_EXEC_FINISHED)
        return;
    mu_loop_update_time(e->s->loop); /* the caller may have been at work for long */
    if (again) {
        uint64_t left = left_ms(e);

        end_timeout_ms = end_timeout_ms < left ? end_timeout_ms : left;
        if (kill_after_ms < e->kill_after_ms)
            mu_end_free(e); /* the script there goes on by itself; a more impatient one follows */
        kill_after_ms = kill_after_ms < e->kill_after_ms ? kill_after_ms : e->kill_after_ms;
    } else {
        e->result.error = *why;
        mu_ssh_exec_hold(e, false);
        e->aborting = true;
        e->drop = true;
        e->lingering = false;
        e->input_eof = true;
    }
    e->kill_after_ms = kill_after_ms;
    e->end_deadline_ms = mu_loop_now_ms(e->s->loop) + end_timeout_ms;
    mu_timer_start(e->timer, e->ctx, end_timeout_ms);
    if (e->state == MU_EXEC_RUNNING)
        mu_end_advance(e);
}
