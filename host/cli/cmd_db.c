#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "kept.h"

static const struct cli_option db_table[] = {
    {0, "Options", NULL, NULL},
    {OPT_KEPT_DB, "db", "FILE", "push the runs of this file (default: results.db in the state folder)"},
    {OPT_KEPT_STATE_DIR, "state-dir", "DIR", "the state folder (default: $XDG_STATE_HOME/muster, else ~/.local/state/muster)"},
    {'q', "quiet", NULL, "say nothing but errors"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

void cmd_db_help(FILE *to)
{
    fputs("Usage: muster db push [OPTION...] postgresql://USER@HOST/DATABASE\n"
          "\n"
          "Copy the runs that were kept, and came to their end, into a PostgreSQL that\n"
          "others push to as well; `muster runs`, `history` and `compare` read it with\n"
          "--db. A run that is there already is left alone: push as often as you like.\n"
          "The password comes from PGPASSWORD, ~/.pgpass or a service file, never from the\n"
          "URL. Tables are made, in a schema named muster, when they are not there.\n"
          "Exit code 0: all are there; 2: something did not work, what was copied before\n"
          "stays.\n",
          to);
    cli_options_help(to, db_table);
    fputs("\n"
          "Examples:\n"
          "  muster db push postgresql://muster@db.example.org/benchmarks\n",
          to);
}

static void say(void *arg, const char *run_id, size_t n)
{
    if (!*(bool *)arg)
        printf("%s: pushed, %zu server%s\n", run_id, n, n == 1 ? "" : "s");
}

static void say_end(const struct muster_push *p)
{
    printf("%zu run%s pushed, %zu there already", p->pushed, p->pushed == 1 ? "" : "s", p->there);
    if (p->not_ended)
        printf("; %zu at work, cut off or interrupted: not pushed (see `muster resume`)", p->not_ended);
    puts(".");
}

static int push(const struct cli_kept *k, const char *to, bool quiet)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_push pushed = {0};
    struct muster_error err;
    struct muster *m = NULL;
    char *path = NULL;
    int code = CLI_OK;

    options.level = MUSTER_WARNING;
    if (muster_new(&m, &options, &err) < 0 || muster_log_to_fd(m, STDERR_FILENO, MUSTER_LOG_CONSOLE, false, &err) < 0 ||
        (!k->db && !(path = muster_db_path(k->state_dir, false, &err))) ||
        muster_kept_push(m, k->db ? k->db : path, to, say, &quiet, &pushed, &err) < 0)
        code = cli_error("db", "%s", err.message);
    if (!quiet && (code == CLI_OK || pushed.pushed))
        say_end(&pushed);
    free(path);
    muster_free(m);
    return code ? code : cli_kept_flush(k);
}

int cmd_db(int argc, char **argv)
{
    struct cli_parser parser;
    struct cli_kept k;
    bool quiet = false;
    int id;

    cli_kept_start(&k, "db", 0);
    cli_parser_start(&parser, "db", db_table, argc, argv);
    while ((id = cli_parser_next(&parser)) != CLI_END) {
        if (id == CLI_BAD)
            return CLI_USAGE;
        if (id == 'h') {
            cmd_db_help(stdout);
            return CLI_OK;
        }
        if (id == 'q')
            quiet = true;
        else if (cli_kept_option(&k, id, parser.value))
            return CLI_USAGE;
    }
    int first = cli_parser_operands(&parser);
    if (first >= argc || strcmp(argv[first], "push") != 0)
        return cli_misuse("db", "there is one thing to do with it: muster db push URL");
    if (first + 1 >= argc)
        return cli_misuse("db", "where to? muster db push postgresql://USER@HOST/DATABASE");
    if (first + 2 < argc) /* not repeated: it may be a password */
        return cli_misuse("db", "one URL is enough");
    return push(&k, argv[first + 1], quiet);
}
