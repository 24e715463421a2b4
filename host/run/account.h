/* account.h: whose memory it is. The allocator of a worker's lua_State charges each block to the task that asked for it.
 *
 * Purpose: bound one task's Lua memory without touching its neighbours on the same state.
 * Owner: an account is held by its task and by every block charged to it; it goes when both are gone.
 * Thread: the worker's.
 * Must not know: what a task is.
 *
 * Each block carries its account in the 8 bytes before it, so a free that the collector makes while another task runs is
 * credited to the right one. Lua needs no more than 8-byte alignment (LUAI_MAXALIGN).
 */
#ifndef MU_RUN_ACCOUNT_H
#define MU_RUN_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

struct mu_account;
struct mu_account *mu_account_new(size_t limit); /* 0: no limit; NULL when out of memory */
void mu_account_close(struct mu_account *a);     /* the task's hold ends; NULL allowed */
size_t mu_account_used(const struct mu_account *a);
/* To be asked when an error was raised: true once a request was refused for good (a full collection did not help). From
 * then on a reserve of 1 MiB beyond the limit is open, so that <close> handlers and teardown can still run. */
bool mu_account_exceeded(struct mu_account *a);
/* Whether garbage may be what fills the account: collect, then say so. Not again before it has grown by a quarter. */
bool mu_account_wants_collection(struct mu_account *a);
void mu_account_collected(struct mu_account *a);

/* What lua_newstate() is given as its user data. */
struct mu_allocator {
    struct mu_account *charge; /* who pays for new blocks now */
    void *owner;               /* the worker, for those who have only a lua_State */
    unsigned long fail_at;     /* tests: the nth request from now fails, with its retry; 0: none */
    unsigned long requests;    /* counted always */
    struct {
        void *ptr;
        size_t osize, nsize;
    } failed;
};
void *mu_allocator_fn(void *ud, void *ptr, size_t osize, size_t nsize); /* a lua_Alloc */

#endif
