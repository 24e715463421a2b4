/* api_agents.c: muster/agents.h over the agents' layer, where there is one. */
#include "muster/agents.h"

#include <stdlib.h>
#include <string.h>

#include "api_internal.h"

#ifndef MUSTER_NATS

static int without(struct mu_err *err)
{
    return mu_err_set(err, MU_EINVAL, "this muster was built without NATS: build it with libnats-dev and libmsgpack-dev for --nats");
}

int mu_api_crew(struct muster_run *run, const struct muster_run_options *options, struct mu_run_config *config, struct mu_err *err)
{
    (void)run, (void)options, (void)config;
    return without(err);
}

void mu_api_crew_free(struct muster_run *run) { (void)run; }

int muster_agent_new(struct muster *m, const struct muster_agent_options *options, struct muster_agent **out, struct muster_error *err)
{
    struct mu_err e;
    (void)m, (void)options, (void)out;
    return mu_api_give_result(err, without(&e), &e);
}

int muster_agent_run(struct muster_agent *a, struct muster_error *err)
{
    struct mu_err e;
    (void)a;
    return mu_api_give_result(err, without(&e), &e);
}

void muster_agent_drain(struct muster_agent *a) { (void)a; }
void muster_agent_free(struct muster_agent *a) { (void)a; }

int muster_agents_list(struct muster *m, const struct muster_nats_options *nats,
                       int (*fn)(void *arg, const struct muster_agent_info *agent), void *arg, struct muster_error *err)
{
    struct mu_err e;
    (void)m, (void)nats, (void)fn, (void)arg;
    return mu_api_give_result(err, without(&e), &e);
}

#else

#include "agents/agent.h"
#include "agents/roster.h"
#include "agents/spread.h"
#include "bindings/bindings.h"

struct mu_api_nats {
    char *strings[9]; /* wiped at the end */
    struct mu_nats_config config;
};

static void nats_free(struct mu_api_nats *n)
{
    if (!n)
        return;
    mu_api_wipe(n->strings, sizeof n->strings / sizeof *n->strings);
    free(n);
}

static const char *keep(char **slot, const char *text, bool *failed)
{
    *slot = text ? strdup(text) : NULL;
    *failed = *failed || (text && !*slot);
    return *slot;
}

/* A copy of options. */
static int nats_new(struct mu_api_nats **out, const struct muster_nats_options *o, struct mu_err *err)
{
    struct mu_api_nats *n = calloc(1, sizeof *n);
    bool failed = !n;

    if (!o || o->size < sizeof *o || !o->urls) {
        free(n);
        return mu_err_set(err, MU_EINVAL, "no NATS server given");
    }
    if (n)
        n->config = (struct mu_nats_config){
            .urls = keep(&n->strings[0], o->urls, &failed),
            .user = keep(&n->strings[1], o->user, &failed),
            .password = keep(&n->strings[2], o->password, &failed),
            .token = keep(&n->strings[3], o->token, &failed),
            .nkey_file = keep(&n->strings[4], o->nkey_file, &failed),
            .creds_file = keep(&n->strings[5], o->creds_file, &failed),
            .ca_file = keep(&n->strings[6], o->ca_file, &failed),
            .cert_file = keep(&n->strings[7], o->cert_file, &failed),
            .key_file = keep(&n->strings[8], o->key_file, &failed),
            .insecure = o->insecure,
        };
    if (failed) {
        nats_free(n);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    *out = n;
    return 0;
}

/* ---- runs ---- */

int mu_api_crew(struct muster_run *run, const struct muster_run_options *o, struct mu_run_config *config, struct mu_err *err)
{
    if (o->record_dir || o->replay_dir)
        return mu_err_set(err, MU_EINVAL, "what agents do is neither recorded nor replayed");
    int rc = nats_new(&run->nats, o->nats, err);
    if (!rc)
        rc = mu_spread_new(&run->crew,
                           &(struct mu_spread_config){.nats = run->nats->config,
                                                      .agent_wait_ms = o->agent_wait_ms,
                                                      .level = run->m->level,
                                                      .library_dir = run->m->library_dir},
                           err);
    config->crew = run->crew;
    return rc;
}

void mu_api_crew_free(struct muster_run *run)
{
    if (run->crew)
        mu_spread_free(run->crew);
    nats_free(run->nats);
}

/* ---- agents ---- */

struct muster_agent {
    struct mu_api_words words;
    struct mu_api_nats *nats;
    struct mu_run_config settings;
    char *name, *cache_dir;
    char **groups;
    struct mu_agent *agent;
};

static int copy(struct muster_agent *a, const struct muster_agent_options *o, struct mu_err *err)
{
    const struct muster_run_options defaults = MUSTER_RUN_OPTIONS_INIT;
    const struct muster_run_options *run = o->run && o->run->size >= sizeof defaults ? o->run : &defaults;
    size_t n = 0;
    bool failed = !mu_api_translate(&a->words, run, &a->settings);

    while (o->groups && o->groups[n])
        n++;
    a->groups = calloc(n + 1, sizeof *a->groups);
    for (size_t i = 0; a->groups && i < n; i++)
        keep(&a->groups[i], o->groups[i], &failed);
    keep(&a->name, o->name, &failed);
    keep(&a->cache_dir, o->cache_dir, &failed);
    return failed || !a->groups ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}

int muster_agent_new(struct muster *m, const struct muster_agent_options *o, struct muster_agent **out, struct muster_error *err)
{
    struct mu_err e = {0};
    struct muster_agent *a = calloc(1, sizeof *a);

    if (!a)
        return mu_api_give_nomem(err);
    int rc = o && o->size >= sizeof *o ? nats_new(&a->nats, o->nats, &e) : mu_err_set(&e, MU_EINVAL, "no options");
    if (!rc)
        rc = copy(a, o, &e);
    if (!rc)
        rc = mu_agent_new(&a->agent,
                          &(struct mu_agent_config){.nats = a->nats->config,
                                                    .name = a->name,
                                                    .groups = (const char *const *)a->groups,
                                                    .forks = o->forks,
                                                    .workers = o->workers,
                                                    .drain_timeout_ms = o->drain_timeout_ms,
                                                    .ack_wait_ms = o->ack_wait_ms,
                                                    .cache_dir = a->cache_dir,
                                                    .library_dir = m->library_dir,
                                                    .settings = &a->settings},
                          &mu_bindings, m->logger, &e);
    if (rc)
        muster_agent_free(a);
    else
        *out = a;
    return mu_api_give_result(err, rc, &e);
}

int muster_agent_run(struct muster_agent *a, struct muster_error *err)
{
    struct mu_err e = {0};
    return mu_api_give_result(err, mu_agent_go(a->agent, &e), &e);
}

void muster_agent_drain(struct muster_agent *a) { mu_agent_drain(a->agent); }

void muster_agent_free(struct muster_agent *a)
{
    if (!a)
        return;
    mu_agent_free(a->agent);
    nats_free(a->nats);
    for (size_t i = 0; a->groups && a->groups[i]; i++)
        free(a->groups[i]);
    free(a->groups);
    free(a->name);
    free(a->cache_dir);
    mu_api_words_free(&a->words);
    free(a);
}

/* ---- which there are ---- */

static int by_name(const void *a, const void *b)
{
    const struct mu_roster_agent *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->id, y->id);
}

static int tell_all(struct mu_roster *r, int (*fn)(void *arg, const struct muster_agent_info *agent), void *arg)
{
    int answer = 0;

    if (r->n)
        qsort(r->items, r->n, sizeof *r->items, by_name);
    for (size_t i = 0; i < r->n && !answer; i++) {
        const struct mu_roster_agent *a = &r->items[i];
        answer = fn(arg, &(struct muster_agent_info){.name = a->name,
                                                     .id = a->id,
                                                     .host = a->host,
                                                     .version = a->version,
                                                     .groups = (const char *const *)a->groups,
                                                     .slots = a->slots,
                                                     .in_flight = a->in_flight,
                                                     .seen_ms = a->age_ms > 0 ? (uint64_t)a->age_ms : 0,
                                                     .alive = mu_roster_is_alive(a),
                                                     .leaving = a->leaving});
    }
    return answer;
}

int muster_agents_list(struct muster *m, const struct muster_nats_options *o,
                       int (*fn)(void *arg, const struct muster_agent_info *agent), void *arg, struct muster_error *err)
{
    struct mu_err e = {0};
    struct mu_api_nats *options = NULL;
    struct mu_roster roster = {0};
    struct mu_loop *loop = NULL;
    struct mu_nats *nats = NULL;
    int answer = 0;

    (void)m;
    int rc = nats_new(&options, o, &e);
    if (!rc)
        rc = mu_loop_new(&loop, &e);
    if (!rc)
        rc = mu_nats_open(&nats, &options->config, loop, NULL, NULL, &e);
    if (!rc)
        rc = mu_roster_read(&roster, nats, &e);
    if (rc == MU_ENOENT) /* nothing was ever run there: no stream yet */
        rc = 0;
    mu_nats_close(nats);
    mu_loop_free(loop);
    if (!rc)
        answer = tell_all(&roster, fn, arg);
    mu_roster_clear(&roster);
    nats_free(options);
    return answer ? answer : mu_api_give_result(err, rc, &e);
}

#endif
