/* lint.h: mistakes in a script that can be told without running it.
 *
 * Purpose: names that nothing defines, and thresholds that no step can meet, by what the script was compiled to. Said is
 *   only what is certain; what a script makes up while it runs is not judged.
 * Owner: the caller owns the findings.
 * Thread: the loading worker's.
 * Must not know: who shows them.
 */
#ifndef MU_RUN_LINT_H
#define MU_RUN_LINT_H

#include <stdbool.h>
#include <stddef.h>

struct mu_finding {
    bool hint;             /* it works as it is */
    char *file;
    unsigned line, column; /* from 1; 0: not known */
    const char *rule;      /* static: "unknown-global" */
    char *message;
};

struct mu_findings {
    struct mu_finding *items;
    size_t n;
    bool failed; /* out of memory: some are missing */
};

void mu_findings_add(struct mu_findings *f, bool hint, const char *file, unsigned line, unsigned column, const char *rule,
                     const char *fmt, ...) __attribute__((format(printf, 7, 8)));
void mu_findings_sort(struct mu_findings *f); /* by file, line, column */
void mu_findings_clear(struct mu_findings *f);

/* The column of name as a word of its own in a line of text, from 1; 0: not there. */
unsigned mu_lint_column(const char *text, unsigned line, const char *name);

#endif
