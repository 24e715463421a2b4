/* files.h: paths that the program looks at before anything runs.
 *
 * Purpose: the standard scripts next to the program; reports that can be written at the end of an hour's run.
 * Owner: the caller's buffers.
 * Thread: the main thread.
 * Must not know: runs, options.
 */
#ifndef MU_CLI_FILES_H
#define MU_CLI_FILES_H

#include <stddef.h>

/* The folder scripts/lib that belongs to this executable, found relative to it, as in an installation and in a build
 * folder. NULL when there is none: the library's own idea then holds. */
const char *cli_library_dir(char *buf, size_t size);

/* Can a file be put into place at path later on? 0, or -1 with a message. */
int cli_check_report_path(const char *path, char *why, size_t why_size);

#endif
