/* values.h: values of options, decoded or complained about in one form.
 *
 * Purpose: what several commands do with the text after an option.
 * Owner: nothing is allocated but the lists.
 * Thread: the main thread.
 * Must not know: what an option does.
 */
#ifndef MU_CLI_VALUES_H
#define MU_CLI_VALUES_H

#include <stddef.h>
#include <stdint.h>

/* Values of a repeatable option, in order, NULL at the end; borrowed strings. */
struct str_list {
    const char **items; /* NULL: none */
    size_t n;
};

/* Each returns 0, or CLI_USAGE when a message was printed, which names the command and the option. */

int cli_value_duration(const char *command, const char *name, const char *text, uint64_t *ms);
int cli_value_number(const char *command, const char *name, const char *text, unsigned max, unsigned *out); /* from 1 */
/* *out = the index of text among the choices, which end with NULL. */
int cli_value_choice(const char *command, const char *name, const char *text, const char *const *choices, int *out);
int cli_value_text(const char *command, const char *name, const char *value, const char **out); /* not empty */
int cli_list_add(const char *command, struct str_list *list, const char *value, int argc);
void cli_list_free(struct str_list *list);

#endif
