/* patterns: CPU time of server patterns and node sets, for 10,000 and 100,000 servers, and their ratio: 10 is linear. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/nodeset.h"
#include "inventory/inventory.h"

static const size_t sizes[] = {10000, 100000};
static char path[] = "/tmp/muster-bench-XXXXXX";

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *why)
{
    fprintf(stderr, "patterns: %s\n", why);
    unlink(path);
    exit(2);
}

static struct mu_inventory *fleet_of(size_t n)
{
    struct mu_inventory *inv = NULL;
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};
    FILE *names = fopen(path, "w");

    if (!names || mu_inventory_new(&inv) != 0)
        die("cannot make an inventory");
    for (size_t i = 0; i < n; i++) {
        mu_buf_addf(&text, "r%zun%02zu groups=rack%zu,%s\n", i / 40, i % 40, i / 40, i % 2 ? "odd" : "even");
        fprintf(names, "r%zun%02zu\n", (n - 1 - i) / 40, (n - 1 - i) % 40);
    }
    if (fclose(names) != 0 || mu_inventory_parse(inv, "fleet", text.data, text.len, &err) != 0)
        die(err.msg);
    mu_buf_free(&text);
    if (mu_inventory_groups_ready(inv, &err) != 0)
        die(err.msg);
    return inv;
}

/* The least of five, since others on a machine only add to it. Of a node set "fold" what is chosen, folded. */
static double time_of(const struct mu_inventory *inv, const char *pattern)
{
    size_t n = mu_inventory_count(inv), n_names = 0;
    bool *selected = calloc(n, sizeof *selected);
    const char **names = calloc(n, sizeof *names);
    double least = 1e9;

    for (size_t i = 0; names && i < n; i += 3)
        names[n_names++] = mu_inventory_at(inv, i)->id;
    for (int round = 0; round < 5; round++) {
        double start = now_ms();
        struct mu_err err = {0};
        struct mu_buf folded = MU_BUF_INIT;
        if (!selected || !names)
            die("out of memory");
        if (strcmp(pattern, "(fold every third name)") == 0)
            mu_nodeset_fold(&folded, names, n_names);
        else if (mu_pattern_select(inv, pattern, selected, &err) != 0)
            die(err.msg);
        double took = now_ms() - start;
        least = took < least ? took : least;
        mu_buf_free(&folded);
    }
    free(selected);
    free(names);
    return least;
}

int main(void)
{
    char file[64];
    const char *patterns[] = {"r1*",  "~r\\d+n0[1-5]$", "odd:&rack1", "all[-1]", "rack*:!even", "r[0-2499]n[00-39]",
                              file, "(fold every third name)"};
    enum { N = sizeof patterns / sizeof *patterns };
    double ms[2][N];
    int fd = mkstemp(path);

    if (fd < 0)
        die("cannot make a temporary file");
    close(fd);
    snprintf(file, sizeof file, "@%s", path);
    for (size_t k = 0; k < 2; k++) {
        struct mu_inventory *inv = fleet_of(sizes[k]);
        for (size_t i = 0; i < N; i++)
            ms[k][i] = time_of(inv, patterns[i]);
        mu_inventory_free(inv);
    }
    unlink(path);
    printf("%-26s %12s %12s %8s\n", "pattern, CPU ms for", "10,000", "100,000", "ratio");
    for (size_t i = 0; i < N; i++)
        printf("%-26s %12.2f %12.2f %8.1f\n", patterns[i] == file ? "@file with every name" : patterns[i], ms[0][i], ms[1][i],
               ms[1][i] / ms[0][i]);
    return 0;
}
