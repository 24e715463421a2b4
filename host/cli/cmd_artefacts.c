#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "muster.h"
#include "options.h"
#include "values.h"

static const struct cli_option table[] = {
    {0, "Options", NULL, NULL},
    {'o', "to", "DIR", "write them to DIR/SERVER/NAME"},
    {1, "db", "FILE", "the results; default: as for muster run"},
    {2, "state-dir", "DIR", "where they are, without --db"},
    {'h', "help", NULL, "print this help"},
    {0, NULL, NULL, NULL},
};

struct args {
    const char *to, *db, *state_dir, *run, *server; /* each may be NULL */
    bool help;
};

void cmd_artefacts_help(FILE *to)
{
    fputs("Usage: muster artefacts [OPTION...] [RUN [SERVER]]\n"
          "\n"
          "List what the steps of a run kept by server:keep(), of all servers or of one:\n"
          "server, bytes and name. RUN is its id, or the beginning of it; by default the\n"
          "last run. Exit code 0: they are listed, or written; 2: they cannot be.\n",
          to);
    cli_options_help(to, table);
    fputs("\n"
          "Example:\n"
          "  muster artefacts --to diagnostics\n",
          to);
}

static int parse(struct args *a, int argc, char **argv)
{
    struct cli_parser parser;
    int id, rc = 0;

    *a = (struct args){.to = NULL};
    cli_parser_start(&parser, "artefacts", table, argc, argv);
    while (rc == 0 && !a->help && (id = cli_parser_next(&parser)) != CLI_END) {
        if (id == 'o')
            rc = cli_value_text("artefacts", "to", parser.value, &a->to);
        else if (id == 1)
            rc = cli_value_text("artefacts", "db", parser.value, &a->db);
        else if (id == 2)
            rc = cli_value_text("artefacts", "state-dir", parser.value, &a->state_dir);
        else if (id == 'h')
            a->help = true;
        else
            rc = CLI_USAGE;
    }
    if (rc || a->help)
        return rc;
    int first = cli_parser_operands(&parser);
    if (argc - first > 2)
        return cli_misuse("artefacts", "one run, and one server of it, at a time");
    a->run = first < argc ? argv[first] : NULL;
    a->server = first + 1 < argc ? argv[first + 1] : NULL;
    return 0;
}

static int make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return 0;
    return cli_error("artefacts", "--to: cannot make %s: %s", path, strerror(errno));
}

/* Ids are whatever an inventory says: as the name of a folder only what is harmless is left of them. */
static void put_safe(char *to, const char *id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@";

    for (size_t i = 0; id[i]; i++)
        *to++ = (i == 0 && id[i] == '.') || !strchr(allowed, id[i]) ? '_' : id[i];
    *to = '\0';
}

/* Nothing that is there already is written over. */
static int write_out(const char *to, const struct muster_artefact *a)
{
    char folder[PATH_MAX], path[PATH_MAX + 128];

    if (strlen(to) + strlen(a->server) + 2 > sizeof folder)
        return cli_error("artefacts", "--to: %s is too long a name", to);
    int at = snprintf(folder, sizeof folder, "%s/", to);
    put_safe(folder + at, a->server);
    if (make_folder(to) != 0 || make_folder(folder) != 0)
        return CLI_USAGE;
    snprintf(path, sizeof path, "%s/%s", folder, a->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return cli_error("artefacts", "--to: cannot write %s: %s", path, strerror(errno));
    const char *bytes = a->bytes;
    for (size_t n = 0; n < a->n;) {
        ssize_t some = write(fd, bytes + n, a->n - n);
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0) {
            int error = errno;
            close(fd);
            return cli_error("artefacts", "--to: cannot write %s: %s", path, strerror(error));
        }
        n += (size_t)some;
    }
    return close(fd) == 0 ? 0 : cli_error("artefacts", "--to: cannot write %s: %s", path, strerror(errno));
}

struct each {
    const struct args *a;
    size_t n;
};

static int one(void *arg, const struct muster_artefact *artefact)
{
    struct each *e = arg;

    if (e->a->server && strcmp(e->a->server, artefact->server) != 0)
        return 0;
    e->n++;
    if (e->a->to)
        return write_out(e->a->to, artefact);
    cli_put_escaped(stdout, artefact->server);
    printf("  %zu  %s\n", artefact->n, artefact->name);
    return 0;
}

static bool has_server(const struct muster_stored *stored, const char *id)
{
    bool there = false;

    for (size_t i = 0; muster_stored_server(stored, i); i++)
        there = there || !strcmp(muster_stored_server(stored, i), id);
    return there;
}

static int show(const struct args *a, const char *db)
{
    const struct muster_options silent = {.size = sizeof silent, .level = MUSTER_LOG_OFF};
    struct muster_stored_options options = MUSTER_STORED_OPTIONS_INIT;
    struct muster *m = NULL;
    struct muster_stored *stored = NULL;
    struct muster_error err = {0};
    struct each e = {a, 0};

    options.db = db;
    options.run = a->run;
    int code = muster_new(&m, &silent, &err) < 0 || muster_stored_open(m, &options, &stored, &err) < 0
                   ? cli_error("artefacts", "%s", err.message)
                   : 0;
    if (code == 0 && a->server && !has_server(stored, a->server))
        code = cli_error("artefacts", "the run %s had no server %s", muster_stored_id(stored), a->server);
    if (code == 0) {
        int rc = muster_stored_artefacts(stored, a->to != NULL, one, &e, &err);
        code = rc < 0 ? cli_error("artefacts", "%s", err.message) : rc;
    }
    if (code == 0 && (a->to || !e.n))
        fprintf(stderr, "%zu artefact%s of the run %s%s%s\n", e.n, e.n == 1 ? "" : "s", muster_stored_id(stored),
                a->to ? " written to " : "", a->to ? a->to : "");
    muster_stored_free(stored);
    muster_free(m);
    return code;
}

int cmd_artefacts(int argc, char **argv)
{
    struct args a;
    struct muster_error err;
    char *path = NULL;
    int code = parse(&a, argc, argv);

    if (code == 0 && a.help)
        cmd_artefacts_help(stdout);
    else if (code == 0 && !a.db && !(path = muster_db_path(a.state_dir, false, &err)))
        code = cli_error("artefacts", "%s", err.message);
    else if (code == 0)
        code = show(&a, a.db ? a.db : path);
    free(path);
    return code;
}
