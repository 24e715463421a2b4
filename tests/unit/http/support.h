/* support.h: what the tests of http/ share: the misbehaving server of the specs, and turns of a loop. */
#ifndef TEST_HTTP_SUPPORT_H
#define TEST_HTTP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "http/http.h"

/* tests/support/odd-http: it ends when this program does, which holds its standard input. */
struct server {
    char dir[64], file[80];
    FILE *pipe;
    int port;
};

static inline void start_server(struct server *s)
{
    char command[512], here[300];
    FILE *f = NULL;

    snprintf(here, sizeof here, "%s", __FILE__);
    *strrchr(here, '/') = '\0';
    strcpy(s->dir, "/tmp/muster-http.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->file, sizeof s->file, "%s/port", s->dir);
    snprintf(command, sizeof command, "exec '%s/../../support/odd-http' %s", here, s->file);
    s->pipe = popen(command, "we");
    assert_non_null(s->pipe);
    for (int i = 0; i < 6000 && !(f = fopen(s->file, "r")); i++) /* a minute */
        usleep(10000);
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &s->port), 1);
    fclose(f);
}

static inline void stop_server(struct server *s)
{
    pclose(s->pipe);
    unlink(s->file);
    rmdir(s->dir);
}

#endif
