#include "run/account.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE ((size_t)1 << 20)

struct mu_account {
    size_t used, limit;
    bool open;     /* the task still holds it */
    bool exceeded;
    bool refused;  /* the last growing request was refused; Lua collects and asks once more */
    void *refused_ptr;
    size_t refused_size;
    size_t collected; /* used after the last collection made for this account */
};

struct header {
    struct mu_account *account;
};
_Static_assert(sizeof(struct header) == 8, "Lua blocks are aligned to 8 behind their header");

struct mu_account *mu_account_new(size_t limit)
{
    struct mu_account *a = calloc(1, sizeof *a);
    if (a) {
        a->limit = limit;
        a->open = true;
    }
    return a;
}

static void drop_when_unused(struct mu_account *a)
{
    if (!a->open && !a->used)
        free(a);
}

void mu_account_close(struct mu_account *a)
{
    if (!a)
        return;
    a->open = false;
    drop_when_unused(a);
}

size_t mu_account_used(const struct mu_account *a) { return a->used; }
bool mu_account_wants_collection(struct mu_account *a)
{
    if (!a->limit || a->used < a->limit / 2 || a->used < a->collected + a->limit / 4)
        return false;
    return true;
}

void mu_account_collected(struct mu_account *a)
{
    a->collected = a->used;
}

bool mu_account_exceeded(struct mu_account *a)
{
    a->exceeded = a->exceeded || a->refused;
    return a->exceeded;
}

/* Lua answers a refusal with a full collection and the same request again: only a second refusal is final. (The library's
 * string buffers do not ask again but raise: the refusal then stays pending, and mu_account_exceeded() counts it.) */
static bool may_grow(struct mu_account *a, void *ptr, size_t osize, size_t nsize)
{
    size_t bound = a->limit + (a->exceeded ? RESERVE : 0);
    bool again = a->refused && a->refused_ptr == ptr && a->refused_size == nsize;
    bool fits = !a->limit || a->used - osize + nsize <= bound;
    if (again)
        a->refused = false;
    if (fits)
        return true;
    if (again) {
        a->exceeded = true;
        return false;
    }
    a->refused = true;
    a->refused_ptr = ptr;
    a->refused_size = nsize;
    return false;
}

static bool injected_failure(struct mu_allocator *al, void *ptr, size_t osize, size_t nsize)
{
    al->requests++;
    if (al->failed.nsize && al->failed.ptr == ptr && al->failed.osize == osize && al->failed.nsize == nsize) {
        al->failed.nsize = 0;
        return true;
    }
    if (al->fail_at && --al->fail_at == 0) {
        al->failed.ptr = ptr;
        al->failed.osize = osize;
        al->failed.nsize = nsize;
        return true;
    }
    return false;
}

void *mu_allocator_fn(void *ud, void *ptr, size_t osize, size_t nsize)
{
    struct mu_allocator *al = ud;
    struct header *h = ptr ? (struct header *)ptr - 1 : NULL;
    struct mu_account *a = h ? h->account : al->charge;
    if (!ptr)
        osize = 0; /* Lua passes the kind of object here */
    if (nsize == 0) {
        if (h) {
            a->used -= osize;
            free(h);
            drop_when_unused(a);
        }
        return NULL;
    }
    if (nsize > osize && (injected_failure(al, ptr, osize, nsize) || !may_grow(a, ptr, osize, nsize)))
        return NULL;
    if (nsize > SIZE_MAX - sizeof *h)
        return NULL;
    struct header *fresh = realloc(h, sizeof *h + nsize);
    if (!fresh)
        return nsize <= osize ? ptr : NULL; /* shrinking must not fail: the block is large enough as it is */
    fresh->account = a;
    a->used = a->used - osize + nsize;
    return fresh + 1;
}
