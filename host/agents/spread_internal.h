/* spread_internal.h: the coordinator's crew from inside: what the spread_*.c files share.
 *
 * Files: spread.c begins it and spread_end.c ends it; spread_open.c says which queue is whose and publishes the script;
 *   spread_tasks.c puts tasks into the queue, spread_look.c looks at what is there already, spread_stall.c at what nobody is
 *   given; spread_pull.c gets what agents write, and spread_letters.c takes it in; spread_results.c knows who is at what and
 *   what it came to, spread_failures.c what nobody does any more, spread_permits.c who waits for a permit; spread_watch.c
 *   looks for those who are gone; spread_chores.c does what waits for nats-server.
 * Owner: spread.c makes and frees it. Thread: the run's main one, but a chore's work.
 * Must not know: what spread.h hides.
 *
 * Which of several deliveries counts: the latest that has started (spread.h). A task is over here as soon as its result
 * has been mailed; its agent is told so, and acknowledges it, when that is committed (ops.kept). So the message of a
 * server's former task may still be in the stream when the next is to be put there: see spread_tasks.c.
 */
#ifndef MU_AGENTS_SPREAD_INTERNAL_H
#define MU_AGENTS_SPREAD_INTERNAL_H

#include "agents/bundle.h"
#include "agents/roster.h"
#include "agents/spread.h"
#include "agents/subjects.h"
#include "agents/wire.h"
#include "core/list.h"
#include "run/crew.h"

#define MU_SPREAD_NOBODY UINT32_MAX
#define MU_SPREAD_LETTERS 32     /* wanted at once; they are held until what they say is committed */
#define MU_SPREAD_POSTS 512      /* under way at once */
#define MU_SPREAD_RESUME_MS 3000 /* for agents to say which permits they hold, before anybody gets one */

enum mu_spread_state {
    MU_SPREAD_NONE,    /* no task is open */
    MU_SPREAD_WAITS,   /* to be posted */
    MU_SPREAD_POSTED,  /* in the queue, or on its way there */
    MU_SPREAD_STARTED, /* an agent is at it */
    MU_SPREAD_FAILING  /* nobody does it any more; that will be told when it is known what is claimed */
};
enum {
    MU_SPREAD_LISTED = 1,   /* in one of the lists of those that wait */
    MU_SPREAD_MAYBE = 2,    /* a post of this task may have been stored */
    MU_SPREAD_POSTING = 4,  /* a post of it is under way */
    MU_SPREAD_UNKEPT = 8,   /* the result of its former task is not committed yet */
    MU_SPREAD_PRESENT = 16, /* its task was there already when the run was resumed */
    MU_SPREAD_TOLD = 32,    /* that a result was left out */
    MU_SPREAD_BEGUN = 64    /* the run knows when it began */
};

/* One a server: as little as it takes. */
struct mu_spread_server {
    struct mu_message *deal;                /* until it is posted; NULL: the bare task */
    struct mu_spread_trail *trail;          /* who had it, when it was delivered more than once */
    uint64_t claimed;                       /* the last change of its claim that is known here, as the queue counts */
    uint64_t seq;                           /* of its last message in the stream, as far as is known; 0: not */
    uint32_t delivery, agent;               /* the latest that has started, and who has it */
    uint32_t former_delivery, former_agent; /* of its former task, which may still be in the stream */
    uint32_t began_s;                       /* when, in seconds since the crew was made */
    uint32_t peer;
    uint32_t number;            /* of its task, among all */
    uint32_t next;              /* in the list that it is in */
    uint32_t due_ms;            /* when it is to be posted again, since the crew was made */
    uint16_t home_queue, queue; /* the server's; that of the task */
    uint16_t permits;           /* that it holds, or waits for */
    uint8_t state, kind, tries, flags;
};
struct mu_spread_trail {
    size_t n;
    struct mu_spread_had {
        uint32_t agent, delivery, began_s;
    } items[];
};

struct mu_spread_agent {
    char id[MU_AGENT_ID_SIZE];
    char *name;            /* as the roster has it; NULL: not known */
    uint64_t last;         /* number of its last letter that was taken in */
    unsigned gap;          /* the generation of the pull since which one that is missing does not exist; 0: none is */
    struct mu_buf piece;   /* of an event that goes on */
    struct mu_list pieces; /* and its letters */
    uint64_t first_piece;  /* the number of the first */
    size_t n_started;      /* tasks that it has */
    uint64_t heard_ms;
    bool lost, idle;
};

struct mu_spread_queue {
    char *group; /* NULL: any */
    char *token;
    size_t n_open;     /* tasks */
    bool idle;         /* it said so when it was looked at last (spread_stall.c) */
    uint64_t alive_ms; /* when there was last an agent for it */
    uint64_t said_ms;
};

struct mu_spread_letter {
    struct mu_list link;
    struct mu_nats_job *job;
    struct mu_buf whole; /* an event of several letters, in the last of these */
    size_t lines_at;     /* from where on there are lines that wait; SIZE_MAX: none */
    uint32_t agent;
    unsigned pull; /* its generation; 0: another one was asked for already */
};

/* A word to be said once all that was mailed is committed. */
struct mu_spread_word {
    uint32_t agent;
    enum mu_wire_word_kind kind;
    size_t index;
    uint64_t delivery;
    int code;
};

/* Something that waits for nats-server: work() in a helper thread, one after the other, then done() in the loop.
 * Embedded first. */
struct mu_spread_chore {
    struct mu_list link;
    struct mu_spread *s;
    void (*work)(struct mu_spread_chore *c); /* of s only nats, and what never changes */
    void (*done)(struct mu_spread_chore *c);
    void (*free)(struct mu_spread_chore *c);
};

struct mu_spread {
    struct mu_crew crew;
    struct mu_spread_config config;
    const struct mu_crew_home *home;
    const char *run_id;
    uint64_t born_ms;
    int64_t born_wall_ms;
    struct mu_nats *nats;
    struct mu_nats_ear *beats, *advice;
    struct mu_roster roster;
    char bundle[MU_BUNDLE_NAME_SIZE];
    size_t n;
    struct mu_spread_server *servers; /* one each */
    struct mu_spread_agent **agents;
    size_t n_agents;
    struct mu_spread_queue *queues;
    size_t n_queues;
    bool begun, over;
    /* posting */
    struct mu_spread_list {
        uint32_t first, last;
    } ready, later;
    struct mu_list posts; /* under way */
    size_t n_posts;
    uint32_t n_tasks; /* so far */
    char nonce[24];
    struct mu_timer *again;
    bool again_runs;
    uint32_t again_ms; /* when it does */
    struct mu_buf task, subject;
    /* letters */
    struct mu_nats_pull *pull;
    unsigned pulls; /* its generation, from 1 */
    bool renews, to_renew;
    struct mu_list letters;
    unsigned n_letters; /* so far */
    bool late;          /* at the end: nothing comes any more */
    bool dirty;         /* something was mailed that may not be committed */
    struct mu_spread_word *words;
    size_t n_words, cap_words;
    void *permits;
    uint64_t resume_until_ms;
    /* chores */
    struct mu_list chores, failing;
    struct mu_work *work;
    bool failing_runs, looking_runs;
    struct mu_list looking;
    /* watching */
    struct mu_timer *tick;
    bool connected;
    uint64_t lost_ms, back_ms, lost_said_ms;
    uint64_t stirred_ms, stall_ms; /* when an agent wrote last; when it was looked why none does */
    bool stall_looks;
    uint64_t cancelled_ms; /* 0: not */
    bool sweeps, swept; /* after a cancel: what is claimed is being looked at; it was, since the last that was heard */
};

static inline bool mu_spread_is(const struct mu_spread_server *v, unsigned flag)
{
    return v->flags & flag;
}
static inline void mu_spread_set(struct mu_spread_server *v, unsigned flag, bool on)
{
    v->flags = (uint8_t)(on ? v->flags | flag : v->flags & ~flag);
}
uint32_t mu_spread_since_ms(const struct mu_spread *s);

/* spread.c */
const char *mu_spread_agent_name(const struct mu_spread *s, uint32_t i); /* to be escaped */
/* By its id; one that was not heard of before is added. MU_SPREAD_NOBODY: out of memory, or no id. */
uint32_t mu_spread_agent_find(struct mu_spread *s, const char *id);
void mu_spread_say(struct mu_spread *s, const char *agent /* NULL: to all */, const struct mu_wire_word *w);
/* A line about one server. */
void mu_spread_log(struct mu_spread *s, size_t index, enum mu_level level, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void mu_spread_mail(struct mu_spread *s, struct mu_message *m_take);
void mu_spread_pause(void); /* memory is short: a moment */

void mu_spread_take_down(struct mu_spread *s); /* nothing of it is on the loop any more */

/* spread_end.c */
void mu_spread_cancel(struct mu_crew *c, uint64_t until_ms);
void mu_spread_kill(struct mu_crew *c);
void mu_spread_end(struct mu_crew *c);
void mu_spread_tidy(struct mu_spread *s); /* what runs that are over have left behind. Waits */

/* spread_open.c: each waits */
int mu_spread_choose_queues(struct mu_spread *s, struct mu_err *err);
int mu_spread_publish(struct mu_spread *s, struct mu_err *err); /* the script */
int mu_spread_put_brief(struct mu_spread *s, int state, struct mu_err *err);
int mu_spread_look_back(struct mu_spread *s, struct mu_err *err); /* resumed: tasks, and claims */
bool mu_spread_queue_is_served(const struct mu_spread *s, const struct mu_spread_queue *q); /* now; does not wait */
uint16_t mu_spread_queue_of_pair(const struct mu_spread *s, size_t first, size_t second);
const char *mu_spread_queue_filter(struct mu_spread *s, const struct mu_spread_queue *q,
                                   struct mu_buf *out); /* its tasks of this run */

/* spread_tasks.c */
void mu_spread_deal(struct mu_crew *c, struct mu_message *m_take);
void mu_spread_pump(struct mu_spread *s);
void mu_spread_again(void *s);                                          /* a timer's */
void mu_spread_soon(struct mu_spread *s, size_t index, uint32_t in_ms); /* post it (again) */
void mu_spread_close_task(struct mu_spread *s, size_t index);           /* it has its result */
void mu_spread_try_again(struct mu_spread *s, size_t index);            /* in a while */
void mu_spread_free_posts(struct mu_spread *s);

/* spread_look.c */
void mu_spread_look(struct mu_spread *s, size_t index); /* what is there instead of the task that waits */
void mu_spread_free_looking(struct mu_spread *s);

/* spread_pull.c */
int mu_spread_pull(struct mu_spread *s,
                   struct mu_err *err); /* waits; letters come from the first that is not acknowledged */
void mu_spread_renew(struct mu_spread *s);

/* spread_letters.c */
mu_nats_pull_fn mu_spread_letter;
void mu_spread_forget_pieces(struct mu_spread *s); /* of events that go on: they come again */
void mu_spread_free_letters(struct mu_spread *s);
void mu_spread_kept(struct mu_crew *c);

/* spread_results.c */
void mu_spread_started(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e);
void mu_spread_result(struct mu_spread *s, uint32_t agent, struct mu_wire_event *e);
bool mu_spread_counts(const struct mu_spread *s, uint32_t agent,
                      const struct mu_wire_event *e); /* it is about the open task, and the latest */
bool mu_spread_is_open(const struct mu_spread *s, const struct mu_wire_event *e); /* it is about the open task */
bool mu_spread_has(struct mu_spread *s, uint32_t agent,
                   const struct mu_wire_event *e); /* the same for one that names no kind of task */
void mu_spread_drop(struct mu_spread *s, uint32_t agent, size_t index,
                    uint64_t delivery, bool open); /* it is told, when all is committed; open: another one is at that task */
void mu_spread_say_words(struct mu_spread *s); /* all is committed: who did it is told */
/* The task has its result, from this agent (or nobody): nothing else counts from now on. To be called before that is
 * mailed. */
void mu_spread_settle(struct mu_spread *s, uint32_t agent, size_t index, uint64_t delivery);

/* spread_failures.c */
/* Nobody does the task any more; agent: who said so, or MU_SPREAD_NOBODY. */
void mu_spread_fail(struct mu_spread *s, size_t index, uint32_t agent, uint64_t delivery, const char *cause,
                    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void mu_spread_exhausted(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e);
/* nats-server says that it hands a task out no more: whoever had it last has gone, too. */
mu_nats_hear_fn mu_spread_given_up;
#define MU_SUBJECT_GIVEN_UP "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." MU_STREAM_TASKS ".*"
void mu_spread_free_failing(struct mu_spread *s);

/* spread_permits.c */
void mu_spread_acquire(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e);
void mu_spread_leave(struct mu_spread *s, uint32_t agent, uint64_t ticket);
void mu_spread_give_back(struct mu_spread *s, size_t index); /* all that the server has */
void mu_spread_answer(struct mu_crew *c, int worker, uint64_t ticket, const struct mu_err *err);
void mu_spread_free_permits(struct mu_spread *s);

/* spread_stall.c */
void mu_spread_look_at_stall(struct mu_spread *s);

/* spread_watch.c */
mu_nats_hear_fn mu_spread_beat;
mu_nats_state_fn mu_spread_state;
void mu_spread_heard(struct mu_spread *s, uint32_t agent);
void mu_spread_tick(void *s); /* a timer's */
bool mu_spread_settled(const struct mu_crew *c);
void mu_spread_settle_soon(struct mu_spread *s); /* something has changed */
bool mu_spread_is_alive(const struct mu_spread *s,
                        const struct mu_spread_agent *a); /* also one that takes nothing more */
bool mu_spread_is_leaving(const struct mu_spread *s, const struct mu_spread_agent *a);

/* spread_chores.c */
void mu_spread_chore(struct mu_spread *s, struct mu_spread_chore *c_take);
void mu_spread_chores_end(struct mu_spread *s); /* waits until none is left */
void mu_spread_purge(struct mu_spread *s, const char *stream, const char *filter);
void mu_spread_sweep(struct mu_spread *s);                        /* what is claimed */
int mu_spread_sweep_now(struct mu_spread *s, struct mu_err *err); /* waits */

#endif
