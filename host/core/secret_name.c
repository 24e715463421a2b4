#include "core/secret_name.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Words are what letters and digits make; "apiKey" is one. */
static bool is_secret_word(const char *word, size_t len)
{
    static const char *const anywhere[] = {"password", "passwd", "passphrase", "secret", "credential", "apikey", "privatekey"};
    static const char *const whole[] = {"pass", "pw", "pwd", "token"};
    for (size_t i = 0; i < sizeof anywhere / sizeof *anywhere; i++)
        for (size_t at = 0; at + strlen(anywhere[i]) <= len; at++)
            if (!strncasecmp(word + at, anywhere[i], strlen(anywhere[i])))
                return true;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (len == strlen(whole[i]) && !strncasecmp(word, whole[i], len))
            return true;
    return false;
}

static size_t word_at(const char *name)
{
    size_t len = 0;
    while (isalnum((unsigned char)name[len]))
        len++;
    return len;
}

bool mu_name_is_secret(const char *name)
{
    const char *former = NULL;
    for (size_t len, former_len = 0; *name; name += len ? len : 1) {
        len = word_at(name);
        if (!len)
            continue;
        if (is_secret_word(name, len))
            return true;
        if (former && len == 3 && !strncasecmp(name, "key", 3) &&
            ((former_len == 3 && !strncasecmp(former, "api", 3)) || (former_len == 7 && !strncasecmp(former, "private", 7))))
            return true;
        former = name;
        former_len = len;
    }
    return false;
}
