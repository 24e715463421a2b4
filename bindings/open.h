/* open.h: the Lua side's door: what run/ is given to make environments with, and what the bindings share.
 *
 * Purpose: one table, module name → opener; protected libraries; typed errors.
 * Owner: the lua_State's registry. Thread: the worker's. All functions that take L may raise.
 * Must not know: libssh, libuv, reports, policy of any kind.
 */
#ifndef MU_BINDINGS_OPEN_H
#define MU_BINDINGS_OPEN_H

#include <lua.h>
#include <stdbool.h>

#include "bindings/bindings.h"
#include "core/err.h"
#include "run/engine.h"

/* protect.c: replace the table on top by a read-only view of it that names itself in errors. */
void mu_bind_protect(lua_State *L, const char *name);
void mu_bind_protect_file_handles(lua_State *L); /* hide and lock the metatables of files and strings */

/* Openers: each pushes one table of functions. */
void mu_bind_open_coroutine(lua_State *L);
void mu_bind_open_os(lua_State *L);  /* wants the standard os, io in the globals */
void mu_bind_open_io(lua_State *L);
void mu_bind_open_math(lua_State *L);
void mu_bind_open_muster(lua_State *L);
void mu_bind_open_errors(lua_State *L);
void mu_bind_open_log(lua_State *L);
void mu_bind_open_http(lua_State *L);
void mu_bind_open_json(lua_State *L);
void mu_bind_mark_array(lua_State *L); /* json.c: the table on top is a list, also when empty */
void mu_bind_push_json(lua_State *L); /* json.c: push the value on top as JSON; plain data, no deeper than json.encode allows */
/* base.c: set pcall, load, print, … in the table on top. */
void mu_bind_open_base(lua_State *L);
/* require.c */
int mu_bind_require(lua_State *L);
void mu_bind_push_package(lua_State *L); /* the task's package table */
/* exec.c: run what the arguments from index `first` on say, on the server or here (NULL), and return its result table. */
int mu_bind_exec(lua_State *L, int first, struct mu_remote *remote);
/* semaphore.c: muster.semaphore(name, n), and its metatables */
int mu_bind_semaphore(lua_State *L);
void mu_bind_open_semaphore(lua_State *L);
/* use.c: muster.use(name, options) */
int mu_bind_use(lua_State *L);
/* run.c: muster.run */
void mu_bind_open_run(lua_State *L);
/* server.c */
void mu_bind_open_server(lua_State *L);
void mu_bind_push_server(lua_State *L, struct mu_remote *remote);
struct mu_remote *mu_bind_check_server(lua_State *L); /* of the server at index 1; raises when it is none */
void mu_bind_push_vars(lua_State *L, const struct mu_server *srv); /* what the inventory says of it, a new table */
/* fleet.c: the list that before_all is given; muster.run.shared */
void mu_bind_push_fleet(lua_State *L, struct mu_server *const *servers, size_t n);
void mu_bind_push_shared(lua_State *L);
/* spawn.c: a method of the server, and muster.gather */
void mu_bind_open_spawn(lua_State *L);
int mu_bind_spawn(lua_State *L);
int mu_bind_gather(lua_State *L);
/* retry.c: muster.retry */
void mu_bind_open_retry(lua_State *L);
int mu_bind_retry(lua_State *L);
/* files.c: methods of the server */
void mu_bind_open_files(lua_State *L);
int mu_bind_upload(lua_State *L);
int mu_bind_download(lua_State *L);
int mu_bind_write_file(lua_State *L);
int mu_bind_read_file(lua_State *L);
/* facts.c: a method of the server, and its groups as a new list; its variables are at index vars */
int mu_bind_facts(lua_State *L);
int mu_bind_keep(lua_State *L); /* keep.c: a method of the server */
void mu_bind_push_groups(lua_State *L, const struct mu_server *srv, int vars);
/* claim.c: methods of the server */
void mu_bind_open_claim(lua_State *L);
int mu_bind_claim(lua_State *L);
int mu_bind_claimed(lua_State *L);
int mu_bind_update_claim(lua_State *L);
int mu_bind_release(lua_State *L);

/* errors.c: push a typed error { type, message, cause, where, … }; fields are added by the caller. */
void mu_bind_push_error(lua_State *L, const char *type, const char *cause, const char *message);
bool mu_bind_error_known(const char *type);
/* Push the typed error that fits a host error. */
void mu_bind_push_host_error(lua_State *L, const struct mu_err *err);

/* shell.c: push text quoted as one word for a POSIX shell. */
void mu_bind_push_quoted(lua_State *L, const char *text, size_t len);
/* Push the command that the arguments from index `first` to `last` stand for: a format and its values. */
void mu_bind_push_command(lua_State *L, int first, int last);

/* testing.c: opens muster.testing.engine; upvalue 1 is the folder of the standard scripts. */
int mu_bind_testing(lua_State *L);

/* values.c: a duration at index: seconds, or "5m"; 0 when nil. Raises, naming what. */
uint64_t mu_bind_duration(lua_State *L, int index, const char *what);

#endif
