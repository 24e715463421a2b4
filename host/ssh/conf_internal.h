/* conf_internal.h: what the files of the ssh_config reader share: conf*.c.
 *
 * Purpose: how a configuration is kept, and the calls between those files.
 * Owner: all is of the configuration's arena. Thread: as conf.h says. Must not know: as conf.h.
 *
 * A file is a list of sections: what stands before its first Host or Match line, then one for each such line. Sections whose
 * Host line has plain names only are found by name; the others are looked at one by one. So ten thousand hosts of one
 * file cost a server no more than a few.
 */
#ifndef MU_SSH_CONF_INTERNAL_H
#define MU_SSH_CONF_INTERNAL_H

#include "core/buf.h"
#include "ssh/conf.h"

/* ---- conf_keys.c: the keywords ---- */

enum mu_conf_form {
    MU_FORM_ANY,      /* not looked at */
    MU_FORM_TEXT,     /* one word */
    MU_FORM_FLAG,     /* yes, no, true, false */
    MU_FORM_PUBKEY,   /* a flag, "unbound", "host-bound" */
    MU_FORM_STRICT,   /* a flag, "ask", "accept-new", "off" */
    MU_FORM_CANON,    /* a flag, "always" */
    MU_FORM_FAMILY,   /* any, inet, inet6: enum mu_ssh_family */
    MU_FORM_NUMBER,
    MU_FORM_TIME,     /* seconds, 1m30s, none */
    MU_FORM_PORT,     /* a number or a service */
    MU_FORM_PATHS,    /* several words; "none" only alone */
    MU_FORM_COMMAND,  /* the rest of the line as it is */
    MU_FORM_JUMP,
    MU_FORM_AGENT,
    MU_FORM_CIPHERS,  /* lists of algorithms */
    MU_FORM_MACS,
    MU_FORM_KEX,
    MU_FORM_KEYS,
    MU_FORM_WORDS     /* several words */
};

struct mu_conf_keyword {
    const char *name;
    enum mu_conf_key key;
    enum mu_conf_form form;
    const char *harmless; /* MU_CONF_NOT_HONOURED: values, "a,b", with which it asks for nothing */
};
const struct mu_conf_keyword *mu_conf_keyword_find(const char *name); /* any case; NULL: ssh knows none such */
/* True the first time in this process, for each. */
bool mu_conf_keyword_warn(const struct mu_conf_keyword *k);
const char *mu_conf_keyword_name(enum mu_conf_key key);

/* ---- conf_words.c ---- */

/* The words of text: blanks part, quotes of both kinds group, a backslash saves a quote, a backslash or a blank; comment: a
 * word that begins with # ends it. False: a quote is left open, or out of memory (then a->failed). */
bool mu_conf_words(struct mu_conf_arena *a, const char *text, bool comment, char ***args, size_t *n);
/* The next word at *at, as Match lines and keywords have them: "=" parts, too. Writes into the text; *at is NULL after the
 * last. NULL: none, or a quote is left open. */
char *mu_conf_token(char **at);
bool mu_conf_seconds(const char *text, int *out);
bool mu_conf_glob(const char *s, const char *pattern);                   /* * and ? */
int mu_conf_glob_list(const char *s, const char *list, bool any_case);   /* "a,!b": 1 yes, 0 no, -1 taken out by a ! */

/* ---- conf_value.c ---- */

/* Check the value of l and set what the keyword's form asks for. rest: the line behind the keyword. */
int mu_conf_value(struct mu_conf_arena *a, struct mu_conf_line *l, const struct mu_conf_keyword *k, const char *rest,
                  struct mu_err *err);
/* "[user@]host[:port],…" of a ProxyJump; false when it is none. */
bool mu_conf_jump(struct mu_conf_arena *a, const char *text, char **out);

/* ---- conf_algorithms.c ---- */

/* list ("a,b", "+a", "-a*", "^a") as names that libssh knows, against its defaults where there is a sign. "": none is left.
 * NULL: out of memory. */
char *mu_conf_algorithms(struct mu_conf_arena *a, enum mu_conf_form form, const char *list, const struct mu_conf_line *l);

/* ---- conf_line.c ---- */

/* One line of text, which is written into. *out NULL: an empty line. ignored: patterns of IgnoreUnknown so far. */
int mu_conf_line_parse(struct mu_conf_arena *a, char *text, const char *origin, unsigned number, bool user,
                       const char *ignored, struct mu_conf_line **out, struct mu_err *err);

/* Warn that what l asks for is not done; once a line, of command lines once a keyword, so that a fleet is no flood. */
void mu_conf_warn_once(const struct mu_conf_line *l, const char *why);

/* ---- files ---- */

enum mu_conf_attribute {
    MU_MATCH_ALL,
    MU_MATCH_FINAL, /* and canonical */
    MU_MATCH_HOST,
    MU_MATCH_ORIGINALHOST,
    MU_MATCH_USER,
    MU_MATCH_LOCALUSER,
    MU_MATCH_EXEC
};

struct mu_conf_condition {
    enum mu_conf_attribute what;
    bool negated;
    const char *arg;
};

struct mu_conf_section {
    const struct mu_conf_line *head; /* the Host or Match line; NULL: the lines before the first of them */
    struct mu_conf_condition *conditions;
    size_t n_conditions;
    struct mu_conf_line **lines;
    size_t n_lines;
};

struct mu_conf_name {
    const char *name;
    size_t section;
};

struct mu_conf_file {
    const char *path;
    struct mu_conf_section *sections;
    size_t n_sections;
    struct mu_conf_name *names; /* of the sections that are found by name; sorted by name, then section */
    size_t n_names;
    size_t *others; /* the rest, in order */
    size_t n_others;
};

struct mu_conf {
    struct mu_conf_arena arena;
    struct mu_conf_file *roots[2]; /* the user's, the system's; NULL: none */
    bool has_exec, has_final;
    struct mu_buf ignored;         /* while reading: IgnoreUnknown */
    unsigned n_files;              /* while reading */
};

/* conf_match.c: the conditions of a Match line; sets what of c they ask for. text is written into. */
int mu_conf_match_parse(struct mu_conf *c, struct mu_conf_section *s, char *text, struct mu_err *err);

#endif
