/* tree.h: a YAML or JSON document as a tree that knows on which line each thing stands.
 *
 * Purpose: Ansible's files, read with the types that Ansible gives to what stands in them.
 * Owner: the document owns its nodes; what mu_tree_json() returns is the caller's.
 * Thread: one. Must not know: what an inventory is.
 *
 * YAML is 1.1 with one document, anchors, merge keys, and of the tags !vault (an object with "__ansible_vault" and the
 * encrypted text) and !unsafe (no more than the text). A key that is there twice: the last value counts. Integers of more
 * than 64 bits, infinities and dates are text. Files that are JSON are read as that, and have no lines but line 1.
 */
#ifndef MU_INVENTORY_TREE_H
#define MU_INVENTORY_TREE_H

#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"
#include "inventory/names.h"

#define MU_VAULT_KEY "__ansible_vault"

enum mu_tree_kind { MU_TREE_LEAF, MU_TREE_LIST, MU_TREE_MAP };

struct mu_tree {
    enum mu_tree_kind kind;
    uint32_t line;
    bool done;           /* false while it is being read: what refers to it then contains itself */
    json_t *leaf;        /* MU_TREE_LEAF */
    size_t n;
    struct mu_tree **at; /* MU_TREE_LIST; the values of MU_TREE_MAP */
    struct mu_names keys; /* MU_TREE_MAP */
    uint32_t *key_lines;
    bool *key_texts;     /* false: the key was no string, which is written as JSON would */
    size_t cap;
    size_t expanded;     /* nodes in it, those that are referred to counted as often as they are */
    struct mu_tree *next;
};

struct mu_tree_doc {
    struct mu_tree *nodes; /* all of them */
    struct mu_tree *root;  /* NULL: the document is empty */
};

/* name stands for the file in messages, which name its line. text is UTF-8. */
int mu_tree_parse(struct mu_tree_doc *doc, const char *name, const char *text, size_t len, struct mu_err *err);
int mu_tree_parse_json(struct mu_tree_doc *doc, const char *name, const char *text, size_t len, struct mu_err *err);
void mu_tree_free(struct mu_tree_doc *doc);
json_t *mu_tree_json(const struct mu_tree *node); /* NULL when out of memory */
/* The value of a key, NULL when there is none. */
struct mu_tree *mu_tree_get(const struct mu_tree *map, const char *key);
bool mu_tree_is_null(const struct mu_tree *node);
const char *mu_tree_kind_name(const struct mu_tree *node); /* "a mapping", "a number" … for messages */

/* ---- for those who build one ---- */
struct mu_tree *mu_tree_node(struct mu_tree_doc *doc, enum mu_tree_kind kind, size_t line);
int mu_tree_append(struct mu_tree *list, struct mu_tree *item);
/* Set the value of a key; the last one counts. */
int mu_tree_set(struct mu_tree *map, const char *key, size_t len, bool text, size_t line, struct mu_tree *value);
/* The number, truth value, null or text that a word without quotes is in YAML 1.1. NULL when out of memory. */
json_t *mu_yaml_plain(const char *text, size_t len);
double mu_number(const char *text); /* as strtod() in the C locale; 0 when out of memory */

#endif
