/* inventory.h: the servers of a fleet, and the ways to name some of them.
 *
 * Purpose: read inventories, our own and Ansible's, into one array of servers; look ids and groups up; pick by pattern.
 * Owner: the inventory owns its servers and their strings; pointers to them are valid until it is freed or added to.
 * Thread: build in one thread; after that any number may read.
 * Must not know: SSH, runs, Lua.
 *
 * Plain list, a server a line, '#' starts a comment:
 *     srv01
 *     srv02  address=10.0.0.2 port=2222 user=ops key=~/.ssh/id_ops  rack=r1 model="PowerEdge R650"
 *   any other name=value is a variable (a string). A value with blanks is quoted as a whole with " or ', and holds no
 *   such quote. '#' inside a word is no comment. Line ends may be CRLF, a byte order mark is skipped (JSON too).
 * JSON: an array of servers (a string is an id alone), or an object with "servers": that array, and optional "vars"
 *   that every server has unless it has its own:
 *     {"servers": [{"id": "srv02", "address": "10.0.0.2", "port": 2222, "user": "ops", "key": "…", "transport": "ssh",
 *                   "ssh_args": "…", "vars": {"rack": "r1"}}], "vars": {"site": "fra"}}
 *   Variables keep their type: string, integer, fraction, boolean; the rest is JSON text. No other fields are allowed.
 * A variable cannot have the name of a field ("id", "address", "port", "user", "key", "transport", "ssh_args"), in either form.
 * A relative key path is relative to the inventory file; ~ is the home directory.
 * Ids are 1–253 bytes of printable UTF-8 without white space, control characters or any of , [ ] ! & : = " ' \ and do
 * not start with '-'. Errors name file:line (plain; for JSON line and column of the syntax error, else the server's
 * index and id).
 * Ansible's inventories are read as Ansible reads them (docs/inventory.md says in how far): INI, YAML, programs, folders of
 * these, "a,b,", with group_vars and host_vars beside. A file is a plain list when none of its lines is a section, starts
 * with ;, has a range or port, or sets an ansible_ variable; and, where group_vars or host_vars are beside it, when it
 * sets one of our fields. Servers of Ansible's inventories may have variables of any name.
 */
#ifndef MU_INVENTORY_INVENTORY_H
#define MU_INVENTORY_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum mu_var_type { MU_VAR_STR, MU_VAR_INT, MU_VAR_NUM, MU_VAR_BOOL, MU_VAR_JSON };

struct mu_var {
    char *name;
    enum mu_var_type type;
    char *str;   /* MU_VAR_STR: the value (NUL-free); MU_VAR_JSON: an array, object or null as JSON text */
    long long i; /* MU_VAR_INT, MU_VAR_BOOL */
    double num;  /* MU_VAR_NUM */
    bool shared; /* the strings are the inventory's own, from the "vars" that all servers of a file have */
};

struct mu_server {
    char *id;
    char *address;       /* never NULL: the id when none was given */
    int port;            /* 0: the transport's default */
    char *user;          /* NULL: not said */
    char *key;           /* NULL: not said; else an expanded path */
    bool local;          /* transport: local */
    char *ssh_args;      /* NULL: not said; else options as ssh's command line has them, "-J bastion -o Ciphers=…" */
    struct mu_var *vars; /* sorted by name */
    size_t n_vars;
    const char **groups; /* that the inventory says it is in, those above them included, without "all" and "ungrouped" */
    size_t n_groups;
    bool grouped;        /* groups is all there is; else those of its variable "groups" count as well */
    size_t index;        /* position in the inventory */
};

struct mu_inventory;
int mu_inventory_new(struct mu_inventory **out);
void mu_inventory_free(struct mu_inventory *inv);
/* Add the servers of a file, folder or program. A server that is there already is MU_EEXIST, naming both places, unless
 * both are Ansible's, which are merged: then all of its servers are made anew, without what mu_server_set() gave them. On
 * an error the inventory is as before; but of Ansible's it takes no more. "-" reads standard input. Warnings go to the
 * thread's log. */
int mu_inventory_load(struct mu_inventory *inv, const char *path, struct mu_err *err);
/* How long a program may take for one answer; 30 s when never called. */
void mu_inventory_set_timeout(struct mu_inventory *inv, uint64_t timeout_ms);
/* The same from memory; name stands for the file in messages. */
int mu_inventory_parse(struct mu_inventory *inv, const char *name, const char *text, size_t len, struct mu_err *err);
/* The same, of JSON that muster wrote: variables may have any name, since those of Ansible's inventories have. */
int mu_inventory_parse_back(struct mu_inventory *inv, const char *name, const char *text, size_t len, struct mu_err *err);
/* Add one server, with its id as address. The returned server may be completed by the caller through
 * mu_server_set(). MU_EINVAL, MU_EEXIST, MU_ENOMEM. */
int mu_inventory_add(struct mu_inventory *inv, const char *id, struct mu_server **out, struct mu_err *err);
/* Set "address", "port", "user", "key", "transport", "ssh_args", or a variable of any other name, from text. */
int mu_server_set(struct mu_server *srv, const char *name, const char *value, struct mu_err *err);
/* Append a variable's value as text: "12", "true"; a list or an object as JSON. */
void mu_var_text(const struct mu_var *var, struct mu_buf *out);
struct json_t; /* jansson's */
/* A variable's value; the caller's. NULL: it is not UTF-8 text, or out of memory. */
struct json_t *mu_var_json(const struct mu_var *var);
const struct mu_var *mu_server_var(const struct mu_server *srv, const char *name); /* NULL when it has none */

size_t mu_inventory_count(const struct mu_inventory *inv);
struct mu_server *mu_inventory_at(const struct mu_inventory *inv, size_t i);
struct mu_server *mu_inventory_find(const struct mu_inventory *inv, const char *id); /* by hash; NULL when absent */

/* ---- groups ---- */
/* Every server is in "all", and in "ungrouped" when in no other. Plain lists and JSON say a server's groups in its variable
 * "groups", a list or text with commas or blanks between; what is no name there counts for nothing. */

#define MU_GROUPS_VARIABLE "groups"
#define MU_GROUP_ALL "all"
#define MU_GROUP_UNGROUPED "ungrouped"

struct mu_group {
    const char *name;
    const size_t *members; /* indexes of servers, ascending; those of groups below it included */
    size_t n_members;      /* may be 0 */
};

/* The first of these after the inventory changed makes the index, so call one in the thread that builds; what they return
 * is valid until the next change. Making it is linear in servers and their groups. Out of memory: as if there were none,
 * which mu_inventory_groups_ready() tells apart: 0 or MU_ENOMEM. */
int mu_inventory_groups_ready(const struct mu_inventory *inv, struct mu_err *err);
const struct mu_group *mu_inventory_group(const struct mu_inventory *inv, const char *name); /* NULL: no such group */
size_t mu_inventory_group_count(const struct mu_inventory *inv);
const struct mu_group *mu_inventory_group_at(const struct mu_inventory *inv, size_t i); /* 0: all, 1: ungrouped */
/* Call fn for each group of a server but "all" and "ungrouped", in order, perhaps twice for the same; stops at the first
 * non-zero return, which is returned. Names are not NUL-terminated. MU_ENOMEM. */
int mu_server_each_group(const struct mu_server *srv, int (*fn)(void *arg, const char *name, size_t len), void *arg);

/* ---- as Ansible prints it ---- */

/* Append a JSON document as ansible-inventory --list prints it: groups with hosts and children, each server's variables.
 * Servers of our own inventories have their fields as ansible_host and so on. MU_ENOMEM. */
int mu_inventory_show_list(const struct mu_inventory *inv, struct mu_buf *out, struct mu_err *err);
/* The variables of one server. */
int mu_inventory_show_server(const struct mu_server *srv, struct mu_buf *out, struct mu_err *err);
/* A tree of groups and servers from a group on; MU_ENOENT when there is none of that name. */
int mu_inventory_show_graph(const struct mu_inventory *inv, const char *group, struct mu_buf *out, struct mu_err *err);

/* ---- patterns ---- */
/* Terms separated by commas, colons or white space; docs/patterns.md says what each may be: an id, a group, a glob, a node
 * set, a subscript, ~expression, @file. Terms with ! take servers out and those with & keep the ones they name, wherever
 * they stand; with no other term they start from all. Sets selected[i] for each server i of the inventory (selected has
 * mu_inventory_count() entries, cleared first). MU_ENOENT: a term matches no server or group, and is named, or no server
 * is left; MU_EINVAL, MU_ELIMIT, MU_EIO (a file), MU_ENOMEM. A node set need not be there in full. Linear in the servers
 * and in the terms; globs and expressions look at every server each. */
int mu_pattern_select(const struct mu_inventory *inv, const char *pattern, bool *selected, struct mu_err *err);
/* The server or group whose name is nearest to a mistyped one; NULL when none is near. It looks at all of them. */
const char *mu_inventory_closest(const struct mu_inventory *inv, const char *name);

#endif
