/* api_options.c: what muster_run_options say, as the run reads it, in copies. */
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"
#include "core/buf.h"

/* A copy; *failed when there is no memory. */
static const char *keep(struct mu_api_words *w, int slot, const char *text, bool *failed)
{
    w->strings[slot] = text ? strdup(text) : NULL;
    *failed = *failed || (text && !w->strings[slot]);
    return w->strings[slot];
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static const char *const *keep_list(char ***kept, const char *const *list, bool *failed)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    *kept = list ? calloc(n + 1, sizeof **kept) : NULL;
    *failed = *failed || (list && !*kept);
    for (size_t i = 0; *kept && i < n; i++) {
        (*kept)[i] = strdup(list[i]);
        *failed = *failed || !(*kept)[i];
    }
    return (const char *const *)*kept;
}

/* As a JSON array. */
static const char *keep_words(struct mu_api_words *w, const char *const *words, bool *failed)
{
    struct mu_buf text = MU_BUF_INIT;
    for (size_t i = 0; words && words[i]; i++) {
        mu_buf_addc(&text, i ? ',' : '[');
        mu_buf_add_json(&text, words[i], strlen(words[i]));
    }
    mu_buf_adds(&text, text.len ? "]" : "[]");
    w->invocation = words ? mu_buf_take(&text) : NULL;
    mu_buf_free(&text);
    *failed = *failed || (words && !w->invocation);
    return w->invocation;
}

bool mu_api_translate(struct mu_api_words *w, const struct muster_run_options *o, struct mu_run_config *c)
{
    bool failed = false;
    *c = (struct mu_run_config){
        .forks = o->forks,
        .workers = o->workers,
        .timeout_ms = o->timeout_ms,
        .connect_timeout_ms = o->connect_timeout_ms,
        .connect_retries = o->connect_retries,
        .teardown_timeout_ms = o->teardown_timeout_ms,
        .grace_ms = o->grace_ms,
        .task_memory = o->task_memory,
        .local = o->local,
        .fail_fast = o->fail_fast,
        .allow_destructive = o->allow_destructive,
        .dry_run = o->dry_run,
        .max_broken = keep(w, 3, o->max_broken, &failed),
        .user = keep(w, 0, o->user, &failed),
        .state_dir = keep(w, 4, o->state_dir, &failed),
        .sudo_password = keep(w, 5, o->sudo_password, &failed),
        .record_dir = keep(w, 6, o->record_dir, &failed),
        .replay_dir = keep(w, 7, o->replay_dir, &failed),
        .db = keep(w, 9, o->db, &failed),
        .db_required = o->db_required,
        .invocation = keep_words(w, o->invocation, &failed),
        .steps = keep_list(&w->steps, o->steps, &failed),
        .ssh = {.policy = (enum mu_hostkey_policy)o->hostkey_policy,
                .policy_given = o->hostkey_policy_given || o->hostkey_policy != MUSTER_HOSTKEY_STRICT,
                .connect_timeout_given = o->connect_timeout_ms != 0,
                .config_file = o->ssh_config ? keep(w, 8, o->ssh_config, &failed) : "",
                .known_hosts = keep_list(&w->known_hosts, o->known_hosts, &failed),
                .key_files = keep_list(&w->key_files, o->key_files, &failed),
                .password = keep(w, 1, o->password, &failed),
                .passphrase = keep(w, 2, o->passphrase, &failed),
                .ask_passphrase = o->ask_passphrase,
                .ask_arg = o->ask_passphrase_arg,
                .use_agent = !o->no_agent,
                .start_rate = o->start_rate,
                .agent_timeout_ms = o->agent_timeout_ms ? o->agent_timeout_ms : 5000},
    };
    c->ssh.user = c->user;
    return !failed;
}

void mu_api_wipe(char **strings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strings[i])
            explicit_bzero(strings[i], strlen(strings[i]));
        free(strings[i]);
        strings[i] = NULL;
    }
}

void mu_api_words_free(struct mu_api_words *w)
{
    mu_api_wipe(w->strings, sizeof w->strings / sizeof *w->strings);
    free(w->invocation);
    free_list(w->known_hosts);
    free_list(w->key_files);
    free_list(w->steps);
}
