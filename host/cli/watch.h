/* watch.h: wait until somebody saves one of some files.
 *
 * Purpose: `muster run --watch`. The folders are watched and not the files, for editors save by renaming.
 * Owner: the caller of watch_new(). Thread: the main thread. Must not know: what is in the files.
 */
#ifndef MU_CLI_WATCH_H
#define MU_CLI_WATCH_H

struct watch;

struct watch *watch_new(void); /* NULL, and errno */
void watch_free(struct watch *w); /* NULL allowed */
/* From now on this file, too; with all: every *.lua of its folder. 0, or -1 and errno. What happened since the first call
 * counts. */
int watch_add(struct watch *w, const char *path, int all);
/* Wait until one of them was written or put into place, and all is quiet again. 0, or -1 and errno. */
int watch_wait(struct watch *w);

#endif
