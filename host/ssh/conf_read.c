/* conf_read.c: the files, and those that they include. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "ssh/conf_internal.h"
#include "ssh/shared_parts.h"

#define DEPTH_MAX 16    /* as OpenSSH */
#define FILES_MAX 4096u /* a file that includes itself twice would be read 65,536 times */
#define SYSTEM_DIR "/etc/ssh"

struct reading {
    struct mu_conf *c;
    bool user; /* the user's files: ~ is allowed, and relative means ~/.ssh */
};

/* While a file is read its lists grow; then they go into the arena. */
struct lists {
    struct mu_conf_section *sections;
    size_t n_sections, room;
    struct mu_conf_line **lines; /* of the last section */
    size_t n_lines, lines_room;
};

static int nomem(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }

/* Room for one more of size bytes in *list. */
static bool grow(void **list, size_t n, size_t *room, size_t size)
{
    void *more;

    if (n < *room)
        return true;
    more = realloc(*list, (n ? 2 * n : 8) * size);
    if (!more)
        return false;
    *list = more;
    *room = n ? 2 * n : 8;
    return true;
}

/* *out: a copy of n elements of size bytes in the arena, one more of zeros behind it. */
static bool settle(struct mu_conf *c, void *out, const void *list, size_t n, size_t size)
{
    void *copy = mu_conf_alloc(&c->arena, (n + 1) * size);

    if (!copy)
        return false;
    if (n)
        memcpy(copy, list, n * size);
    memcpy(out, &copy, sizeof(copy));
    return true;
}

/* ---- who may write the file ---- */

/* A group that nobody else is in: its name is the owner's, and it lists nobody but him. */
static bool group_is_own(const struct stat *st)
{
    struct group gr, *g = NULL;
    struct passwd pw, *p = NULL;
    char group_text[4096], user_text[4096];

    if (getpwuid_r(st->st_uid, &pw, user_text, sizeof(user_text), &p) || !p ||
        getgrgid_r(st->st_gid, &gr, group_text, sizeof(group_text), &g) || !g || strcmp(gr.gr_name, pw.pw_name) != 0)
        return false;
    for (char **member = gr.gr_mem; *member; member++)
        if (strcmp(*member, pw.pw_name) != 0)
            return false;
    return true;
}

static int check_access(const char *path, int fd, struct mu_err *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return mu_err_sys(err, MU_EINVAL, errno, "%s", path);
    if (st.st_uid != 0 && st.st_uid != getuid())
        return mu_err_set(err, MU_EINVAL, "%s: bad owner: it belongs neither to you nor to root", path);
    if ((st.st_mode & 02) || ((st.st_mode & 020) && !group_is_own(&st)))
        return mu_err_set(err, MU_EINVAL, "%s: bad permissions %04o: others could write it; chmod 600 it", path,
                          (unsigned)st.st_mode & 07777);
    return 0;
}

/* ---- a file ---- */

static int read_file(struct reading *r, const char *path, bool check, int depth, struct mu_conf_file **out,
                     struct mu_err *err);

struct files {
    struct mu_conf_file **list;
    size_t n, room;
};

static int include_one(struct reading *r, struct mu_conf_line *l, const char *pattern, int depth, struct files *files,
                       struct mu_err *err)
{
    char *path = NULL;
    glob_t found = {0};
    int rc = 0;

    if (*pattern == '~' && !r->user) {
        mu_err_set(err, MU_EINVAL, "Include %s: only a user's file may name a home folder", pattern);
        return mu_conf_at(l, err);
    }
    if (*pattern == '/' || *pattern == '~')
        path = r->user ? mu_ssh_expand_home(pattern) : strdup(pattern);
    else if (asprintf(&path, "%s/%s", r->user ? "~/.ssh" : SYSTEM_DIR, pattern) >= 0 && r->user) {
        char *home = mu_ssh_expand_home(path);

        free(path);
        path = home;
    }
    if (!path)
        return nomem(err);
    rc = glob(path, GLOB_TILDE, NULL, &found); /* sorted */
    if (rc == GLOB_NOMATCH)
        mu_log(MU_DEBUG, "%s:%u: Include %s: no such file", l->origin, l->line, path);
    rc = rc == GLOB_NOSPACE ? nomem(err) : 0;
    for (size_t i = 0; !rc && i < found.gl_pathc; i++) {
        struct mu_conf_file *f = NULL;

        rc = read_file(r, found.gl_pathv[i], true, depth + 1, &f, err);
        if (rc || !f)
            continue;
        if (!grow((void **)&files->list, files->n, &files->room, sizeof(struct mu_conf_file *)))
            rc = nomem(err);
        else
            files->list[files->n++] = f;
    }
    globfree(&found);
    free(path);
    return rc;
}

static int include(struct reading *r, struct mu_conf_line *l, int depth, struct mu_err *err)
{
    struct files files = {0};
    int rc = 0;

    if (depth >= DEPTH_MAX) {
        mu_err_set(err, MU_EINVAL, "Include: files that include each other, more than %d deep", DEPTH_MAX);
        return mu_conf_at(l, err);
    }
    for (size_t i = 0; !rc && i < l->n_args; i++) {
        if (*l->args[i]) {
            rc = include_one(r, l, l->args[i], depth, &files, err);
        } else {
            rc = mu_err_set(err, MU_EINVAL, "Include: an empty name");
            mu_conf_at(l, err);
        }
    }
    if (!rc && !settle(r->c, &l->included, files.list, files.n, sizeof(struct mu_conf_file *)))
        rc = nomem(err);
    free(files.list);
    return rc;
}

/* The last section is complete. */
static bool end_section(struct reading *r, struct lists *l)
{
    struct mu_conf_section *s = &l->sections[l->n_sections - 1];

    s->n_lines = l->n_lines;
    if (!settle(r->c, &s->lines, l->lines, l->n_lines, sizeof(*l->lines)))
        return false;
    l->n_lines = 0;
    return true;
}

static int begin_section(struct reading *r, struct lists *l, struct mu_conf_line *head, struct mu_err *err)
{
    struct mu_conf_section *s;
    int rc = 0;

    if ((l->n_sections && !end_section(r, l)) ||
        !grow((void **)&l->sections, l->n_sections, &l->room, sizeof(*l->sections)))
        return nomem(err);
    s = &l->sections[l->n_sections++];
    *s = (struct mu_conf_section){.head = head};
    if (!head)
        return 0;
    if (head->key == MU_CONF_MATCH)
        rc = mu_conf_match_parse(r->c, s, head->text, err);
    for (size_t i = 0; !rc && head->key == MU_CONF_HOST && i < head->n_args; i++)
        if (!*head->args[i])
            rc = mu_err_set(err, MU_EINVAL, "Host: an empty name");
    return rc ? mu_conf_at(head, err) : 0;
}

static int take_line(struct reading *r, struct lists *l, struct mu_conf_line *line, int depth, struct mu_err *err)
{
    switch (line->key) {
    case MU_CONF_HOST:
    case MU_CONF_MATCH:
        return begin_section(r, l, line, err);
    case MU_CONF_PASSED_OVER:
        mu_log(MU_DEBUG, "%s:%u: %s does not matter here, passed over", line->origin, line->line, line->keyword);
        return 0;
    case MU_CONF_IGNORE_UNKNOWN: /* for every server, also when it stands below another's Host */
        mu_buf_addf(&r->c->ignored, "%s%s", r->c->ignored.len ? "," : "", line->text);
        return 0;
    case MU_CONF_INCLUDE: {
        int rc = include(r, line, depth, err);
        if (rc)
            return rc;
        break;
    }
    default:
        break;
    }
    if (!grow((void **)&l->lines, l->n_lines, &l->lines_room, sizeof(*l->lines)))
        return nomem(err);
    l->lines[l->n_lines++] = line;
    return 0;
}

static bool plain(const struct mu_conf_line *head)
{
    for (size_t i = 0; i < head->n_args; i++)
        if (strpbrk(head->args[i], "*?!"))
            return false;
    return true;
}

static int by_name(const void *va, const void *vb)
{
    const struct mu_conf_name *a = va, *b = vb;
    int order = strcmp(a->name, b->name);

    return order ? order : (a->section > b->section) - (a->section < b->section);
}

/* Which sections are found by name, which are looked at in turn. */
static bool index_sections(struct mu_conf *c, struct mu_conf_file *f)
{
    size_t names = 0;

    for (size_t i = 0; i < f->n_sections; i++)
        if (f->sections[i].head && f->sections[i].head->key == MU_CONF_HOST)
            names += f->sections[i].head->n_args;
    f->names = mu_conf_alloc(&c->arena, (names + 1) * sizeof(*f->names));
    f->others = mu_conf_alloc(&c->arena, (f->n_sections + 1) * sizeof(*f->others));
    if (!f->names || !f->others)
        return false;
    for (size_t i = 0; i < f->n_sections; i++) {
        const struct mu_conf_line *head = f->sections[i].head;

        if (!head || head->key != MU_CONF_HOST || !plain(head)) {
            f->others[f->n_others++] = i;
            continue;
        }
        for (size_t j = 0; j < head->n_args; j++)
            f->names[f->n_names++] = (struct mu_conf_name){head->args[j], i};
    }
    qsort(f->names, f->n_names, sizeof(*f->names), by_name);
    return true;
}

static int read_lines(struct reading *r, FILE *in, struct mu_conf_file *f, int depth, struct mu_err *err)
{
    struct lists lists = {0};
    char *text = NULL;
    size_t size = 0;
    unsigned number = 0;
    int rc = begin_section(r, &lists, NULL, err);

    while (!rc && getline(&text, &size, in) >= 0) {
        struct mu_conf_line *line = NULL;

        rc = mu_conf_line_parse(&r->c->arena, text, f->path, ++number, r->user,
                                r->c->ignored.len ? mu_buf_cstr(&r->c->ignored) : NULL, &line, err);
        if (!rc && line)
            rc = take_line(r, &lists, line, depth, err);
    }
    if (!rc && ferror(in))
        rc = mu_err_sys(err, MU_EINVAL, errno, "%s", f->path);
    if (!rc && (!end_section(r, &lists) ||
                !settle(r->c, &f->sections, lists.sections, lists.n_sections, sizeof(*lists.sections))))
        rc = nomem(err);
    f->n_sections = lists.n_sections;
    if (!rc && !index_sections(r->c, f))
        rc = nomem(err);
    free(lists.sections);
    free(lists.lines);
    free(text);
    return rc;
}

/* *out stays NULL when there is no such file. */
static int read_file(struct reading *r, const char *path, bool check, int depth, struct mu_conf_file **out,
                     struct mu_err *err)
{
    struct mu_conf_file *f = mu_conf_alloc(&r->c->arena, sizeof(*f));
    FILE *in = NULL;
    int rc = 0;

    *out = NULL;
    if (!f || !(f->path = mu_conf_strdup(&r->c->arena, path)))
        return nomem(err);
    if (++r->c->n_files > FILES_MAX)
        return mu_err_set(err, MU_EINVAL, "%s: more than %u files are included: do they include each other?", path,
                          FILES_MAX);
    in = fopen(path, "re");
    if (!in && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!in)
        return mu_err_sys(err, MU_EINVAL, errno, "cannot read the ssh configuration %s", path);
    if (check)
        rc = check_access(path, fileno(in), err);
    if (!rc)
        rc = read_lines(r, in, f, depth, err);
    if (!rc)
        *out = f;
    fclose(in);
    return rc;
}

static int read_named(struct mu_conf *c, const char *path, struct mu_err *err)
{
    struct reading r = {.c = c, .user = true};
    char *real = mu_ssh_expand_home(path);
    int rc = real ? read_file(&r, real, false, 0, &c->roots[0], err) : nomem(err);

    free(real);
    if (!rc && !c->roots[0])
        rc = mu_err_sys(err, MU_EINVAL, ENOENT, "cannot read the ssh configuration %s", path);
    return rc;
}

static int read_usual(struct mu_conf *c, struct mu_err *err)
{
    struct reading user = {.c = c, .user = true}, system = {.c = c};
    char *path = mu_ssh_expand_home("~/.ssh/config");
    int rc = path ? read_file(&user, path, true, 0, &c->roots[0], err) : nomem(err);

    free(path);
    return rc ? rc : read_file(&system, SYSTEM_DIR "/ssh_config", false, 0, &c->roots[1], err);
}

int mu_conf_read(struct mu_conf **out, const char *path, struct mu_err *err)
{
    struct mu_conf *c = calloc(1, sizeof(*c));
    int rc;

    *out = NULL;
    if (!c)
        return nomem(err);
    if (path && !strcasecmp(path, "none"))
        rc = 0;
    else
        rc = path ? read_named(c, path, err) : read_usual(c, err);
    mu_buf_free(&c->ignored);
    if (rc)
        mu_conf_free(c);
    else
        *out = c;
    return rc;
}

void mu_conf_free(struct mu_conf *c)
{
    if (!c)
        return;
    mu_buf_free(&c->ignored);
    mu_conf_arena_free(&c->arena);
    free(c);
}

bool mu_conf_has_exec(const struct mu_conf *c) { return c->has_exec; }
