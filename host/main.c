/* main.c: argv → command table → exit code. The command line is the first embedder of the engine: it knows muster.h
 * and nothing behind it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "muster.h"

/* A file opened later must not become standard output by accident. A closed standard output stays one that cannot be
 * written: the loss of a summary is an error. */
static void fill_standard_fds(void)
{
    static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};

    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[fd]) != fd)
            _exit(CLI_USAGE);
}

static int dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name)
        return cli_misuse(NULL, "no command given");
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        cli_program_help(stdout);
        return CLI_OK;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("muster %s\n", muster_version());
        return CLI_OK;
    }
    const struct cli_command *c = cli_command_find(name);
    if (c)
        return c->run(argc - 1, argv + 1);
    if (name[0] == '-')
        return cli_misuse(NULL, "unknown option '%s': options of a command come after it", name);
    const char *near = cli_command_suggest(name), *dot = strrchr(name, '.');
    if (near)
        return cli_misuse(NULL, "unknown command '%s' (did you mean %s?)", name, near);
    if (dot && strcmp(dot, ".lua") == 0)
        return cli_misuse(NULL, "unknown command '%s' (did you mean 'muster run %s'?)", name, name);
    return cli_misuse(NULL, "unknown command '%s'", name);
}

int main(int argc, char **argv)
{
    fill_standard_fds();
    signal(SIGPIPE, SIG_IGN);
    setenv("UV_THREADPOOL_SIZE", "16", 0); /* names are resolved there; must be set before the first thread */

    int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_error(NULL, "cannot write standard output: %s", strerror(errno));
        code = code != CLI_OK ? code : CLI_USAGE;
    }
    if (code > 128) /* interrupted: a name lookup that hangs in a helper thread must not hold up the end */
        _exit(code);
    return code;
}
