#include "options.h"

#include <assert.h>
#include <string.h>

#include "command.h"
#include "suggest.h"

void cli_parser_start(struct cli_parser *p, const char *command, const struct cli_option *options, int argc,
                      char **argv)
{
    size_t n_long = 0, n_short = 0;

    *p = (struct cli_parser){.command = command, .options = options, .argc = argc, .argv = argv};
    p->shorts[n_short++] = ':'; /* tell a missing value from an unknown option */
    for (const struct cli_option *o = options; o->name; o++) {
        p->n_options++;
        if (o->id == 0)
            continue;
        assert(n_long + 1 < CLI_OPTIONS_MAX);
        /* A hidden option exists for its message alone: with or without a value it shall be recognised. */
        int has_arg = !o->help ? optional_argument : o->arg ? required_argument : no_argument;
        p->longs[n_long++] = (struct option){o->name, has_arg, NULL, o->id};
        if (o->id < 256) {
            p->shorts[n_short++] = (char)o->id;
            if (o->arg)
                p->shorts[n_short++] = ':';
        }
    }
    opterr = 0;
    optind = 0; /* glibc: start over */
}

static const struct cli_option *by_id(const struct cli_parser *p, int id)
{
    for (size_t i = 0; i < p->n_options; i++)
        if (id != 0 && p->options[i].id == id)
            return &p->options[i];
    return NULL;
}

static int unknown_long(const struct cli_parser *p, const char *word)
{
    char name[64], list[256] = "";
    size_t n = 0, len = strcspn(word + 2, "=");
    struct cli_suggestion near;

    /* Only the name is repeated: the value may be a secret. */
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), word + 2);
    cli_suggestion_start(&near, name);
    for (size_t i = 0; i < p->n_options; i++) {
        const struct cli_option *o = &p->options[i];
        if (o->id == 0 || !o->help)
            continue;
        cli_suggestion_offer(&near, o->name);
        if (strncmp(o->name, name, strlen(name)) == 0) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s--%s", n ? ", " : "", o->name);
            n++;
        }
    }
    if (n > 1)
        cli_misuse(p->command, "option '--%s' is ambiguous (%s)", name, list);
    else if (near.best)
        cli_misuse(p->command, "unknown option '--%s' (did you mean --%s?)", name, near.best);
    else
        cli_misuse(p->command, "unknown option '--%s'", name);
    return CLI_BAD;
}

int cli_parser_next(struct cli_parser *p)
{
    int id = getopt_long(p->argc, p->argv, p->shorts, p->longs, NULL);
    const struct cli_option *o = by_id(p, optopt);

    p->value = optarg;
    if (id != '?' && id != ':')
        return id == -1 ? CLI_END : id;
    if (id == ':' && o) {
        if (o->id < 256)
            cli_misuse(p->command, "option -%c (--%s) needs a value: %s", o->id, o->name, o->arg);
        else
            cli_misuse(p->command, "option --%s needs a value: %s", o->name, o->arg);
    } else if (o) {
        cli_misuse(p->command, "option --%s takes no value", o->name);
    } else if (optopt != 0) {
        cli_misuse(p->command, "unknown option '-%c'", optopt);
    } else {
        return unknown_long(p, p->argv[optind - 1]);
    }
    return CLI_BAD;
}

int cli_parser_operands(const struct cli_parser *p)
{
    (void)p;
    return optind;
}
