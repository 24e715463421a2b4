/* A guest's life: what it is made of, what it tells, and when it leaves. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/pick.h"
#include "run/sources.h"

/* ---- telling the coordinator ---- */

uint64_t mu_guest_put(struct mu_guest *g, const struct mu_wire_event *e)
{
    struct mu_buf event = MU_BUF_INIT;
    for (;;) {
        mu_wire_add_event(&event, e);
        if (!event.failed)
            break;
        usleep(10000);
        mu_buf_clear(&event);
    }
    return mu_outbox_put_take(g->outbox, &event);
}

uint64_t mu_guest_put_of(struct mu_guest *g, const struct mu_seat *seat, enum mu_wire_event_kind kind, const char *text)
{
    return mu_guest_put(g, &(struct mu_wire_event){.kind = kind,
                                                   .index = seat->task.index,
                                                   .task = seat->task.kind,
                                                   .delivery = seat->delivery,
                                                   .wall_ms = mu_clock_wall_ms(),
                                                   .text = (char *)text});
}

uint64_t mu_guest_put_claim(struct mu_guest *g, const struct mu_seat *seat, const char *data)
{
    return mu_guest_put(g, &(struct mu_wire_event){.kind = MU_EVENT_CLAIM, .index = seat->task.index, .task = seat->task.kind,
                                                   .delivery = seat->delivery, .ticket = seat->fence.seq,
                                                   .wall_ms = mu_clock_wall_ms(), .text = (char *)data});
}

void mu_guest_refuse(struct mu_guest *g, struct mu_seat *seat, const struct mu_err *why)
{
    const char *id = seat->server ? seat->server->id : "?";
    mu_log(MU_ERROR, "Run %s: the task of server %s is refused: %s", g->run_id, id, why->msg);
    if (!seat->silent) {
        mu_guest_put_of(g, seat, MU_EVENT_REFUSED, why->msg);
        seat->told = true;
    }
    mu_guest_seat_over(g, seat);
}

/* A line that a worker logs: the coordinator's log has it. */
static void line_sink(void *arg, const struct mu_record *record)
{
    struct mu_guest *g = arg;
    struct mu_buf event = MU_BUF_INIT;
    mu_wire_add_line(&event, record);
    mu_outbox_line_take(g->outbox, record->level, &event);
}

static int post_letter(void *arg, const char *id, const void *bytes, size_t len, mu_nats_post_fn *done, void *done_arg)
{
    struct mu_guest *g = arg;
    struct mu_buf subject = MU_BUF_INIT;
    mu_subject_event(&subject, g->run_id, g->agent->id);
    int rc = subject.failed ? MU_ENOMEM
                            : mu_nats_post(g->agent->nats, subject.data, id, bytes, len, MU_NATS_ANY, done, done_arg);
    mu_buf_free(&subject);
    return rc;
}

static void letter_stored(void *arg)
{
    struct mu_guest *g = arg;
    mu_guest_go_on(g);
    mu_agent_want(g->agent);
}

/* ---- the beginning ---- */

static int listen(struct mu_guest *g, struct mu_err *err)
{
    struct mu_buf subject = MU_BUF_INIT;
    int rc = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        mu_subject_word(&subject, g->run_id, i ? g->agent->id : NULL);
        rc = subject.failed ? mu_err_set(err, MU_ENOMEM, "out of memory")
                            : mu_nats_listen(&g->ears[i], g->agent->nats, subject.data, mu_guest_hear, g, err);
    }
    mu_buf_free(&subject);
    return rc;
}

/* One of the same run that came before, or after; NULL: none. */
static struct mu_guest *other_of_run(const struct mu_guest *g, bool after)
{
    bool passed = false;
    for (struct mu_list *l = g->agent->guests.next; l != &g->agent->guests; l = l->next) {
        struct mu_guest *other = mu_list_entry(l, struct mu_guest, link);
        if (other == g)
            passed = true;
        else if (passed == after && !strcmp(other->run_id, g->run_id))
            return other;
    }
    return NULL;
}

static int start(struct mu_guest *g, struct mu_err *err)
{
    struct mu_agent *a = g->agent;
    struct mu_buf name = MU_BUF_INIT;
    uint64_t *letters = mu_agent_letters(a, g->run_id);
    struct mu_outbox_way way = {.post = post_letter, .arg = g, .letter_max = mu_nats_max_payload(a->nats) / 2};
    mu_buf_addf(&name, "%s.%s", g->run_id, a->id);
    int rc = letters && !name.failed ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = mu_outbox_new(&g->outbox, a->loop, &way, mu_buf_cstr(&name), *letters, letter_stored, g, err);
    if (!rc)
        rc = listen(g, err);
    mu_buf_free(&name);
    if (rc)
        return rc;
    g->state = MU_GUEST_OPENING;
    mu_guest_open(g);
    return 0;
}

/* Errors are to say what they say in a run without agents: the paths as its user has them. MU_ENOMEM. */
static int name_sources(struct mu_guest *g)
{
    const char *path = g->brief.script_path ? g->brief.script_path : g->script_file;
    size_t n = 0;
    if (!(g->shown_folder = mu_script_folder_of(path)))
        return MU_ENOMEM;
    g->aliases[n++] = (struct mu_alias){g->script_file, path};
    g->aliases[n++] = (struct mu_alias){g->script->dir, g->shown_folder};
    if (g->library_dir && g->agent->config.library_dir)
        g->aliases[n++] = (struct mu_alias){g->library_dir, g->agent->config.library_dir};
    g->aliases[n] = (struct mu_alias){NULL, NULL};
    return 0;
}

int mu_guest_new(struct mu_guest **out, struct mu_agent *a, const char *run_id, struct mu_err *err)
{
    struct mu_guest *g = calloc(1, sizeof *g);
    if (!g)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    g->agent = a;
    mu_list_init(&g->questions);
    mu_list_init(&g->seats.all);
    mu_list_push(&a->guests, &g->link);
    g->busy_ms = g->looked_ms = mu_clock_ms();
    g->run_id = strdup(run_id);
    int rc = g->run_id ? mu_seats_init(&g->seats, a->slots, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = mu_mailbox_new(&g->home, a->loop, mu_guest_mail, g, err);
    if (!rc && !other_of_run(g, false))
        rc = start(g, err);
    if (rc)
        mu_guest_free(g);
    else
        *out = g;
    return rc;
}

void mu_guest_begin_waiting(struct mu_agent *a)
{
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
        struct mu_guest *g = mu_list_entry(l, struct mu_guest, link);
        struct mu_err err;
        if (g->state != MU_GUEST_WAITING || other_of_run(g, false) || !start(g, &err))
            continue;
        mu_log(MU_ERROR, "Run %s: its tasks are given back: %s", g->run_id, err.msg);
        mu_guest_give_back(g);
        g->state = MU_GUEST_GONE;
    }
}

int mu_guest_begin(struct mu_guest *g, struct mu_err *err)
{
    struct mu_agent *a = g->agent;
    const struct mu_brief *b = &g->brief;
    bool *only = NULL;
    int rc = mu_logger_new(&g->logger, b->level);
    if (!rc)
        rc = mu_logger_add_sink(g->logger, line_sink, g, NULL);
    if (!rc)
        rc = name_sources(g);
    if (rc)
        return mu_err_set(err, rc, "out of memory");
    g->engine = (struct mu_engine){.bindings = a->bindings,
                                   .script = g->script,
                                   .library_dir = g->library_dir,
                                   .aliases = g->aliases,
                                   .logger = g->logger,
                                   .home = g->home,
                                   .keeps = true,
                                   .local = b->local,
                                   .fail_fast = b->fail_fast,
                                   .pairs = b->pairs,
                                   .dry_run = b->dry_run,
                                   .allow_destructive = b->allow_destructive,
                                   .cleanup = b->cleanup,
                                   .run_id = g->run_id,
                                   .owner = b->owner,
                                   .user = b->user ? b->user : a->settings.user,
                                   .sudo_password = a->settings.sudo_password,
                                   .connect_retries = b->connect_retries ? b->connect_retries : a->settings.connect_retries,
                                   .timeout_ms = b->timeout_ms,
                                   .connect_timeout_ms = b->connect_timeout_ms,
                                   .setup_timeout_ms = b->setup_timeout_ms,
                                   .teardown_timeout_ms = b->teardown_timeout_ms,
                                   .task_memory = b->task_memory,
                                   .shared = b->has_shared ? &b->shared : NULL,
                                   .servers = g->seats.servers,
                                   .n_servers = 2 * g->seats.n_places,
                                   .seat_pasts = g->seats.pasts,
                                   .seat_past_whys = g->seats.past_whys};
    if (!(g->engine.sources = mu_sources_new()))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!b->cleanup)
        rc = mu_rules_new(&g->rules, g->script, g->seats.servers, 2 * g->seats.n_places, err);
    g->engine.rules = g->rules;
    if (!rc && !b->cleanup)
        rc = mu_pick_steps(&only, g->script, (const char *const *)b->steps, err);
    g->engine.only = only;
    if (rc)
        return rc;
    mu_crew_local_init(&g->crew, &g->engine, g->seats.servers, 2 * g->seats.n_places, a->loop);
    g->crew_began = true;
    return mu_crew_local_start(&g->crew, a->n_workers < a->slots ? a->n_workers : a->slots, err);
}

/* ---- as time goes by ---- */

/* The guest that is to go on with the run has to wait for this one: what is left is acknowledgements, which that one can wait
 * for. */
static void hand_over(struct mu_guest *g)
{
    struct mu_guest *next = other_of_run(g, true);
    struct mu_list *l;
    for (l = g->seats.all.next; next && l != &g->seats.all; l = l->next)
        if (mu_fence_is_busy(&mu_list_entry(l, struct mu_seat, link)->fence))
            return;
    while (next && (l = mu_list_pop(&g->seats.all)))
        mu_list_push(&next->seats.all, l);
    if (next)
        mu_guest_leave(g);
}

void mu_guest_tick(struct mu_guest *g, uint64_t now)
{
    size_t at_work = mu_guest_at_work(g);
    if (g->state >= MU_GUEST_LEAVING || g->state == MU_GUEST_WAITING)
        return;
    if (g->open_again_ms && now >= g->open_again_ms) {
        g->open_again_ms = 0;
        mu_guest_open(g);
    }
    if (at_work) {
        g->busy_ms = now;
        if (g->kill_ms && now >= g->kill_ms) {
            g->kill_ms = 0;
            mu_guest_kill(g);
        }
    }
    if (now - g->asked_ms >= MU_GUEST_LOOK_MS) {
        g->asked_ms = now;
        mu_guest_ask_anew(g, false);
    }
    bool due = now - g->looked_ms >= (g->held ? MU_GUEST_HELD_LOOK_MS : MU_GUEST_LOOK_MS);
    if (due && (g->held ? mu_nats_connected(g->agent->nats) : !at_work))
        mu_guest_look(g);
    mu_guest_go_on(g);
    if (!at_work && mu_outbox_is_empty(g->outbox) && !g->opening && !g->checking && !g->looking)
        hand_over(g);
    bool idle = g->over || now - g->busy_ms >= MU_GUEST_IDLE_MS;
    if (idle && !mu_guest_owes(g) && mu_outbox_is_empty(g->outbox) && !g->opening && !g->checking && !g->looking)
        mu_guest_leave(g);
}

/* ---- the end ---- */

static void note_letters(struct mu_guest *g)
{
    uint64_t *letters = mu_agent_letters(g->agent, g->run_id);
    if (letters)
        *letters = mu_outbox_letters(g->outbox);
}

void mu_guest_leave(struct mu_guest *g)
{
    if (g->state >= MU_GUEST_LEAVING)
        return;
    mu_log(MU_INFO, "Run %s: %s; %zu task%s done here.", g->run_id, g->over ? "over" : "no tasks of it at present", g->n_done,
           g->n_done == 1 ? " was" : "s were");
    g->state = MU_GUEST_LEAVING;
    mu_outbox_shut(g->outbox); /* another guest of the run may begin now, and its letters are numbered on */
    note_letters(g);
    mu_crew_local_stop(&g->crew);
    if (!g->crew.n_started)
        g->state = MU_GUEST_GONE;
}

static void stop_listening(struct mu_guest *g)
{
    for (int i = 0; i < 2; i++) {
        mu_nats_listen_end(g->ears[i]);
        g->ears[i] = NULL;
    }
}

void mu_guest_part(struct mu_guest *g)
{
    stop_listening(g);
    for (struct mu_list *l = g->seats.all.next; l != &g->seats.all; l = l->next) {
        struct mu_seat *seat = mu_list_entry(l, struct mu_seat, link);
        if (seat->job && !seat->told && !seat->fence.closed)
            mu_nats_job_give_back_free(seat->job);
        else
            mu_nats_job_free(seat->job);
        seat->job = NULL;
    }
    if (g->outbox)
        mu_outbox_shut(g->outbox);
    g->state = MU_GUEST_GONE;
}

static void nothing(void *arg) { (void)arg; }

void mu_guest_free(struct mu_guest *g)
{
    mu_list_remove(&g->link);
    stop_listening(g);
    if (g->crew_began) {
        mu_crew_local_join(&g->crew, true, nothing, NULL);
        mu_crew_local_free(&g->crew);
    }
    if (g->crew.abandoned) { /* a worker is stuck in a call, and uses all of this */
        g->agent->stuck = true;
        return;
    }
    if (g->home)
        mu_mailbox_free(g->home, mu_message_free);
    mu_guest_forget_questions(g);
    while (!mu_list_empty(&g->seats.all))
        mu_seats_leave(&g->seats, mu_list_entry(g->seats.all.next, struct mu_seat, link));
    mu_ssh_shared_free(g->engine.ssh);
    mu_sources_free(g->engine.sources);
    mu_rules_free(g->rules);
    free((bool *)g->engine.only);
    mu_outbox_free(g->outbox);
    mu_logger_free(g->logger);
    mu_script_free(g->script);
    mu_brief_clear(&g->brief);
    mu_seats_clear(&g->seats);
    free(g->script_file);
    free(g->shown_folder);
    free(g->library_dir);
    free(g->run_id);
    free(g);
}
