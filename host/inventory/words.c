/* A line into words, as a POSIX shell and Python's shlex do it. */
#include <string.h>

#include "inventory/ansible.h"

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int in_quotes(const char **at, const char *end, struct mu_buf *words, struct mu_err *err)
{
    char quote = *(*at)++;

    for (; *at < end; ++*at) {
        char c = **at;
        if (c == quote)
            return 0;
        if (c == '\\' && quote == '"') {
            if (++*at == end)
                break;
            if (**at != '"' && **at != '\\')
                mu_buf_addc(words, '\\');
            c = **at;
        }
        mu_buf_addc(words, c);
    }
    return mu_err_set(err, MU_EINVAL, "a %c has no closing one", quote);
}

int mu_words_split(const char *line, size_t len, struct mu_buf *words, size_t *n, struct mu_err *err)
{
    const char *at = line, *end = line + len;
    bool inside = false;

    *n = 0;
    for (; at < end; at++) {
        if (blank(*at) || *at == '#') {
            if (inside)
                mu_buf_addc(words, '\0');
            inside = false;
            if (*at == '#')
                break;
            continue;
        }
        *n += !inside;
        inside = true;
        if (*at == '"' || *at == '\'') {
            int rc = in_quotes(&at, end, words, err);
            if (rc < 0)
                return rc;
        } else if (*at == '\\') {
            if (++at == end)
                return mu_err_set(err, MU_EINVAL, "the line ends with a \\");
            mu_buf_addc(words, *at);
        } else {
            mu_buf_addc(words, *at);
        }
    }
    if (inside)
        mu_buf_addc(words, '\0');
    return words->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}
