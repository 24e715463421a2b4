#include "run_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "parse.h"
#include "run_table.h"
#include "values.h"

static int param(struct run_args *a, const char *text, int argc)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return cli_misuse(a->command, "--param: '%s' is not NAME=VALUE", text);
    return cli_list_add(a->command, &a->params, text, argc);
}

static int threshold(struct run_args *a, const char *text, int argc)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text || equals[-1] == '<' || equals[-1] == '>')
        return cli_misuse(a->command, "--threshold: '%s' is not STEP.METRIC=RULE, such as 'cpu.score=>= 40'", text);
    return cli_list_add(a->command, &a->thresholds, text, argc);
}

const char *const run_report_names[RUN_REPORTS] = {
    [MUSTER_REPORT_JSON] = "json",
    [MUSTER_REPORT_JUNIT] = "junit",
    [MUSTER_REPORT_OPENMETRICS] = "openmetrics",
    [MUSTER_REPORT_OTLP] = "otel-jsonl",
    [MUSTER_REPORT_HTML] = "html",
};

static int report(struct run_args *a, enum muster_report kind, const char *path)
{
    return cli_value_text(a->command, run_report_names[kind], path, &a->reports[kind]);
}

static int one_of_run(struct run_args *a, int id, const char *v, int argc)
{
    int i = 0, rc = ssh_args_one(&a->ssh, &a->run, a->command, id, v, argc);

    if (rc == SSH_ARGS_OTHER)
        rc = nats_args_one(&a->nats, a->command, id, v);
    if (rc == NATS_ARGS_OTHER)
        rc = log_args_one(&a->log, a->command, id, v);
    if (rc != LOG_ARGS_OTHER)
        return rc;
    switch (id) {
    case 'h':
        a->help = true;
        return 0;
    case 'i':
        return cli_list_add(a->command, &a->inventories, v, argc);
    case OPT_LIMIT:
        return cli_list_add(a->command, &a->limits, v, argc);
    case OPT_LIST_HOSTS:
        a->list_hosts = true;
        return 0;
    case OPT_LOCAL:
        a->run.local = true;
        return 0;
    case OPT_AGENT_WAIT:
        return cli_value_duration(a->command, "agent-wait", v, &a->run.agent_wait_ms);
    case 'p':
        return param(a, v, argc);
    case 's':
        return cli_list_add(a->command, &a->steps, v, argc);
    case OPT_ALLOW_DESTRUCTIVE:
        a->run.allow_destructive = true;
        return 0;
    case OPT_INSTALL_TOOLS:
        return param(a, "install_tools=true", argc);
    case 't':
        return threshold(a, v, argc);
    case 'j':
        return cli_value_number(a->command, "forks", v, 1000000, &a->run.forks);
    case OPT_WORKERS:
        return cli_value_number(a->command, "workers", v, 1024, &a->run.workers);
    case OPT_DB:
        a->run.db_required = true;
        return cli_value_text(a->command, "db", v, &a->run.db);
    case OPT_NO_DB:
        a->no_db = true;
        return 0;
    case OPT_RERUN:
        return cli_value_text(a->command, "rerun", v, &a->rerun);
    case OPT_OF:
        return cli_value_text(a->command, "of", v, &a->of);
    case OPT_CHANGED_SCRIPT:
        if (strcmp(a->command, "resume") != 0)
            return cli_misuse(a->command, "--changed-script is for `muster resume`");
        a->changed_script = true;
        return 0;
    case OPT_STATE_DIR:
        return cli_value_text(a->command, "state-dir", v, &a->run.state_dir);
    case OPT_WATCH:
        a->watch = true;
        return 0;
    case OPT_RECORD:
        return cli_value_text(a->command, "record", v, &a->run.record_dir);
    case OPT_REPLAY:
        return cli_value_text(a->command, "replay", v, &a->run.replay_dir);
    case OPT_FAIL_FAST:
        a->run.fail_fast = true;
        return 0;
    case OPT_MAX_BROKEN:
        return cli_value_text(a->command, "max-broken", v, &a->run.max_broken);
    case OPT_DRY_RUN:
        a->run.dry_run = true;
        return 0;
    case OPT_TASK_MEMORY:
        if (cli_parse_size(v, &a->run.task_memory) == 0)
            return 0;
        return cli_misuse(a->command, "--task-memory: '%s' is not a size; write %s", v, CLI_SIZE_FORM);
    case OPT_TIMEOUT:
        return cli_value_duration(a->command, "timeout", v, &a->run.timeout_ms);
    case OPT_INVENTORY_TIMEOUT:
        return cli_value_duration(a->command, "inventory-timeout", v, &a->inventory_timeout_ms);
    case OPT_TEARDOWN_TIMEOUT:
        return cli_value_duration(a->command, "teardown-timeout", v, &a->run.teardown_timeout_ms);
    case OPT_GRACE:
        return cli_value_duration(a->command, "grace", v, &a->run.grace_ms);
    case OPT_PROGRESS:
        rc = cli_value_choice(a->command, "progress", v, cli_when, &i);
        a->progress = (enum cli_progress)i;
        return rc;
    case OPT_PROGRESS_INTERVAL:
        return cli_value_duration(a->command, "progress-interval", v, &a->progress_interval_ms);
    case OPT_JUNIT:
        return report(a, MUSTER_REPORT_JUNIT, v);
    case OPT_JSON:
        return report(a, MUSTER_REPORT_JSON, v);
    case OPT_OPENMETRICS:
        return report(a, MUSTER_REPORT_OPENMETRICS, v);
    case OPT_OTEL_JSONL:
        return report(a, MUSTER_REPORT_OTLP, v);
    case OPT_HTML:
        return report(a, MUSTER_REPORT_HTML, v);
    default:
        return cli_misuse(a->command, "option %d is not handled", id);
    }
}

/* What agents do, this process can neither be told how to do nor watch. */
static int together_with_agents(struct run_args *a)
{
    if (nats_args_together(&a->nats, a->command, false) != 0)
        return CLI_USAGE;
    if (!a->nats.options.urls)
        return a->run.agent_wait_ms ? cli_misuse(a->command, "--agent-wait is of use only with --nats URL") : 0;
    a->run.nats = &a->nats.options;
    if (a->ssh.first || a->run.workers)
        return cli_misuse(a->command, "--%s is the agents' own with --nats: give it to `muster agent`",
                          a->ssh.first ? a->ssh.first : "workers");
    if (a->run.record_dir || a->run.replay_dir)
        return cli_misuse(a->command, "--%s and --nats exclude each other: a transcript is of what this process does itself",
                          a->run.record_dir ? "record" : "replay");
    if (a->again.n)
        return cli_misuse(a->command, "parameter %s is a secret by its name, which does not travel to agents: let the script read it "
                          "there, by muster.secret", strchr(a->again.items[0], '=') + 1);
    return a->watch ? cli_misuse(a->command, "--watch and --nats exclude each other: a script is tried here, then given to agents")
                    : 0;
}

/* What no single option can know. resume: what is given beside a command line of then, which is not known yet. */
static int together(struct run_args *a, bool resume)
{
    if (ssh_args_together(&a->ssh, &a->run, a->command) != 0)
        return CLI_USAGE;
    if (!resume && together_with_agents(a) != 0)
        return CLI_USAGE;
    if (a->run.db && a->no_db)
        return cli_misuse(a->command, "--db and --no-db exclude each other");
    if (a->of && !a->rerun)
        return cli_misuse(a->command, "--of says of which run --rerun takes its servers, and there is no --rerun");
    if (a->run.record_dir && a->run.replay_dir)
        return cli_misuse(a->command, "--record and --replay exclude each other");
    if (a->run.dry_run && (a->run.record_dir || a->run.replay_dir))
        return cli_misuse(a->command, "--dry-run runs nothing that --%s could use", a->run.record_dir ? "record" : "replay");
    if (a->run.local && a->run.replay_dir)
        return cli_misuse(a->command, "--local and --replay exclude each other: a replay runs nothing anywhere");
    if (log_args_together(&a->log, a->command) != 0)
        return CLI_USAGE;
    if (a->log.sinks.quiet && a->progress == CLI_PROGRESS_ALWAYS)
        return cli_misuse(a->command, "--quiet and --progress=always exclude each other");
    for (size_t i = 0; i < RUN_REPORTS; i++)
        for (size_t k = 0; k < i && a->reports[i]; k++)
            if (a->reports[k] && strcmp(a->reports[i], a->reports[k]) == 0)
                return cli_misuse(a->command, "--%s and --%s would both write to %s", run_report_names[i], run_report_names[k],
                                  a->reports[i]);
    return 0;
}

/* What a resumed run is not given again: it has its servers, and is kept where it is. */
static bool is_of_this_run_alone(int id)
{
    static const int ids[] = {'h', OPT_LIMIT, OPT_LIST_HOSTS, OPT_WATCH, OPT_RECORD, OPT_DB, OPT_NO_DB, OPT_RERUN, OPT_OF,
                              OPT_CHANGED_SCRIPT};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static bool keep_word(struct str_list *list, char *word)
{
    const char **more = realloc(list->items, (list->n + 2) * sizeof *more);
    if (more) {
        list->items = more;
        more[list->n] = word;
        more[list->n + (word != NULL)] = NULL;
        list->n += word != NULL;
    } else {
        free(word);
    }
    return more && word;
}

/* Note the option as it can be given elsewhere and later: paths are absolute. Secrets are in no option but parameters. */
static int remember(struct run_args *a, int id, const char *value)
{
    const struct cli_option *o = run_table;
    char *word = NULL, *cwd = NULL;
    int n = 0;

    while (o->name && o->id != id)
        o++;
    if (!o->name || is_of_this_run_alone(id) || (id == 'i' && !strcmp(value, "-")))
        return 0;
    bool path = o->arg && (!strcmp(o->arg, "FILE") || !strcmp(o->arg, "DIR") || (id == 'i' && !strchr(value, ','))) &&
                value[0] != '/' && strcmp(value, "-") != 0 && !(id == OPT_SSH_CONFIG && !strcmp(value, "none"));
    if (id == 'p' && muster_name_is_secret(value, strcspn(value, "=")))
        return keep_word(&a->again, asprintf(&word, "--param=%.*s", (int)strcspn(value, "="), value) < 0 ? NULL : word)
                   ? 0
                   : cli_error(a->command, "out of memory");
    if (path && (cwd = getcwd(NULL, 0)) != NULL)
        n = asprintf(&word, "--%s=%s/%s", o->name, cwd, value);
    else
        n = o->arg ? asprintf(&word, "--%s=%s", o->name, value) : asprintf(&word, "--%s", o->name);
    free(cwd);
    return keep_word(&a->words, n < 0 ? NULL : word) ? 0 : cli_error(a->command, "out of memory");
}

int run_args_parse(struct run_args *a, enum run_args_of of, int argc, char **argv)
{
    bool resume = of == RUN_ARGS_RESUME;
    struct cli_parser parser;
    int id;

    *a = (struct run_args){.run = MUSTER_RUN_OPTIONS_INIT, .command = of == RUN_ARGS_RUN ? "run" : "resume"};
    nats_args_start(&a->nats);
    log_args_start(&a->log);
    cli_parser_start(&parser, a->command, run_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD || one_of_run(a, id, parser.value, argc) != 0 || remember(a, id, parser.value) != 0)
            return CLI_USAGE;
        if (a->help)
            return 0;
    }
    int first = cli_parser_operands(&parser);
    if (resume && argc - first > 1)
        return cli_misuse("resume", "one run at a time: its servers are its own");
    if (resume) {
        a->script = argv[first]; /* NULL: the last one */
        return together(a, true);
    }
    if (first >= argc)
        return cli_misuse(a->command, "no script given");
    a->script = argv[first];
    a->servers = argv + first + 1;
    a->n_servers = (size_t)(argc - first - 1);
    return together(a, false);
}

void run_args_free(struct run_args *a)
{
    for (size_t i = 0; i < a->words.n; i++)
        free((char *)a->words.items[i]);
    for (size_t i = 0; i < a->again.n; i++)
        free((char *)a->again.items[i]);
    cli_list_free(&a->words);
    cli_list_free(&a->again);
    cli_list_free(&a->inventories);
    cli_list_free(&a->params);
    cli_list_free(&a->thresholds);
    cli_list_free(&a->limits);
    cli_list_free(&a->steps);
    ssh_args_free(&a->ssh);
    nats_args_free(&a->nats);
    *a = (struct run_args){0};
}
