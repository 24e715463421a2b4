/* conf_support.h: what the tests of ssh_config have in common: a folder with the files of conf_cases.h and more, and
 * configurations read from there.
 *
 * Purpose: for test programs only. Owner: each program has its own copy. Thread: one. Must not know: sessions.
 */
#ifndef CONF_SUPPORT_H
#define CONF_SUPPORT_H

#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_cases.h"
#include "core/buf.h"
#include "ssh/conf_internal.h"
#include "ssh/conf_shared.h"
#include "ssh/options.h"
#include "ssh/shared_parts.h"

static char dir[] = "/tmp/muster-conf-XXXXXX";
static const char *home;

/* ---- files ---- */

static void put(const char *name, const char *text, size_t n)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    chmod(path, 0600);
}

/* text with DIR replaced. */
static char *in_dir(const char *text)
{
    struct mu_buf b = MU_BUF_INIT;
    const char *at;

    while ((at = strstr(text, "DIR"))) {
        mu_buf_add(&b, text, (size_t)(at - text));
        mu_buf_adds(&b, dir);
        text = at + 3;
    }
    mu_buf_adds(&b, text);
    return mu_buf_take(&b);
}

static int setup(void **state)
{
    const struct passwd *pw = getpwuid(getuid());

    (void)state;
    if (!mkdtemp(dir) || !pw)
        return -1;
    home = pw->pw_dir; /* where ssh looks, whatever HOME says */
    setenv("HOME", home, 1);
    unsetenv("NO_SUCH_VARIABLE_HERE");
    for (size_t i = 0; i < sizeof(conf_files) / sizeof(conf_files[0]); i++) {
        char *text = in_dir(conf_files[i].text);
        put(conf_files[i].name, text, strlen(text));
        free(text);
    }
    return 0;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* ---- here ---- */

struct here {
    struct mu_ssh_shared shared;
    struct mu_err err;
};

static int open_here(struct here *h, const char *file)
{
    char path[256];
    struct mu_ssh_config config = {.config_file = path};

    memset(h, 0, sizeof(*h));
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    return mu_confs_new(&h->shared.confs, &config, &h->err);
}

#endif
