/* clock.h: the two clocks.
 * Purpose: durations and deadlines from one monotonic clock, timestamps from the wall clock.
 * Owner: none. Thread: any. Must not know: loops.
 */
#ifndef MU_CORE_CLOCK_H
#define MU_CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t mu_clock_ms(void);   /* CLOCK_MONOTONIC, milliseconds */
uint64_t mu_clock_ns(void);   /* CLOCK_MONOTONIC, nanoseconds */
int64_t mu_clock_wall_ms(void); /* CLOCK_REALTIME, milliseconds since the epoch */

#define MU_CLOCK_ISO_SIZE 32
/* "2023-11-15T14:58:40.123Z" (UTC) into out, which holds MU_CLOCK_ISO_SIZE bytes. Returns out. */
char *mu_clock_iso(int64_t wall_ms, char *out);
/* "2023-11-15 14:58:40", local time. Returns out. */
char *mu_clock_local(int64_t wall_ms, char *out);

/* "90", "90s", "5m", "1h30m", "250ms", "1d" into milliseconds; a bare number is seconds, fractions allowed
 * and rounded up to the millisecond; each unit once, the greater first. Returns 0, or MU_EINVAL (ms untouched) when
 * text is not a duration, is negative, or is more than INT64_MAX milliseconds. */
int mu_clock_parse(const char *text, uint64_t *ms);

#endif
