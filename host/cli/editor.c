#include "editor.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 1000

struct editor {
    EditLine *el; /* NULL: not on a terminal */
    History *history;
    const char *file;
    const char *const *words;
    const char *prompt;
    char *line;
    size_t room;
    bool cancelled;
};

static struct editor *of(EditLine *el)
{
    void *data = NULL;
    el_get(el, EL_CLIENTDATA, &data);
    return data;
}

static char *prompt_of(EditLine *el) { return (char *)of(el)->prompt; }

/* Ctrl-C: the line is given up, not the program. */
static unsigned char cancel(EditLine *el, int ch)
{
    (void)ch;
    of(el)->cancelled = true;
    return CC_NEWLINE;
}

/* ---- keys ---- */

#define CTRL_C 3

static volatile sig_atomic_t reading, interrupted, ended;

bool editor_interrupt(void)
{
    if (!reading)
        return false;
    interrupted = 1;
    return true;
}

void editor_end(void) { ended = 1; }

/* A byte; a signal is seen also when it comes just before the wait. 0 at the end. */
static int next_byte(char *byte)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    sigset_t held, former;
    int rc = -1;

    sigemptyset(&held);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&held, signals[i]);
    sigprocmask(SIG_BLOCK, &held, &former);
    while (rc < 0 && !ended) {
        if (interrupted) {
            interrupted = 0;
            *byte = CTRL_C;
            rc = 1;
        } else if (ppoll(&in, 1, NULL, &former) >= 0) {
            ssize_t n = read(STDIN_FILENO, byte, 1);
            rc = n > 0 ? 1 : n < 0 && errno == EINTR ? -1 : 0;
        } else if (errno != EINTR) {
            rc = 0;
        }
    }
    sigprocmask(SIG_SETMASK, &former, NULL);
    return rc > 0;
}

static int next_key(EditLine *el, wchar_t *key)
{
    mbstate_t state = {0};
    char byte;

    (void)el;
    while (next_byte(&byte)) {
        size_t n = mbrtowc(key, &byte, 1, &state);
        if (n == (size_t)-1) { /* no character: taken for one */
            *key = (unsigned char)byte;
            return 1;
        }
        if (n != (size_t)-2)
            return 1;
    }
    return 0;
}

/* ---- completion ---- */

static bool in_word(char c)
{
    return c && (strchr(".:_", c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
}

/* What all words that begin like this go on with, up to size; *n: how many there are. */
static size_t common(const struct editor *e, const char *begin, size_t len, char *more, size_t size, size_t *n)
{
    size_t same = 0;
    *n = 0;
    for (const char *const *w = e->words; *w; w++) {
        if (strncmp(*w, begin, len) != 0)
            continue;
        const char *rest = *w + len;
        if ((*n)++ == 0) {
            snprintf(more, size, "%s", rest);
            same = strlen(more);
        }
        size_t i = 0;
        while (i < same && rest[i] == more[i])
            i++;
        same = i;
    }
    more[same] = '\0';
    return same;
}

static void show(const struct editor *e, const char *begin, size_t len)
{
    putchar('\n');
    for (const char *const *w = e->words; *w; w++)
        if (strncmp(*w, begin, len) == 0)
            printf("%s  ", *w);
    putchar('\n');
    fflush(stdout);
}

static unsigned char complete(EditLine *el, int ch)
{
    struct editor *e = of(el);
    const LineInfo *info = el_line(el);
    const char *begin = info->cursor;
    char more[128];
    size_t n;

    (void)ch;
    while (begin > info->buffer && in_word(begin[-1]))
        begin--;
    size_t len = (size_t)(info->cursor - begin);
    size_t same = len ? common(e, begin, len, more, sizeof more, &n) : 0;
    if (same)
        return el_insertstr(el, more) == 0 ? CC_REFRESH : CC_ERROR;
    if (!len || n < 2)
        return CC_ERROR;
    show(e, begin, len);
    return CC_REDISPLAY;
}

/* ---- opening and closing ---- */

static bool open_terminal(struct editor *e)
{
    HistEvent event;

    e->el = el_init("muster", stdin, stdout, stderr);
    e->history = history_init();
    if (!e->el || !e->history)
        return false;
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_PROMPT, prompt_of);
    el_set(e->el, EL_GETCFN, next_key);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_ADDFN, "muster-complete", "complete the word", complete);
    el_set(e->el, EL_ADDFN, "muster-cancel", "give the line up", cancel);
    el_source(e->el, NULL); /* the user's own ~/.editrc */
    el_set(e->el, EL_BIND, "^I", "muster-complete", NULL);
    el_set(e->el, EL_BIND, "^C", "muster-cancel", NULL);
    el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(e->el, EL_SETTY, "-d", "+isig", NULL); /* Ctrl-C is a signal also while a line is edited: see next_byte() */
    history(e->history, &event, H_SETSIZE, HISTORY_LINES);
    history(e->history, &event, H_SETUNIQUE, 1);
    if (e->file)
        history(e->history, &event, H_LOAD, e->file);
    return true;
}

struct editor *editor_open(const char *const *words, const char *file)
{
    struct editor *e = calloc(1, sizeof *e);

    if (!e)
        return NULL;
    e->words = words;
    e->file = file;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        setlocale(LC_CTYPE, ""); /* what a character is; numbers stay as they are */
        if (!open_terminal(e)) {
            editor_close(e);
            return NULL;
        }
    }
    return e;
}

void editor_close(struct editor *e)
{
    if (!e)
        return;
    if (e->history)
        history_end(e->history);
    if (e->el)
        el_end(e->el);
    free(e->line);
    free(e);
}

bool editor_on_terminal(const struct editor *e) { return e->el != NULL; }

/* ---- lines ---- */

static enum editor_end read_plain(struct editor *e, const char **line)
{
    ssize_t n = getline(&e->line, &e->room, stdin);

    if (n < 0)
        return EDITOR_END;
    if (n > 0 && e->line[n - 1] == '\n')
        e->line[n - 1] = '\0';
    *line = e->line;
    return EDITOR_LINE;
}

enum editor_end editor_read(struct editor *e, const char *prompt, const char **line)
{
    int n = 0;

    if (!e->el)
        return read_plain(e, line);
    e->prompt = prompt;
    e->cancelled = false;
    interrupted = 0;
    reading = 1;
    el_set(e->el, EL_PREP_TERM, 1); /* before the prompt is seen: what is typed then is for the editor */
    const char *text = el_gets(e->el, &n);
    reading = 0; /* from here on Ctrl-C is for the line at work */
    if (e->cancelled || interrupted) {
        fputs("^C\n", stdout);
        return EDITOR_CANCELLED;
    }
    if (!text || n <= 0)
        return EDITOR_END;
    char *copy = strndup(text, (size_t)n - (text[n - 1] == '\n'));
    if (!copy)
        return EDITOR_END;
    free(e->line);
    e->line = copy;
    *line = copy;
    return EDITOR_LINE;
}

void editor_remember(struct editor *e, const char *line)
{
    HistEvent event;

    if (!e->el || !line[strspn(line, " \t")])
        return;
    history(e->history, &event, H_ENTER, line);
    if (!e->file)
        return;
    int fd = open(e->file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600); /* nobody else reads what was typed */
    if (fd < 0)
        return;
    bool ours = fchmod(fd, 0600) == 0;
    close(fd);
    if (ours)
        history(e->history, &event, H_SAVE, e->file);
}
