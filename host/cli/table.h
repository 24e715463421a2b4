/* table.h: columns of text on standard output, each as wide as what is in it; and the same rows as CSV.
 *
 * Purpose: one form for every command that prints rows. Owner: the caller owns a cli_table, zeroed, and frees it.
 * Thread: the main thread. Must not know: what the rows are about.
 */
#ifndef MU_CLI_TABLE_H
#define MU_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cli_table {
    char **cells; /* malloc'd, row by row; NULL: empty */
    size_t n, cap, columns;
    bool failed; /* out of memory */
};

/* headings: separated by '|'; one that begins with '>' is of a column that stands to the right. Borrowed. */
void cli_table_start(struct cli_table *t, const char *headings);
void cli_table_text(struct cli_table *t, const char *text);                       /* raw: it is escaped when printed */
void cli_table_textf(struct cli_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_table_number(struct cli_table *t, double v); /* six digits, for people; "-" when it is not finite */
/* Headings, then rows; the last column is not padded. Each returns 0, or -1 when there was no memory. */
int cli_table_print(const struct cli_table *t, const char *headings, FILE *to);
void cli_table_free(struct cli_table *t);

/* ---- CSV (RFC 4180), rows that are written as they come ---- */

/* One field, and a comma before it unless first. Text is as it is, but for control characters, which become spaces; what a
 * spreadsheet would take for a formula gets a ' before it. */
void cli_csv_text(FILE *to, const char *text, bool first);
void cli_csv_number(FILE *to, double v, bool first); /* empty when it is not finite */
void cli_csv_int(FILE *to, long long v, bool first);

#endif
