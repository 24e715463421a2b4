/* ansible.h: an inventory as Ansible has it, before it becomes servers.
 *
 * Purpose: groups and hosts with their variables, gathered from all of its files in the order in which they are named,
 *   and then settled: who is in which group, and which value of a variable counts.
 * Owner: the inventory owns the model, the model its values; sources are the inventory's.
 * Thread: as the inventory. Must not know: how a server is reached.
 *
 * Readers (ini.c, yaml_groups.c, dynamic.c, hosts.c) call the functions below; when one of them fails, the model is no good
 * any more. Settling may be repeated, after each further source.
 */
#ifndef MU_INVENTORY_ANSIBLE_H
#define MU_INVENTORY_ANSIBLE_H

#include <jansson.h>

#include "inventory/internal.h"
#include "inventory/tree.h"

#define MU_ALL 0 /* numbers of the two groups that there always are */
#define MU_UNGROUPED 1

/* Where something was said; line 0: the file as a whole. */
struct mu_place {
    const struct mu_source *source;
    size_t line;
};

struct mu_avar {
    uint32_t name, line;
    json_t *value;
    const struct mu_source *source;
};

/* What was set, in order: of several values the last counts. */
struct mu_avars {
    struct mu_avar *at;
    uint32_t n, cap;
};

struct mu_numbers {
    uint32_t *at;
    uint32_t n, cap;
};

struct mu_ahost {
    struct mu_place place; /* where it was said first */
    struct mu_avars vars;
    struct mu_numbers groups; /* that name it, in order; settled without ungrouped when there are others */
    struct mu_entry *entry;   /* its server, once settled */
};

struct mu_agroup {
    struct mu_avars vars;
    struct mu_numbers children, parents, hosts;
    long long priority;
    unsigned depth; /* settled: the longest way from all */
};

struct mu_vars_dirs;
struct mu_layer;

struct mu_ansible {
    struct mu_inventory *inv;
    struct mu_names hosts, groups, vars;
    struct mu_ahost *host;
    struct mu_agroup *group;
    size_t host_cap, group_cap;
    struct mu_vars_dirs *dirs; /* folders of sources, whose group_vars and host_vars count */
    struct mu_layer *layers;   /* what servers with the same groups share; see settle.c */
    bool broken;               /* a source failed half-way */
    unsigned long long work;   /* variables and memberships looked at while settling; for tests */
    size_t n_secrets;          /* variables left out as passwords, of the last settling */
};

int mu_ansible_new(struct mu_ansible **out, struct mu_inventory *inv);
void mu_ansible_free(struct mu_ansible *a); /* NULL allowed */

/* *number is that of the group, which is added when new. The name must not be empty. */
int mu_ansible_group(struct mu_ansible *a, const char *name, struct mu_place place, uint32_t *number, struct mu_err *err);
/* Add the host when it is new, and to a group. port 0: none said. */
int mu_ansible_host(struct mu_ansible *a, const char *name, struct mu_place place, uint32_t group, long port,
                    uint32_t *number, struct mu_err *err);
/* MU_EINVAL when the child is above the parent already. */
int mu_ansible_child(struct mu_ansible *a, uint32_t parent, uint32_t child, struct mu_place place, struct mu_err *err);
/* Of a host that has the name of a group, the group's: Ansible sets them there. */
int mu_ansible_host_var(struct mu_ansible *a, uint32_t host, const char *name, json_t *value, struct mu_place place,
                        struct mu_err *err);
/* "ansible_group_priority" is no variable, but sets that. */
int mu_ansible_group_var(struct mu_ansible *a, uint32_t group, const char *name, json_t *value, struct mu_place place,
                         struct mu_err *err);
int mu_avars_add(struct mu_ansible *a, struct mu_avars *vars, const char *name, json_t *value, struct mu_place place);
void mu_avars_clear(struct mu_avars *vars);
/* Sort by name, the last value of each only. */
int mu_avars_settle(struct mu_avars *vars); /* 0 or MU_ENOMEM */
int mu_numbers_add(struct mu_numbers *list, uint32_t number);
bool mu_numbers_has(const struct mu_numbers *list, uint32_t number);

/* ---- readers: of a text, of a word with a range in it ---- */

int mu_ansible_read_ini(struct mu_ansible *a, const struct mu_source *source, const char *text, size_t len,
                        struct mu_err *err);
int mu_ansible_read_yaml(struct mu_ansible *a, const struct mu_source *source, const char *text, size_t len,
                         struct mu_err *err);
/* What the program at path prints. */
int mu_ansible_read_program(struct mu_ansible *a, const struct mu_source *source, const char *path, uint64_t timeout_ms,
                            struct mu_err *err);
int mu_ansible_read_hosts(struct mu_ansible *a, const struct mu_source *source, const char *text, struct mu_err *err);

/* "db[01:10:2]-x:2222": the hosts that it stands for, one a call of fn, and the port, 0 for none. A non-zero return of fn
 * is returned. Messages do not name the place. */
int mu_hosts_expand(const char *text, int (*fn)(void *arg, const char *name, long port), void *arg, struct mu_err *err);
/* The host and its port; text is left as it is when that is no host and port. *name is the caller's. MU_ENOMEM. */
int mu_host_and_port(const char *text, bool ranges, char **name, long *port);
/* Words of a line as a shell has them, '#' starts a comment; each NUL-terminated in *words, one after the other. */
int mu_words_split(const char *line, size_t len, struct mu_buf *words, size_t *n, struct mu_err *err);
/* The value that a Python literal stands for, else the text. NULL when out of memory. */
json_t *mu_literal(const char *text);

/* ---- vars_dirs.c ---- */

/* The folder of a source: its group_vars and host_vars count, after those of folders named before. */
int mu_vars_dirs_add(struct mu_ansible *a, const char *folder, struct mu_err *err);
void mu_vars_dirs_free(struct mu_vars_dirs *dirs);
size_t mu_vars_dirs_count(const struct mu_vars_dirs *dirs);
/* What the i-th folder's files say of a group or host; *out is the model's, NULL when they say nothing. */
int mu_vars_dirs_get(struct mu_ansible *a, size_t i, bool host, const char *name, const struct mu_avars **out,
                     struct mu_err *err);
/* That a folder has a group_vars or host_vars. "" is the current one. */
bool mu_vars_dirs_there(const char *folder);

/* ---- settle.c: hosts become servers of the inventory ---- */

int mu_ansible_settle(struct mu_ansible *a, struct mu_err *err);
void mu_layers_free(struct mu_layer *layers);
/* Groups above one, itself included, each once. */
int mu_ansible_above(const struct mu_ansible *a, uint32_t group, struct mu_numbers *out);

/* ---- connection.c ---- */

/* Variables that are looked up by name, from both of these; the first that has it counts. */
struct mu_scope_vars {
    const struct mu_avars *own, *shared; /* settled */
    const struct mu_ansible *a;
    const char *host;
    const struct mu_source *source; /* of the host, for inventory_dir */
};
/* Set the server's fields from its variables. */
int mu_connection_set(struct mu_server *srv, const struct mu_scope_vars *vars, struct mu_err *err);
bool mu_connection_is_secret(const char *name);
bool mu_connection_uses(const char *name);

#endif
