/* spark.h: a line of numbers as small columns: ▁▂▅█ where the locale is UTF-8, else _.-=*#.
 * Owner: nothing is kept. Thread: the main thread. Must not know: what the numbers are.
 */
#ifndef MU_CLI_SPARK_H
#define MU_CLI_SPARK_H

#include <stddef.h>

#define CLI_SPARK_BYTES(n) (3 * (n) + 1)
/* Of n values, oldest first, the smallest lowest; a value that is not finite is a blank. text has CLI_SPARK_BYTES(n) bytes. */
void cli_spark(char *text, const double *values, size_t n);

#endif
