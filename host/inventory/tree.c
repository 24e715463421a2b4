#include "inventory/tree.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 200

struct mu_tree *mu_tree_node(struct mu_tree_doc *doc, enum mu_tree_kind kind, size_t line)
{
    struct mu_tree *node = calloc(1, sizeof *node);

    if (!node)
        return NULL;
    node->kind = kind;
    node->line = (uint32_t)line;
    node->expanded = 1;
    node->next = doc->nodes;
    doc->nodes = node;
    return node;
}

void mu_tree_free(struct mu_tree_doc *doc)
{
    while (doc->nodes) {
        struct mu_tree *node = doc->nodes;
        doc->nodes = node->next;
        json_decref(node->leaf);
        mu_names_free(&node->keys);
        free(node->key_lines);
        free(node->key_texts);
        free(node->at);
        free(node);
    }
    doc->root = NULL;
}

static int room(struct mu_tree *node)
{
    size_t cap = node->cap ? node->cap * 2 : 4;
    struct mu_tree **at;

    if (node->n < node->cap)
        return 0;
    at = reallocarray(node->at, cap, sizeof(struct mu_tree *));
    if (!at)
        return MU_ENOMEM;
    node->at = at;
    if (node->kind == MU_TREE_MAP) {
        uint32_t *lines = reallocarray(node->key_lines, cap, sizeof *lines);
        if (lines)
            node->key_lines = lines;
        bool *texts = reallocarray(node->key_texts, cap, sizeof *texts);
        if (texts)
            node->key_texts = texts;
        if (!lines || !texts)
            return MU_ENOMEM;
    }
    node->cap = cap;
    return 0;
}

static void count(struct mu_tree *node, const struct mu_tree *item)
{
    if (__builtin_add_overflow(node->expanded, item->expanded, &node->expanded))
        node->expanded = SIZE_MAX;
}

int mu_tree_append(struct mu_tree *list, struct mu_tree *item)
{
    if (room(list) < 0)
        return MU_ENOMEM;
    list->at[list->n++] = item;
    count(list, item);
    return 0;
}

int mu_tree_set(struct mu_tree *map, const char *key, size_t len, bool text, size_t line, struct mu_tree *value)
{
    size_t i;
    int rc = room(map) < 0 ? MU_ENOMEM : mu_names_add(&map->keys, key, len, &i);

    if (rc < 0)
        return rc;
    map->n = map->keys.n;
    map->at[i] = value;
    map->key_lines[i] = (uint32_t)line;
    map->key_texts[i] = text;
    count(map, value);
    return 0;
}

struct mu_tree *mu_tree_get(const struct mu_tree *map, const char *key)
{
    size_t i;

    return mu_names_find(&map->keys, key, strlen(key), &i) ? map->at[i] : NULL;
}

bool mu_tree_is_null(const struct mu_tree *node)
{
    return node->kind == MU_TREE_LEAF && json_is_null(node->leaf);
}

const char *mu_tree_kind_name(const struct mu_tree *node)
{
    if (node->kind != MU_TREE_LEAF)
        return node->kind == MU_TREE_LIST ? "a list" : "a mapping";
    return json_is_string(node->leaf)    ? "text"
           : json_is_number(node->leaf)  ? "a number"
           : json_is_boolean(node->leaf) ? "true or false"
           : json_is_object(node->leaf)  ? "encrypted"
                                         : "nothing";
}

json_t *mu_tree_json(const struct mu_tree *node)
{
    json_t *all;
    bool ok = true;

    if (node->kind == MU_TREE_LEAF)
        return json_incref(node->leaf);
    all = node->kind == MU_TREE_LIST ? json_array() : json_object();
    for (size_t i = 0; all && ok && i < node->n; i++) {
        json_t *item = mu_tree_json(node->at[i]);
        ok = item && (node->kind == MU_TREE_LIST ? json_array_append_new(all, item)
                                                 : json_object_set_new(all, node->keys.at[i], item)) == 0;
    }
    if (ok)
        return all;
    json_decref(all);
    return NULL;
}

/* ---- JSON ---- */

static int from_json(struct mu_tree_doc *doc, json_t *value, unsigned depth, struct mu_tree **out)
{
    struct mu_tree *node, *item = NULL;
    const char *key;
    json_t *v;
    size_t i;
    int rc = 0;

    node = mu_tree_node(doc, json_is_object(value)  ? MU_TREE_MAP
                             : json_is_array(value) ? MU_TREE_LIST
                                                    : MU_TREE_LEAF, 1);
    *out = node;
    if (!node)
        return MU_ENOMEM;
    if (depth > DEPTH_MAX)
        return MU_ELIMIT;
    if (node->kind == MU_TREE_LEAF)
        node->leaf = json_incref(value);
    json_array_foreach(value, i, v) {
        rc = from_json(doc, v, depth + 1, &item);
        rc = rc ? rc : mu_tree_append(node, item);
        if (rc)
            return rc;
    }
    json_object_foreach(value, key, v) {
        rc = from_json(doc, v, depth + 1, &item);
        rc = rc ? rc : mu_tree_set(node, key, strlen(key), true, 1, item);
        if (rc)
            return rc;
    }
    node->done = true;
    return 0;
}

int mu_tree_parse_json(struct mu_tree_doc *doc, const char *name, const char *text, size_t len, struct mu_err *err)
{
    json_error_t e;
    json_t *root = json_loadb(text, len, JSON_DECODE_ANY, &e);
    struct mu_buf why = MU_BUF_INIT;
    int rc;

    *doc = (struct mu_tree_doc){0};
    if (!root) {
        mu_buf_add_escaped(&why, e.text, strlen(e.text));
        rc = mu_err_set(err, MU_EINVAL, "%s:%d:%d: not valid JSON: %s", name, e.line > 0 ? e.line : 1,
                        e.column > 0 ? e.column : 1, mu_buf_cstr(&why));
        mu_buf_free(&why);
        return rc;
    }
    rc = from_json(doc, root, 0, &doc->root);
    json_decref(root);
    if (rc == MU_ELIMIT)
        mu_err_set(err, rc, "%s: lists and objects are nested more than %d deep", name, DEPTH_MAX);
    else if (rc < 0)
        mu_err_set(err, rc, "out of memory");
    if (rc < 0)
        mu_tree_free(doc);
    return rc;
}
