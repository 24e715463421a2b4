#include "cleanup_say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

#define LIST_MAX 20 /* names in a list; more are folded to a node set */

void cleanup_say_count(size_t n, const char *noun) { printf("%zu %s%s", n, noun, n == 1 ? "" : "s"); }

/* "2026-11-22 23:59:59 UTC (2 days ago)" for "2026-11-22T23:59:59.123Z"; another text as it is. */
static void say_time(const char *iso)
{
    struct tm tm = {0};
    int read = 0;

    if (sscanf(iso, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &read) != 6) {
        cli_put_escaped(stdout, iso);
        return;
    }
    printf("%.10s %.8s UTC", iso, iso + 11);
    tm.tm_year -= 1900;
    tm.tm_mon--;
    double ago = difftime(time(NULL), timegm(&tm));
    if (ago >= 2 * 86400)
        printf(" (%.0f days ago)", ago / 86400);
    else if (ago >= 2 * 3600)
        printf(" (%.0f hours ago)", ago / 3600);
    else if (ago >= 120)
        printf(" (%.0f minutes ago)", ago / 60);
}

void cleanup_say_run(const struct muster_leftovers *l, size_t run)
{
    struct muster_leftover_server s;
    struct muster_leftover_run r;
    int width = 0;

    if (muster_leftovers_run(l, run, &r) < 0)
        return;
    fputs("Run ", stdout);
    cli_put_escaped(stdout, r.id);
    fputs(" of ", stdout);
    cli_put_escaped(stdout, r.owner);
    fputs(", begun ", stdout);
    say_time(r.time);
    fputs(", left ", stdout);
    cleanup_say_count(r.n_servers, "server");
    fputs(" behind:\n", stdout);
    for (size_t i = 0; muster_leftovers_server(l, run, i, &s) == 0; i++)
        if ((int)strlen(s.id) > width)
            width = (int)strlen(s.id);
    for (size_t i = 0; muster_leftovers_server(l, run, i, &s) == 0; i++) {
        printf("  %-*s  ", width, s.id);
        if (strcmp(s.id, s.address) != 0) {
            cli_put_escaped(stdout, s.address);
            fputs("  ", stdout);
        }
        fputs("claimed ", stdout);
        say_time(s.time);
        fputs("  ", stdout);
        cli_put_escaped(stdout, s.data);
        putchar('\n');
    }
    fputs("  script:  ", stdout);
    cli_put_escaped(stdout, r.script);
    if (access(r.script, R_OK) != 0)
        fputs("  (cannot be read: put it back, or name a copy with --script)", stdout);
    fputs("\n  journal: ", stdout);
    cli_put_escaped(stdout, r.journal);
    putchar('\n');
}

/* As the summary of a run has its lists: complete, and a node set when it is long. */
static void say_list(const char *name, const char *const *ids, size_t n)
{
    char *folded = n > LIST_MAX ? muster_names_fold(ids, n) : NULL;

    printf(" %s=[", name);
    if (folded)
        fputs(folded, stdout);
    for (size_t i = 0; !folded && i < n; i++)
        printf("%s%s", i ? ", " : "", ids[i]);
    fputs("]", stdout);
    free(folded);
}

static void say_names(const char *name, const struct cleanup_outcome *all, size_t n, bool left)
{
    const char **ids = calloc(n + 1, sizeof *ids);
    size_t used = 0;

    for (size_t i = 0; ids && i < n; i++)
        if (all[i].left == left)
            ids[used++] = all[i].id;
    say_list(name, ids, used);
    free(ids);
}

void cleanup_say_list_end(const struct muster_leftovers *l)
{
    struct muster_leftover_server s;
    const char **ids = NULL;
    size_t n = 0, used = 0;

    for (size_t run = 0; run < muster_leftovers_count(l); run++)
        for (size_t i = 0; muster_leftovers_server(l, run, i, &s) == 0; i++)
            n++;
    fputs("Left behind: ", stdout);
    cleanup_say_count(n, "server");
    fputs(" of ", stdout);
    cleanup_say_count(muster_leftovers_count(l), "run");
    fputs(".", stdout);
    ids = calloc(n + 1, sizeof *ids);
    for (size_t run = 0; ids && run < muster_leftovers_count(l); run++)
        for (size_t i = 0; muster_leftovers_server(l, run, i, &s) == 0; i++)
            ids[used++] = s.id;
    say_list("left_behind_servers", ids, used);
    free(ids);
    fputs("\nNothing was changed. `muster cleanup` without --list runs the teardown of the scripts, which destroys them.\n",
          stdout);
}

/* Neighbours with the same reason share a line. */
static void say_left(const struct cleanup_outcome *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *reason = all[i].reason ? all[i].reason : "";
        if (!all[i].left)
            continue;
        printf("LEFT BEHIND  %s", all[i].id);
        while (i + 1 < n && all[i + 1].left && all[i + 1].run == all[i].run &&
               !strcmp(all[i + 1].reason ? all[i + 1].reason : "", reason))
            printf(", %s", all[++i].id);
        fputs(*reason ? ": " : "", stdout);
        cli_put_escaped(stdout, reason);
        putchar('\n');
    }
}

void cleanup_say_outcomes(const struct muster_leftovers *l, const struct cleanup_outcome *all, size_t n)
{
    struct muster_leftover_run r;
    size_t left = 0, last = (size_t)-1;

    for (size_t i = 0; i < n; i++)
        left += all[i].left;
    say_left(all, n);
    fputs("Destroyed: ", stdout);
    cleanup_say_count(n - left, "server");
    fputs(".", stdout);
    say_names("destroyed_servers", all, n, false);
    putchar('\n');
    if (!left)
        return;
    fputs("Still left behind: ", stdout);
    cleanup_say_count(left, "server");
    fputs(".", stdout);
    say_names("left_behind_servers", all, n, true);
    fputs("\nWhen the cause is gone, run `muster cleanup` again. What is destroyed by hand stays in its journal: remove that "
          "file then:\n", stdout);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].left || all[i].run == last || muster_leftovers_run(l, all[i].run, &r) < 0)
            continue;
        last = all[i].run;
        fputs("  ", stdout);
        cli_put_escaped(stdout, r.journal);
        putchar('\n');
    }
}
