#include "agents/agent.h"

#include "agents/agent_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agents/bundle.h"
#include "agents/roster.h"
#include "core/clock.h"

#define TOKEN_MAX (MU_AGENT_ID_SIZE - 8) /* of an id, before "-" and 6 digits */

/* ---- who it is ---- */

static int name_it(struct mu_agent *a, struct mu_err *err)
{
    char host[HOST_NAME_MAX + 1] = "";
    unsigned char random[3] = {0};
    struct mu_buf token = MU_BUF_INIT;
    if (gethostname(host, sizeof host - 1) != 0 || !host[0])
        strcpy(host, "unknown");
    if (getrandom(random, sizeof random, 0) < 0)
        memset(random, 0, sizeof random);
    a->host = strdup(host);
    a->name = strdup(a->config.name && *a->config.name ? a->config.name : host);
    if (a->name)
        mu_subject_add_token(&token, a->name);
    snprintf(a->id, sizeof a->id, "%.*s-%02x%02x%02x", TOKEN_MAX, mu_buf_cstr(&token), random[0], random[1], random[2]);
    bool failed = !a->host || !a->name || token.failed;
    mu_buf_free(&token);
    return failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}

static int copy_groups(struct mu_agent *a, struct mu_err *err)
{
    size_t n = 0;
    while (a->config.groups && a->config.groups[n])
        n++;
    a->groups = calloc(n + 1, sizeof *a->groups);
    for (size_t i = 0; a->groups && i < n; i++)
        if (!(a->groups[i] = strdup(a->config.groups[i])))
            return mu_err_set(err, MU_ENOMEM, "out of memory");
    return a->groups ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
}

/* ---- its life ---- */

static void woken(void *arg, struct mu_msg *msg) { (void)arg, (void)msg; } /* the loop turns: agent_go.c looks */

int mu_agent_new(struct mu_agent **out, const struct mu_agent_config *config, const struct mu_bindings *bindings,
                 struct mu_logger *logger, struct mu_err *err)
{
    struct mu_agent *a = calloc(1, sizeof *a);
    struct mu_buf dir = MU_BUF_INIT;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!a)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    a->config = *config;
    if (config->settings)
        a->settings = *config->settings;
    a->bindings = bindings;
    a->logger = logger;
    mu_list_init(&a->guests);
    a->slots = config->forks ? config->forks : 50;
    a->n_workers = config->workers ? config->workers : cores > 0 ? (unsigned)cores : 1;
    a->config.drain_timeout_ms = config->drain_timeout_ms ? config->drain_timeout_ms : 30000;
    a->config.ack_wait_ms = config->ack_wait_ms ? config->ack_wait_ms : MU_ACK_WAIT_MS;
    int rc = name_it(a, err);
    if (!rc)
        rc = copy_groups(a, err);
    if (!rc)
        rc = mu_bundle_cache_dir(&dir, config->cache_dir, err);
    if (!rc && !(a->cache_dir = mu_buf_take(&dir)))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = mu_loop_new(&a->loop, err);
    if (!rc)
        rc = mu_mailbox_new(&a->wake, a->loop, woken, a, err);
    mu_buf_free(&dir);
    if (rc)
        mu_agent_free(a);
    else
        *out = a;
    return rc;
}

void mu_agent_drain(struct mu_agent *a)
{
    atomic_fetch_add(&a->drains, 1);
    mu_mailbox_nudge(a->wake);
}

void mu_agent_free(struct mu_agent *a)
{
    if (!a || a->stuck) /* a worker is stuck, and uses all of this */
        return;
    if (a->wake)
        mu_mailbox_free(a->wake, NULL);
    mu_loop_free(a->loop);
    for (struct mu_agent_past *p = a->pasts, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    for (size_t i = 0; a->groups && a->groups[i]; i++)
        free(a->groups[i]);
    free(a->groups);
    free(a->name);
    free(a->host);
    free(a->cache_dir);
    mu_agent_forget_phrases(a);
    free(a->versions_seen);
    free(a);
}

/* ---- what its guests ask of it ---- */

uint64_t mu_agent_grace_ms(const struct mu_agent *a) { return a->settings.grace_ms ? a->settings.grace_ms : 15000; }

uint64_t *mu_agent_letters(struct mu_agent *a, const char *run_id)
{
    struct mu_agent_past *p = a->pasts;
    while (p && strcmp(p->run_id, run_id) != 0)
        p = p->next;
    if (!p && (p = calloc(1, sizeof *p + strlen(run_id) + 1))) {
        strcpy(p->run_id, run_id);
        p->next = a->pasts;
        a->pasts = p;
    }
    return p ? &p->letters : NULL;
}

static unsigned at_work(const struct mu_agent *a)
{
    size_t n = 0;
    for (const struct mu_list *l = a->guests.next; l != &a->guests; l = l->next)
        n += mu_guest_at_work(mu_list_entry(l, struct mu_guest, link));
    return (unsigned)n;
}

void mu_agent_want(struct mu_agent *a)
{
    size_t waiting = 0;
    unsigned busy = at_work(a) + a->wanted;
    for (struct mu_list *l = a->guests.next; l != &a->guests; l = l->next) {
        struct mu_guest *g = mu_list_entry(l, struct mu_guest, link);
        waiting += g->outbox ? mu_outbox_bytes(g->outbox) : 0;
    }
    if (!a->pull || a->lost || waiting > MU_AGENT_OUTBOX_MAX || busy >= a->slots)
        return;
    unsigned more = a->slots - busy;
    a->wanted += more;
    mu_nats_pull_want(a->pull, more);
}

static void stored(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    (void)arg, (void)rc, (void)seq, (void)err; /* the next one comes in 10 s */
}

void mu_agent_beat(struct mu_agent *a)
{
    struct mu_buf beat = MU_BUF_INIT, subject = MU_BUF_INIT;
    struct mu_roster_agent self = {.id = a->id, .name = a->name, .host = a->host, .version = (char *)MUSTER_VERSION,
                                   .groups = a->groups, .slots = a->slots, .in_flight = at_work(a), .leaving = a->drains_seen > 0};
    a->beat_ms = mu_clock_ms();
    mu_roster_write(&beat, &self);
    mu_subject_agent(&subject, a->id);
    if (!beat.failed && !subject.failed)
        mu_nats_post(a->nats, subject.data, NULL, beat.data, beat.len, MU_NATS_ANY, stored, NULL);
    mu_buf_free(&beat);
    mu_buf_free(&subject);
}
