#include "values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "parse.h"

int cli_value_duration(const char *command, const char *name, const char *text, uint64_t *ms)
{
    if (cli_parse_duration(text, ms) == 0)
        return 0;
    return cli_misuse(command, "--%s: '%s' is not a duration; write %s, at most 366d", name, text, CLI_DURATION_FORM);
}

int cli_value_number(const char *command, const char *name, const char *text, unsigned max, unsigned *out)
{
    if (cli_parse_uint(text, 1, max, out) == 0)
        return 0;
    return cli_misuse(command, "--%s: '%s' is not a whole number from 1 to %u", name, text, max);
}

int cli_value_choice(const char *command, const char *name, const char *text, const char *const *choices, int *out)
{
    char list[128] = "";

    for (int i = 0; choices[i]; i++) {
        size_t used = strlen(list);
        if (strcmp(text, choices[i]) == 0) {
            *out = i;
            return 0;
        }
        snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
    }
    return cli_misuse(command, "--%s: '%s' is not one of %s", name, text, list);
}

int cli_value_text(const char *command, const char *name, const char *value, const char **out)
{
    if (value[0] == '\0')
        return cli_misuse(command, "--%s: the value is empty", name);
    *out = value;
    return 0;
}

int cli_list_add(const char *command, struct str_list *list, const char *value, int argc)
{
    if (!list->items) /* no list can be longer than the command line */
        list->items = calloc((size_t)argc + 1, sizeof *list->items);
    if (!list->items)
        return cli_error(command, "out of memory");
    list->items[list->n++] = value;
    return 0;
}

void cli_list_free(struct str_list *list)
{
    free(list->items);
    *list = (struct str_list){0};
}
