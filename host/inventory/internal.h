/* internal.h: what the inventory's own files share.
 *
 * Purpose: the inside of an inventory, the checks that list and JSON have in common, and how text gets into messages.
 * Owner: an inventory owns its sources, entries and shared variables; see inventory.h.
 * Thread: as inventory.h.
 * Must not know: anything outside inventory/ but core.
 */
#ifndef MU_INVENTORY_INTERNAL_H
#define MU_INVENTORY_INTERNAL_H

#include <jansson.h>
#include <stdint.h>

#include "inventory/inventory.h"
#include "inventory/names.h"

/* ---- where a server was said ---- */

enum mu_source_kind { MU_SOURCE_LIST, MU_SOURCE_JSON, MU_SOURCE_INI, MU_SOURCE_YAML, MU_SOURCE_OTHER };

struct mu_source {
    char *name;   /* the file as messages name it: escaped, and short enough to leave room for the rest */
    char *folder; /* relative key paths start here, with its slash; "" for none */
    enum mu_source_kind kind;
    bool any_name; /* variables may have the names of fields */
    struct mu_var *defaults; /* the variables that every server of it shares; sorted by name */
    size_t n_defaults;
    struct mu_source *next;
};

struct mu_entry {
    struct mu_server srv; /* first, so that one pointer is both */
    uint64_t hash;
    const struct mu_source *source; /* NULL: added by mu_inventory_add() */
    size_t place;                   /* the line, or the index in "servers" */
    struct mu_group_index *groups;  /* the inventory's: a changed server makes it stale */
};

struct mu_inventory {
    struct mu_entry **entries;
    size_t n, cap;
    uint32_t *slots;           /* index + 1 of an entry, 0 for none; open addressing, at most half full */
    size_t n_slots;            /* a power of two, or 0 */
    struct mu_source *sources; /* newest first */
    struct mu_group_index *groups;
    struct mu_ansible *ansible; /* NULL: none of Ansible's inventories so far */
    uint64_t timeout_ms;        /* of a program that prints an inventory */
    struct mu_names said; /* groups by name, whoever is in them; servers' groups point here */
};

/* Add a server that was said at a place. Messages do not name that place: the reader puts it before them. */
int mu_inventory_add_from(struct mu_inventory *inv, const char *id, const struct mu_source *source, size_t place,
                          struct mu_server **out, struct mu_err *err);
/* The most slots that a look-up of any server has to visit. For tests: it stays small however many there are. */
size_t mu_inventory_longest_probe(const struct mu_inventory *inv);

/* ---- inventory.c ---- */

/* Read one text of a known kind; Ansible's are not settled yet. On an error of the own kinds all is as before. */
int mu_inventory_read(struct mu_inventory *inv, const char *name, bool beside, const char *text, size_t len,
                      struct mu_err *err);
/* The model that Ansible's inventories go into, made when it is not there. */
int mu_inventory_ansible(struct mu_inventory *inv, struct mu_ansible **out, struct mu_err *err);
/* Make servers of what was read; rc of reading, which is returned when it is an error. n: servers there were before. */
int mu_inventory_finish(struct mu_inventory *inv, size_t n, int rc, struct mu_err *err);

/* ---- groups.c ---- */

/* Made when it is first asked for, which is why it stands apart from the inventory that holds it. */
struct mu_group_index {
    bool fresh;
    struct mu_names names;
    struct mu_group *groups;
    size_t *members; /* of all groups, one after the other */
};
void mu_groups_clear(struct mu_group_index *index); /* stale, and empty */
/* A group that there is even when nobody is in it; its number is that in inv->said. */
int mu_inventory_say_group(struct mu_inventory *inv, const char *name, size_t *number);

/* ---- the readers; on an error the caller takes back what they added ---- */

int mu_inventory_read_list(struct mu_inventory *inv, const struct mu_source *source, const char *text, size_t len,
                           struct mu_err *err);
int mu_inventory_read_json(struct mu_inventory *inv, struct mu_source *source, const char *text, size_t len,
                           struct mu_err *err);

/* ---- kind.c ---- */

/* What a text is, by the file's name and by its first lines. beside: group_vars or host_vars are beside it, or it is one
 * of a folder: then a list of names alone is Ansible's. */
enum mu_source_kind mu_source_kind(const char *name, const char *text, size_t len, bool beside);

/* ---- source.c ---- */

int mu_source_new(struct mu_source **out, const char *name);
void mu_source_free(struct mu_source *source);
/* A further source, which the inventory keeps. */
int mu_inventory_new_source(struct mu_inventory *inv, const char *name, struct mu_source **out, struct mu_err *err);
/* Append the whole file, "-" for standard input. */
int mu_source_read(const char *path, struct mu_buf *out, struct mu_err *err);
/* That the text is UTF-8 without NUL bytes. */
int mu_source_check(const struct mu_source *source, const char *text, size_t len, struct mu_err *err);

/* ---- server.c: messages say what is wrong with a value, not where ---- */

/* The fields that a server has besides its id and its variables. */
enum mu_server_field_id { MU_SF_ADDRESS, MU_SF_PORT, MU_SF_USER, MU_SF_KEY, MU_SF_TRANSPORT, MU_SF_SSH_ARGS, MU_SF_NONE };
enum mu_server_field_id mu_server_field(const char *name, size_t len);
const char *mu_server_field_name(enum mu_server_field_id field);
int mu_server_check_id(const char *id, size_t len, struct mu_err *err);
int mu_server_set_port(struct mu_server *srv, long long port, struct mu_err *err);
/* Set a field from text; relative key paths start in folder ("" for none). */
int mu_server_set_field(struct mu_server *srv, enum mu_server_field_id field, const char *value, const char *folder,
                        struct mu_err *err);
void mu_server_clear(struct mu_server *srv);

/* ---- vars.c ---- */

/* That a variable may have this name: printable, and not that of a field, which would look like one but do nothing. */
int mu_var_check_name(const char *name, size_t len, struct mu_err *err);
/* A variable out of a JSON value; the caller clears it, also on MU_ENOMEM. */
int mu_var_from_json(struct mu_var *var, const char *name, const json_t *value);
/* Free a variable's strings, unless they are shared. */
void mu_var_clear(struct mu_var *var);
void mu_vars_free(struct mu_var *vars, size_t n);
/* Sort by name. MU_EINVAL names a variable that is there twice. */
int mu_vars_sort(struct mu_var *vars, size_t n, struct mu_err *err);
/* Let srv, whose variables are sorted, have those of defaults (sorted too) that it lacks. It shares their strings. */
int mu_vars_merge(struct mu_server *srv, const struct mu_var *defaults, size_t n);
/* Make room for one more variable at position i, zeroed; NULL when out of memory. */
struct mu_var *mu_vars_insert(struct mu_server *srv, size_t i);
/* Where name is, or belongs, among sorted variables. */
size_t mu_vars_position(const struct mu_var *vars, size_t n, const char *name, bool *found);

/* ---- text.c ---- */

enum mu_char_kind { MU_CHAR_PRINTABLE, MU_CHAR_SPACE, MU_CHAR_CONTROL, MU_CHAR_INVISIBLE };
enum mu_char_kind mu_char_kind(uint32_t cp);
/* That s is printable UTF-8, with blanks only when spaces. what names it in the message. */
int mu_check_chars(const char *what, const char *s, size_t len, bool spaces, struct mu_err *err);

struct mu_quoted {
    char text[96];
};
/* n bytes of s as messages quote them: escaped, cut when long. The returned text is q's. */
const char *mu_quote(struct mu_quoted *q, const char *s, size_t n);

#endif
