/* json.h: small JSON on standard output, for commands whose result another program reads.
 *
 * Purpose: strings and numbers that every JSON parser takes; the structure is the caller's.
 * Owner: nothing is kept. Thread: the main thread. Must not know: what is said.
 */
#ifndef MU_CLI_JSON_H
#define MU_CLI_JSON_H

#include <stdio.h>

/* With its quotes; bytes that are not UTF-8 become U+FFFD. NULL: null. */
void cli_json_string(FILE *to, const char *text);
void cli_json_number(FILE *to, double v); /* null when it is not finite */

#endif
