#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "json.h"
#include "kept.h"
#include "nats_args.h"
#include "table.h"

#define HEADINGS "NAME|HOST|VERSION|GROUPS|>AT WORK|>SLOTS|>SEEN|STATE|ID"
#define FORGOTTEN_MS 3600000 /* an agent that was lost so long ago is told of only with --all */

enum { OPT_JSON = 256, OPT_ALL };

static const struct cli_option agents_table[] = {
    {0, "Options", NULL, NULL},
    {OPT_NATS, "nats", "URL",
     "where the agents take their work, several URLs of one cluster with commas between them (default: the environment's "
     "MUSTER_NATS_URL)"},
    {OPT_ALL, "all", NULL, "also those that have left, or were lost more than an hour ago"},
    {OPT_JSON, "json", NULL, "print one JSON document"},

    {0, "NATS", NULL, NULL},
    CLI_NATS_OPTIONS,

    {0, "Other", NULL, NULL},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_agents_help(FILE *to)
{
    fputs("Usage: muster agents --nats URL [OPTION...]\n"
          "\n"
          "The agents (`muster agent`) that runs can be given to with `muster run --nats`:\n"
          "where each is, which groups' servers it takes, and how many it is at. STATE:\n"
          "  ready    it takes servers\n"
          "  leaving  it drains: it takes no more\n"
          "  left     it was drained\n"
          "  lost     nothing was heard of it for 30 seconds\n"
          "Exit code 0: they are shown, also when there are none; 2: they cannot be.\n",
          to);
    cli_options_help(to, agents_table);
    fputs("\n"
          "Examples:\n"
          "  muster agents --nats tls://nats.example.org --nats-creds look.creds\n"
          "  muster agents --json\n",
          to);
}

struct listing {
    bool json, all;
    size_t n, hidden;
    struct cli_table table;
};

static const char *state(const struct muster_agent_info *a)
{
    if (a->alive)
        return "ready";
    if (a->leaving)
        return a->in_flight && a->seen_ms < 30000 ? "leaving" : "left";
    return "lost";
}

static void put_json(const struct muster_agent_info *a, bool first)
{
    fputs(first ? "{\"agents\":[\n{" : ",\n{", stdout);
    cli_json_text_member("name", a->name, true);
    cli_json_text_member("id", a->id, false);
    cli_json_text_member("host", a->host, false);
    cli_json_text_member("version", a->version, false);
    fputs(",\"groups\":[", stdout);
    for (size_t i = 0; a->groups[i]; i++) {
        fputs(i ? "," : "", stdout);
        cli_json_string(stdout, a->groups[i]);
    }
    fputs("]", stdout);
    cli_json_int_member("slots", a->slots, false);
    cli_json_int_member("in_flight", a->in_flight, false);
    cli_json_number_member("seen_s", (double)a->seen_ms / 1000, false);
    cli_json_text_member("state", state(a), false);
    fputs("}", stdout);
}

static void put_row(struct cli_table *t, const struct muster_agent_info *a)
{
    char groups[200] = "any", seen[32];
    size_t len = 0;

    for (size_t i = 0; a->groups[i] && len < sizeof groups; i++)
        len += (size_t)snprintf(groups + len, sizeof groups - len, "%s%s", i ? "," : "", a->groups[i]);
    cli_duration(seen, a->seen_ms);
    cli_table_text(t, a->name);
    cli_table_text(t, a->host);
    cli_table_text(t, a->version);
    cli_table_text(t, groups);
    cli_table_textf(t, "%u", a->in_flight);
    cli_table_textf(t, "%u", a->slots);
    cli_table_text(t, seen);
    cli_table_text(t, state(a));
    cli_table_text(t, a->id);
}

static int put(void *arg, const struct muster_agent_info *a)
{
    struct listing *l = arg;
    const char *is = state(a);

    if (!l->all && (!strcmp(is, "left") || (!strcmp(is, "lost") && a->seen_ms > FORGOTTEN_MS))) {
        l->hidden++;
        return 0;
    }
    if (l->json)
        put_json(a, l->n == 0);
    else
        put_row(&l->table, a);
    l->n++;
    return 0;
}

static int show(struct muster *m, const struct nats_args *nats, struct listing *l)
{
    struct muster_error err;
    int code = CLI_OK;

    cli_table_start(&l->table, HEADINGS);
    if (muster_agents_list(m, &nats->options, put, l, &err) < 0)
        code = cli_error("agents", "%s", err.message);
    else if (l->json)
        fputs(l->n ? "]}\n" : "{\"agents\":[]}\n", stdout);
    else if (l->n && cli_table_print(&l->table, HEADINGS, stdout))
        code = cli_error("agents", "out of memory");
    else if (!l->n)
        puts("No agents.");
    if (code == CLI_OK && !l->json && l->hidden)
        printf("%zu that left, or %s lost more than an hour ago: --all.\n", l->hidden, l->hidden == 1 ? "was" : "were");
    cli_table_free(&l->table);
    if (code == CLI_OK && (fflush(stdout) || ferror(stdout)))
        code = cli_error("agents", "cannot write to standard output");
    return code;
}

static int parse(struct nats_args *nats, struct listing *l, int argc, char **argv, bool *help)
{
    struct cli_parser parser;
    int id;

    cli_parser_start(&parser, "agents", agents_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        int rc = id == CLI_BAD ? CLI_USAGE : nats_args_one(nats, "agents", id, parser.value);
        if (rc != NATS_ARGS_OTHER && rc != 0)
            return rc;
        *help = *help || id == 'h';
        l->all = l->all || id == OPT_ALL;
        l->json = l->json || id == OPT_JSON;
        if (*help)
            return 0;
    }
    if (cli_parser_operands(&parser) < argc)
        return cli_misuse("agents", "'%s' is one word too many", argv[cli_parser_operands(&parser)]);
    return nats_args_together(nats, "agents", true);
}

int cmd_agents(int argc, char **argv)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct listing l = {0};
    struct nats_args nats;
    struct muster *m = NULL;
    struct muster_error err;
    bool help = false;

    nats_args_start(&nats);
    int code = parse(&nats, &l, argc, argv, &help);
    if (code == 0 && help) {
        cmd_agents_help(stdout);
        return CLI_OK;
    }
    options.level = MUSTER_WARNING;
    if (code == 0 && (muster_new(&m, &options, &err) < 0 ||
                      muster_log_to_fd(m, STDERR_FILENO, MUSTER_LOG_CONSOLE, false, &err) < 0))
        code = cli_error("agents", "%s", err.message);
    if (code == 0)
        code = nats_args_read_secrets(&nats, "agents", m);
    if (code == 0)
        code = show(m, &nats, &l);
    nats_args_free(&nats);
    muster_free(m);
    return code;
}
