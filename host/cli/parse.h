/* parse.h: values of options, from text.
 *
 * Purpose: durations, sizes and whole numbers as people write them. Pure functions.
 * Owner: nothing is allocated.
 * Thread: any.
 * Must not know: which option a value belongs to.
 */
#ifndef MU_CLI_PARSE_H
#define MU_CLI_PARSE_H

#include <stddef.h>
#include <stdint.h>

#define CLI_DURATION_FORM "90s, 5m, 1h30m or 250ms"
#define CLI_SIZE_FORM "64M or 1G"

/* Each returns 0, or -1 when text is not one (out is then untouched). */

/* 90 (seconds), 90s, 5m, 1h30m, 250ms, 2d; units from the largest to the smallest; more than 0, at most 366 days. */
int cli_parse_duration(const char *text, uint64_t *ms);
/* 1048576, 64M, 1G, 512K; also 64MB and 64MiB, all powers of 1024; more than 0. */
int cli_parse_size(const char *text, size_t *bytes);
/* Decimal digits alone, min to max. */
int cli_parse_uint(const char *text, unsigned min, unsigned max, unsigned *out);

#endif
