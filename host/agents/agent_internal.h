/* agent_internal.h: an agent and its guests, each a run that it does tasks of, from inside.
 *
 * Files: agent.c makes it, agent_go.c serves, agent_jobs.c takes jobs, agent_contact.c watches the connection, agent_keys.c has
 * passphrases; guest.c a guest's life, guest_tasks.c the way of its tasks, guest_open.c what is fetched for it, guest_check.c
 * what is looked at before a task begins, guest_mail.c what workers say, guest_words.c what the coordinator says.
 * Owner: agent.c makes and frees the agent, agent_go.c its guests.
 * Thread: the loop's; what helper threads do is in guest_open.c and guest_check.c, on data of their own or such that nobody
 * changes. Must not know: what agent.h hides.
 */
#ifndef MU_AGENTS_AGENT_INTERNAL_H
#define MU_AGENTS_AGENT_INTERNAL_H

#include <stdatomic.h>

#include "agents/agent.h"
#include "agents/brief.h"
#include "agents/outbox.h"
#include "agents/seats.h"
#include "agents/subjects.h"
#include "agents/wire.h"
#include "loop/work.h"
#include "run/crew_local.h"

#define MU_GUEST_IDLE_MS 60000          /* without a task for so long its workers leave */
#define MU_GUEST_LOOK_MS 15000          /* how often what is open is asked, and the brief looked at */
#define MU_GUEST_HELD_LOOK_MS 1000      /* the latter, while it holds back what is to be told */
#define MU_GUEST_LEAVE_MS 1000          /* past the grace, before tasks are killed */
#define MU_AGENT_OUTBOX_MAX ((size_t)64 << 20) /* bytes not stored yet, past which no work is taken */

struct mu_agent {
    struct mu_agent_config config;
    struct mu_run_config settings;
    const struct mu_bindings *bindings;
    struct mu_logger *logger;
    struct mu_loop *loop;
    struct mu_mailbox *wake;            /* nudged by mu_agent_drain() */
    struct mu_nats *nats;
    struct mu_nats_pull *pull;
    struct mu_nats_ear *hail;
    struct mu_timer *tick, *renew, *lost_timer;
    struct mu_work *flush;
    uint64_t flush_began_ms, contact_ms, beat_ms;
    bool lost;                          /* no contact for so long that others may have our tasks */
    char id[MU_AGENT_ID_SIZE];
    char *name, *host, *cache_dir;
    char **groups;
    unsigned slots, n_workers;
    unsigned wanted;                    /* jobs that were asked for and have not come */
    unsigned works;                     /* helpers at work: the connection is still needed */
    uint64_t tickets, changes;          /* questions asked, claims changed, so far */
    struct mu_list guests;
    bool stuck;                         /* a worker of a former guest is, in a call: nothing that it uses is freed */
    struct mu_agent_past *pasts;        /* runs that were guests here */
    _Atomic(int) drains;
    int drains_seen;
    uint64_t drain_until_ms;            /* then what still runs is cancelled */
    bool drain_cancelled;
    bool begun;                         /* nobody can be asked for a passphrase any more */
    struct mu_agent_phrase *phrases;    /* agent_keys.c */
    char *versions_seen;                /* of others, that were told */
};

/* A run that was here, and how many letters were written for it: those that are to come are numbered on. */
struct mu_agent_past {
    struct mu_agent_past *next;
    uint64_t letters;
    char run_id[];
};

enum mu_guest_state {
    MU_GUEST_WAITING, /* for an earlier guest of the same run to be gone: that one was cancelled, or its run over, and then gone
                         on with */
    MU_GUEST_OPENING, /* brief, bundle and script are fetched */
    MU_GUEST_READY,
    MU_GUEST_BROKEN,  /* why: its tasks are refused */
    MU_GUEST_LEAVING, /* its workers are to end */
    MU_GUEST_GONE     /* they have */
};

struct mu_guest {
    struct mu_list link;
    struct mu_agent *agent;
    char *run_id;
    enum mu_guest_state state;
    struct mu_err why;
    struct mu_brief brief;
    char *script_file, *library_dir;
    char *shown_folder;                 /* of the script, as the run's user calls it */
    struct mu_alias aliases[4];
    struct mu_script *script;
    struct mu_logger *logger;
    struct mu_mailbox *home;
    struct mu_engine engine;
    struct mu_rules *rules;
    struct mu_crew_local crew;
    bool crew_began;
    struct mu_seats seats;
    struct mu_outbox *outbox;           /* NULL while it is WAITING */
    struct mu_nats_ear *ears[2];
    struct mu_list questions;           /* guest_mail.c */
    struct mu_work *opening, *checking, *looking;
    bool held;                          /* the connection was lost: the brief is read before anything is told */
    bool look_again;                    /* at the brief, as soon as the one under way is over */
    bool cancelled, idle_said, over;    /* over: the run has ended; nobody listens */
    uint64_t open_again_ms;             /* when it could not be fetched; 0: not */
    uint64_t looked_ms, asked_ms, busy_ms, kill_ms;
    size_t n_begun, n_done;
};

/* agent.c */
void mu_agent_want(struct mu_agent *a);
void mu_agent_beat(struct mu_agent *a);
uint64_t *mu_agent_letters(struct mu_agent *a, const char *run_id); /* NULL: no memory */
uint64_t mu_agent_grace_ms(const struct mu_agent *a);
/* agent_jobs.c */
int mu_agent_open_queues(struct mu_agent *a, struct mu_err *err); /* streams, consumers, the pull. Waits */
/* agent_keys.c */
/* What would keep it from reaching servers is told now, not with the first task; passphrases are asked for. */
int mu_agent_check_ssh(struct mu_agent *a, struct mu_err *err);
void mu_agent_forget_phrases(struct mu_agent *a);
/* agent_contact.c */
void mu_agent_in_contact(struct mu_agent *a, uint64_t since_ms); /* at that time the queue could be reached */
void mu_agent_renew(void *agent); /* timers' */
void mu_agent_lost(void *agent);
mu_nats_state_fn mu_agent_connection;
mu_nats_hear_fn mu_agent_hailed;

/* guest.c, guest_tasks.c */
int mu_guest_new(struct mu_guest **out, struct mu_agent *a, const char *run_id, struct mu_err *err);
void mu_guest_begin_waiting(struct mu_agent *a); /* those who WAIT for nobody any more begin */
void mu_guest_free(struct mu_guest *g); /* GONE, or the connection is closed */
void mu_guest_take(struct mu_guest *g, struct mu_wire_task *task_take, struct mu_nats_job *job_take, uint64_t delivery,
                    const struct mu_err *unreadable /* NULL: it was read */);
/* Move every task on as far as it can go now. */
void mu_guest_go_on(struct mu_guest *g);
void mu_guest_tick(struct mu_guest *g, uint64_t now);
void mu_guest_leave(struct mu_guest *g);
/* The agent leaves: jobs of what is not over go back, those whose results are told are left as they are. They are handed out
 * again when their time is over; who has their result then says so. */
void mu_guest_part(struct mu_guest *g);
size_t mu_guest_owes(const struct mu_guest *g); /* tasks at work, and jobs that are to be acknowledged */
size_t mu_guest_at_work(const struct mu_guest *g);
/* Both return the event's mark in the outbox. */
uint64_t mu_guest_put(struct mu_guest *g, const struct mu_wire_event *e);
uint64_t mu_guest_put_of(struct mu_guest *g, const struct mu_seat *seat, enum mu_wire_event_kind kind, const char *text);
uint64_t mu_guest_put_claim(struct mu_guest *g, const struct mu_seat *seat, const char *data); /* as its last change left it */
void mu_guest_refuse(struct mu_guest *g, struct mu_seat *seat, const struct mu_err *why);
void mu_guest_seat_over(struct mu_guest *g, struct mu_seat *seat); /* no worker has it; it may be gone after it */
void mu_guest_settle(struct mu_guest *g, struct mu_seat *seat);     /* gone when nothing is left of it */
/* All tasks are cancelled, and killed when they are not over by then. */
enum mu_guest_end {
    MU_GUEST_TELL,      /* the coordinator wants it so, and what comes of them */
    MU_GUEST_GIVE_BACK, /* the agent leaves: others are to have them */
    MU_GUEST_LOSE,      /* others may have them */
    MU_GUEST_FORGET     /* the run is over */
};
void mu_guest_cancel(struct mu_guest *g, enum mu_guest_end how, uint64_t grace_ms);
void mu_guest_cancel_one(struct mu_guest *g, struct mu_seat *seat); /* nobody wants it; it may be gone after it */
void mu_guest_lose_one(struct mu_guest *g, struct mu_seat *seat);   /* another agent has it */
void mu_guest_kill(struct mu_guest *g);
void mu_guest_give_back(struct mu_guest *g); /* what has not begun */

/* guest_open.c */
void mu_guest_open(struct mu_guest *g);
void mu_guest_look(struct mu_guest *g); /* what the brief says by now */
int mu_guest_begin(struct mu_guest *g, struct mu_err *err); /* engine and workers */
/* guest_check.c */
void mu_guest_check(struct mu_guest *g); /* those that have STARTED */
/* guest_mail.c */
void mu_guest_mail(void *guest, struct mu_msg *msg);
void mu_guest_answered(struct mu_guest *g, const struct mu_wire_word *w);
void mu_guest_ask_anew(struct mu_guest *g, bool held_too);
void mu_guest_forget_questions(struct mu_guest *g);
/* guest_words.c */
mu_nats_hear_fn mu_guest_hear;

#endif
