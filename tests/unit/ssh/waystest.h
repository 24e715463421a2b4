/* waystest.h: sessions by way of something, and what the servers' logs tell, for test_ways.c and test_ways_trouble.c. */
#ifndef WAYSTEST_H
#define WAYSTEST_H

#include "sshtest.h"

UNUSED static struct mu_ssh_ways *ways;

UNUSED static int ways_setup(void **state)
{
    struct mu_err err = {0};

    if (test_setup(state) || mu_ssh_ways_new(&ways, loop, shared, &err))
        return -1;
    return 0;
}

UNUSED static int ways_teardown(void **state)
{
    mu_ssh_ways_free(ways);
    return test_teardown(state);
}

/* "muster@127.0.0.1:PORT" of a server, as one hop of a chain. */
UNUSED static const char *hop(const char *name)
{
    static char text[4][192];
    static unsigned turn;
    struct server srv = server_named(name);
    char *t = text[turn++ % 4];

    snprintf(t, sizeof(text[0]), "%s@%s:%d", srv.user, srv.address, srv.port);
    return t;
}

static void set_text(char **slot, const char *text)
{
    free(*slot);
    *slot = strdup(text);
}

/* A session to srv through a chain of jump hosts, which all sessions of a test share. */
UNUSED static struct mu_ssh_session *session_via(const struct server *srv, const char *chain)
{
    struct mu_ssh_target target = {.host = srv->address, .port = srv->port, .user = srv->user, .ways = ways};
    struct mu_ssh_session *s = NULL;
    struct mu_err err = {0};

    if (mu_ssh_session_new(&s, loop, shared, &target, &err))
        fail_msg("%s", err.msg);
    set_text(&s->options->proxy_jump, chain);
    return s;
}

UNUSED static struct mu_ssh_session *session_by(const struct server *srv, const char *command)
{
    struct mu_ssh_session *s = session_to(srv);

    set_text(&s->options->proxy_command, command);
    return s;
}

UNUSED static void connects(struct mu_ssh_session *s)
{
    struct mu_err err = connect_outcome(s, CONNECT_MS);

    if (err.code)
        fail_msg("%s: %s", mu_code_name(err.code), err.msg);
}

/* How many logins a server's log tells of. */
UNUSED static int logins(const char *name)
{
    char command[1024];

    snprintf(command, sizeof(command), "grep -c 'Accepted publickey' %s/%s/log", sshtest_dir, name);
    return atoi(output_of(command));
}

UNUSED static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" has no \"%s\"", text, part);
}

#endif
