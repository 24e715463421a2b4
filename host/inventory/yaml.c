/* YAML to a tree, by libyaml's events: its documents do not tell a tag that was written from one that was not. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "inventory/internal.h"
#include "inventory/tree.h"

#define DEPTH_MAX 200
#define EXPANDED_MAX ((size_t)1000000) /* nodes, when references make them many times as many as are written */

struct reader {
    yaml_parser_t parser;
    const char *name;
    struct mu_tree_doc *doc;
    struct mu_names anchors;
    struct mu_tree **anchored; /* by number of the anchor */
    size_t n_nodes, cap;
    unsigned depth;
    struct mu_err *err;
};

static int bad(struct reader *r, const yaml_mark_t *mark, const char *what)
{
    return mu_err_set(r->err, MU_EINVAL, "%s:%zu:%zu: %s", r->name, mark->line + 1, mark->column + 1, what);
}

static int no_memory(struct reader *r)
{
    return mu_err_set(r->err, MU_ENOMEM, "out of memory");
}

static int syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    char what[200];

    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    if (p->error == YAML_READER_ERROR)
        return mu_err_set(r->err, MU_EINVAL, "%s: not valid YAML: %s, at byte %zu", r->name, p->problem,
                          p->problem_offset);
    snprintf(what, sizeof what, "not valid YAML: %s%s%s", p->problem ? p->problem : "it ends too early",
             p->context ? ", " : "", p->context ? p->context : "");
    return bad(r, &p->problem_mark, what);
}

static int next(struct reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? 0 : syntax_error(r);
}

/* ---- scalars ---- */

#define TAG "tag:yaml.org,2002:"

static json_t *vault(const char *text, size_t len)
{
    json_t *o = json_object();

    if (o && json_object_set_new(o, MU_VAULT_KEY, json_stringn(text, len)) == 0)
        return o;
    json_decref(o);
    return NULL;
}

static int scalar(struct reader *r, const yaml_event_t *event, struct mu_tree **out)
{
    const char *text = (const char *)event->data.scalar.value, *tag = (const char *)event->data.scalar.tag;
    size_t len = event->data.scalar.length;
    char what[200];
    struct mu_quoted q;

    if (memchr(text, '\0', len))
        return bad(r, &event->start_mark, "a NUL character in a text");
    *out = mu_tree_node(r->doc, MU_TREE_LEAF, event->start_mark.line + 1);
    if (!*out)
        return no_memory(r);
    (*out)->done = true;
    if (!tag && event->data.scalar.plain_implicit)
        (*out)->leaf = mu_yaml_plain(text, len);
    else if (!tag || strcmp(tag, "!") == 0 || strcmp(tag, TAG "str") == 0 || strcmp(tag, "!unsafe") == 0 ||
             strcmp(tag, TAG "binary") == 0)
        (*out)->leaf = json_stringn(text, len);
    else if (strcmp(tag, "!vault") == 0 || strcmp(tag, "!vault-encrypted") == 0)
        (*out)->leaf = vault(text, len);
    else if (strcmp(tag, TAG "int") == 0 || strcmp(tag, TAG "float") == 0 || strcmp(tag, TAG "bool") == 0 ||
             strcmp(tag, TAG "null") == 0 || strcmp(tag, TAG "timestamp") == 0) {
        (*out)->leaf = mu_yaml_plain(text, len);
        if (strcmp(tag, TAG "float") == 0 && json_is_integer((*out)->leaf)) {
            json_t *number = json_real((double)json_integer_value((*out)->leaf));
            json_decref((*out)->leaf);
            (*out)->leaf = number;
        }
    } else {
        snprintf(what, sizeof what, "the tag %s is not known", mu_quote(&q, tag, strlen(tag)));
        return bad(r, &event->start_mark, what);
    }
    return (*out)->leaf ? 0 : no_memory(r);
}

/* ---- nodes ---- */

static int node(struct reader *r, yaml_event_t *event, struct mu_tree **out);

/* What is anchored is known from its start, so that a node that contains itself is found. */
static int anchor(struct reader *r, const yaml_char_t *name, struct mu_tree *what)
{
    size_t i;

    if (!name)
        return 0;
    if (mu_names_add(&r->anchors, (const char *)name, strlen((const char *)name), &i) < 0)
        return no_memory(r);
    if (i >= r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        struct mu_tree **more = reallocarray(r->anchored, cap, sizeof(struct mu_tree *));
        if (!more)
            return no_memory(r);
        r->anchored = more;
        r->cap = cap;
    }
    r->anchored[i] = what;
    return 0;
}

static int alias(struct reader *r, const yaml_event_t *event, struct mu_tree **out)
{
    const char *name = (const char *)event->data.alias.anchor;
    size_t i;

    if (!mu_names_find(&r->anchors, name, strlen(name), &i))
        return bad(r, &event->start_mark, "an alias of an anchor that is not there");
    *out = r->anchored[i];
    return (*out)->done ? 0 : bad(r, &event->start_mark, "an alias inside of what it stands for");
}

static int sequence(struct reader *r, const yaml_event_t *start, struct mu_tree **out)
{
    yaml_event_t event;
    int rc = 0;

    *out = mu_tree_node(r->doc, MU_TREE_LIST, start->start_mark.line + 1);
    if (!*out)
        return no_memory(r);
    rc = anchor(r, start->data.sequence_start.anchor, *out);
    while (!rc) {
        struct mu_tree *item = NULL;
        rc = next(r, &event);
        if (rc)
            break;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        if (!end)
            rc = node(r, &event, &item);
        yaml_event_delete(&event);
        if (end)
            break;
        if (!rc && mu_tree_append(*out, item) < 0)
            rc = no_memory(r);
    }
    (*out)->done = true;
    return rc;
}

struct pairs {
    struct mu_tree **keys, **values;
    size_t n, cap;
};

static int add_pair(struct reader *r, struct pairs *p, struct mu_tree *key, struct mu_tree *value)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 8;
        struct mu_tree **keys = reallocarray(p->keys, cap, sizeof(struct mu_tree *));
        if (keys)
            p->keys = keys;
        struct mu_tree **values = reallocarray(p->values, cap, sizeof(struct mu_tree *));
        if (values)
            p->values = values;
        if (!keys || !values)
            return no_memory(r);
        p->cap = cap;
    }
    p->keys[p->n] = key;
    p->values[p->n++] = value;
    return 0;
}

static bool is_merge(const yaml_event_t *event)
{
    const char *tag = (const char *)event->data.scalar.tag;

    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 2 &&
           memcmp(event->data.scalar.value, "<<", 2) == 0 &&
           (tag ? strcmp(tag, TAG "merge") == 0 : event->data.scalar.plain_implicit);
}

static int read_pairs(struct reader *r, struct pairs *p, struct pairs *merges)
{
    yaml_event_t event;
    int rc;

    for (;;) {
        struct mu_tree *key = NULL, *value = NULL;
        bool merge;

        rc = next(r, &event);
        if (rc)
            return rc;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        merge = is_merge(&event);
        rc = node(r, &event, &key);
        yaml_mark_t mark = event.start_mark;
        yaml_event_delete(&event);
        if (!rc && key->kind != MU_TREE_LEAF)
            rc = bad(r, &mark, "a list or a mapping as a key");
        if (!rc && json_is_object(key->leaf))
            rc = bad(r, &mark, "an encrypted key");
        if (!rc)
            rc = next(r, &event);
        if (rc)
            return rc;
        rc = node(r, &event, &value);
        yaml_event_delete(&event);
        if (!rc)
            rc = add_pair(r, merge ? merges : p, key, value);
        if (rc)
            return rc;
    }
}

/* Take over the pairs of another mapping. */
static int merge_one(struct reader *r, struct mu_tree *map, const struct mu_tree *from, const struct mu_tree *place)
{
    if (from->kind != MU_TREE_MAP)
        return mu_err_set(r->err, MU_EINVAL, "%s:%u: << takes a mapping, or a list of some", r->name, place->line);
    for (size_t i = 0; i < from->n; i++)
        if (mu_tree_set(map, from->keys.at[i], strlen(from->keys.at[i]), from->key_texts[i], from->key_lines[i],
                        from->at[i]) < 0)
            return no_memory(r);
    return 0;
}

static int merge(struct reader *r, struct mu_tree *map, const struct pairs *merges)
{
    int rc = 0;

    for (size_t i = 0; i < merges->n && !rc; i++) {
        const struct mu_tree *value = merges->values[i], *key = merges->keys[i];
        if (value->kind != MU_TREE_LIST)
            rc = merge_one(r, map, value, key);
        else /* what comes earlier in the list wins */
            for (size_t j = value->n; j-- > 0 && !rc;)
                rc = merge_one(r, map, value->at[j], key);
    }
    return rc;
}

static int set_pair(struct reader *r, struct mu_tree *map, const struct mu_tree *key, struct mu_tree *value)
{
    char *made = NULL;
    const char *text = json_string_value(key->leaf);
    int rc;

    if (!text)
        text = made = json_dumps(key->leaf, JSON_ENCODE_ANY);
    rc = text ? mu_tree_set(map, text, strlen(text), json_is_string(key->leaf), key->line, value) : MU_ENOMEM;
    free(made);
    return rc < 0 ? no_memory(r) : 0;
}

static int mapping(struct reader *r, const yaml_event_t *start, struct mu_tree **out)
{
    struct pairs pairs = {0}, merges = {0};
    int rc;

    *out = mu_tree_node(r->doc, MU_TREE_MAP, start->start_mark.line + 1);
    if (!*out)
        return no_memory(r);
    rc = anchor(r, start->data.mapping_start.anchor, *out);
    if (!rc)
        rc = read_pairs(r, &pairs, &merges);
    if (!rc)
        rc = merge(r, *out, &merges);
    for (size_t i = 0; i < pairs.n && !rc; i++)
        rc = set_pair(r, *out, pairs.keys[i], pairs.values[i]);
    (*out)->done = true;
    free(pairs.keys);
    free(pairs.values);
    free(merges.keys);
    free(merges.values);
    return rc;
}

static int node(struct reader *r, yaml_event_t *event, struct mu_tree **out)
{
    int rc;

    if (++r->depth > DEPTH_MAX)
        return bad(r, &event->start_mark, "nested too deeply");
    r->n_nodes++;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        rc = scalar(r, event, out);
        if (!rc)
            rc = anchor(r, event->data.scalar.anchor, *out);
        break;
    case YAML_ALIAS_EVENT:
        rc = alias(r, event, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        rc = sequence(r, event, out);
        break;
    case YAML_MAPPING_START_EVENT:
        rc = mapping(r, event, out);
        break;
    default:
        rc = bad(r, &event->start_mark, "not valid YAML here");
    }
    r->depth--;
    if (!rc && (*out)->expanded > EXPANDED_MAX && (*out)->expanded / 100 > r->n_nodes)
        rc = bad(r, &event->start_mark, "what its aliases stand for is too large");
    return rc;
}

/* ---- the document ---- */

static int document(struct reader *r)
{
    yaml_event_t event;
    int rc = 0;

    for (bool over = false; !rc && !over;) {
        rc = next(r, &event);
        if (rc)
            return rc;
        over = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && r->doc->root)
            rc = bad(r, &event.start_mark, "a second document: an inventory is one");
        else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
                 event.type != YAML_DOCUMENT_END_EVENT && !over)
            rc = node(r, &event, &r->doc->root);
        yaml_event_delete(&event);
    }
    return rc;
}

int mu_tree_parse(struct mu_tree_doc *doc, const char *name, const char *text, size_t len, struct mu_err *err)
{
    struct reader r = {.name = name, .doc = doc, .err = err};
    json_t *json;
    int rc;

    *doc = (struct mu_tree_doc){0};
    json = json_loadb(text, len, JSON_DECODE_ANY, NULL); /* first, as it has other numbers than YAML */
    if (json) {
        json_decref(json);
        return mu_tree_parse_json(doc, name, text, len, err);
    }
    if (!yaml_parser_initialize(&r.parser))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    rc = document(&r);
    yaml_parser_delete(&r.parser);
    mu_names_free(&r.anchors);
    free(r.anchored);
    if (rc < 0)
        mu_tree_free(doc);
    return rc;
}
