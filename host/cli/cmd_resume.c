#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "run_resumed.h"
#include "run_table.h"

void cmd_resume_help(FILE *to)
{
    fputs("Usage: muster resume [OPTION...] [RUN]\n"
          "\n"
          "Go on with a run that was cut off or interrupted: servers that have no result\n"
          "yet are measured, and the summary and the reports are about all. RUN is its\n"
          "id, or the beginning of it; by default the last such run. Of a run that came to\n"
          "its end, named by its id, nothing is run again: its summary and its reports are\n"
          "written once more, in case that it was killed before they were.\n"
          "\n"
          "Servers, parameters and options are those of then; options given here hold\n"
          "instead (see `muster run --help`). What is not kept, since it is a secret, has\n"
          "to be given again: parameters named like one, and inventories with such\n"
          "variables that cannot be read any more. What the run had claimed is given back\n"
          "first, by `muster cleanup`. A run of agents, which may have gone on meanwhile, is\n"
          "gone on with by agents; they destroy what was claimed where nobody is at it.\n"
          "\n"
          "      --changed-script        resume although the script has changed since\n"
          "\n"
          "Exit code: that of `muster run`, for the whole.\n",
          to);
}

/* Has this option been given? */
static bool is_given(const struct str_list *words, const char *name)
{
    for (size_t i = 0; i < words->n; i++)
        if (!strncmp(words->items[i], name, strlen(name)))
            return true;
    return false;
}

/* An inventory that is given anew stands in place of the former ones; one that is gone is made up from what was kept. */
static bool is_to_be_given(const struct run_args *now, const char *word)
{
    static const char inventory[] = "--inventory=";

    if (nats_args_replaces(&now->nats, word))
        return false;
    if (strncmp(word, inventory, strlen(inventory)) != 0)
        return true;
    if (now->inventories.n)
        return false;
    if (access(word + strlen(inventory), R_OK) == 0)
        return true;
    cli_error("resume", "the inventory %s cannot be read any more: its servers are taken as they were", word + strlen(inventory));
    return false;
}

/* The command line of then, then that of now, so that the latter holds. NULL: out of memory. */
static char **whole(const struct muster_stored *stored, const struct run_args *now, int *argc)
{
    size_t n = 0, at = 0;

    while (muster_stored_word(stored, n))
        n++;
    char **argv = calloc(n + now->words.n + 2 * now->params.n + 4, sizeof *argv);
    if (!argv)
        return NULL;
    argv[at++] = (char *)"run";
    for (size_t i = 0; i < n && strcmp(muster_stored_word(stored, i), "--") != 0; i++)
        if (is_to_be_given(now, muster_stored_word(stored, i)))
            argv[at++] = (char *)muster_stored_word(stored, i);
    for (size_t i = 0; i < now->words.n; i++)
        argv[at++] = (char *)now->words.items[i];
    for (size_t i = 0; i < now->params.n; i++) /* those that are no secret are among the words, and come to the same */
        if (muster_name_is_secret(now->params.items[i], strcspn(now->params.items[i], "="))) {
            argv[at++] = (char *)"--param";
            argv[at++] = (char *)now->params.items[i];
        }
    argv[at++] = (char *)"--";
    argv[at++] = (char *)muster_stored_script(stored);
    *argc = (int)at;
    return argv;
}

static int check_again(const struct muster_stored *stored, const struct run_args *now)
{
    size_t i = 0;

    if (muster_stored_is_finished(stored)) /* nothing is run */
        return 0;
    while (muster_stored_word(stored, i) && strcmp(muster_stored_word(stored, i), "--") != 0)
        i++;
    for (i += muster_stored_word(stored, i) != NULL; muster_stored_word(stored, i); i++)
        if (!is_given(&now->again, muster_stored_word(stored, i)))
            return cli_error("resume", "the parameter %s is a secret, so it was not kept: give it again with -p %s=VALUE",
                             strchr(muster_stored_word(stored, i), '=') + 1, strchr(muster_stored_word(stored, i), '=') + 1);
    return 0;
}

static int open_stored(struct muster *m, const char *db, const char *run, struct muster_stored **out)
{
    struct muster_stored_options options = MUSTER_STORED_OPTIONS_INIT;
    struct muster_error err;

    options.db = db;
    options.run = run;
    options.resume = true;
    return muster_stored_open(m, &options, out, &err) < 0 ? cli_error("resume", "%s", err.message) : 0;
}

/* Who did it then goes on: else two would be at the same servers. */
static int check_doers(const struct muster_stored *stored, const struct run_args *now)
{
    static const char nats[] = "--nats=";
    const char *word;

    for (size_t i = 0; now->nats.options.urls && (word = muster_stored_word(stored, i)) != NULL; i++)
        if (!strncmp(word, nats, strlen(nats)))
            return 0;
    return now->nats.options.urls ? cli_misuse("resume", "--nats: the run %s was begun without agents, and is gone on with without",
                                               muster_stored_id(stored))
                                  : 0;
}

/* Opened twice: the log is as the run of then had it, which is known only then. */
static int resume(struct run_args *now, const char *db)
{
    const struct muster_options silent = {.size = sizeof silent, .level = MUSTER_LOG_OFF};
    struct muster *m = NULL;
    struct muster_stored *stored = NULL;
    struct muster_error err;
    struct run_args a = {.help = false};
    char *id = NULL, **argv = NULL;
    int argc = 0, code = muster_new(&m, &silent, &err) < 0 ? cli_error("resume", "%s", err.message) : 0;

    if (code == 0)
        code = open_stored(m, db, now->script, &stored);
    if (code == 0)
        code = check_again(stored, now);
    if (code == 0)
        code = check_doers(stored, now);
    if (code == 0 && (!(argv = whole(stored, now, &argc)) || !(id = strdup(muster_stored_id(stored)))))
        code = cli_error("resume", "out of memory");
    if (code == 0)
        code = run_args_parse(&a, RUN_ARGS_RESUMED, argc, argv);
    if (code == 0) {
        struct muster *again = NULL;
        struct muster_stored *to_run = NULL;
        a.changed_script = now->changed_script;
        code = cli_run_new(&again, &a);
        if (code == 0)
            code = open_stored(again, db, id, &to_run);
        if (code == 0)
            code = cli_run_resumed(again, &a, to_run);
        muster_stored_free(to_run);
        muster_free(again);
    }
    run_args_free(&a);
    free(id);
    free(argv);
    muster_stored_free(stored);
    muster_free(m);
    return code;
}

int cmd_resume(int argc, char **argv)
{
    struct run_args now;
    struct muster_error err;
    char *path = NULL;
    int code = run_args_parse(&now, RUN_ARGS_RESUME, argc, argv);

    if (code == 0 && now.help)
        cmd_resume_help(stdout);
    else if (code == 0 && now.no_db)
        code = cli_misuse("resume", "a run that was kept nowhere cannot be resumed");
    else if (code == 0 && !now.run.db && !(path = muster_db_path(now.run.state_dir, false, &err)))
        code = cli_error("resume", "%s", err.message);
    else if (code == 0)
        code = resume(&now, now.run.db ? now.run.db : path);
    free(path);
    run_args_free(&now);
    return code;
}
