#include "loop/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/internal.h"

struct mu_resolve {
    uv_getaddrinfo_t uv; /* a name */
    struct mu_timer *soon; /* a numeric address, or a host that cannot be asked for: answered from the next turn */
    struct mu_loop *loop;
    struct mu_ctx *ctx;
    mu_resolve_fn *fn; /* NULL once cancelled */
    void *arg;
    int port;
    bool answering; /* in the callback: a cancel in there has nothing left to do */
    struct mu_addr *addrs;
    size_t n_addrs;
    struct mu_err err;
    char host[]; /* as given */
};

/* libuv has its own numbers for getaddrinfo's; the text that people search for is the C library's. */
static const char *reason_text(int status)
{
    static const struct {
        int uv, eai;
    } map[] = {{UV_EAI_ADDRFAMILY, EAI_ADDRFAMILY}, {UV_EAI_AGAIN, EAI_AGAIN},   {UV_EAI_BADFLAGS, EAI_BADFLAGS},
               {UV_EAI_FAIL, EAI_FAIL},             {UV_EAI_FAMILY, EAI_FAMILY}, {UV_EAI_MEMORY, EAI_MEMORY},
               {UV_EAI_NODATA, EAI_NODATA},         {UV_EAI_NONAME, EAI_NONAME}, {UV_EAI_OVERFLOW, EAI_OVERFLOW},
               {UV_EAI_SERVICE, EAI_SERVICE},       {UV_EAI_SOCKTYPE, EAI_SOCKTYPE}};

    for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
        if (map[i].uv == status)
            return gai_strerror(map[i].eai);
    return uv_strerror(status);
}

static void failed(struct mu_resolve *r, int sys, const char *reason)
{
    mu_err_set(&r->err, MU_ERESOLVE, "cannot resolve \"%.200s\": %s; check the server's address and this machine's DNS",
               r->host, reason);
    mu_err_cause(&r->err, "name resolution: %s", reason);
    r->err.sys = sys;
}

static void set_port(struct sockaddr_storage *sa, int port)
{
    if (sa->ss_family == AF_INET)
        ((struct sockaddr_in *)sa)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)sa)->sin6_port = htons((uint16_t)port);
}

static void keep(struct mu_resolve *r, const struct addrinfo *list)
{
    size_t n = 0;

    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
        n++;
    r->addrs = calloc(n ? n : 1, sizeof(*r->addrs));
    if (!r->addrs) {
        failed(r, 0, "out of memory");
        return;
    }
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        struct mu_addr *addr = &r->addrs[r->n_addrs];

        if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) || ai->ai_addrlen > sizeof(addr->sa))
            continue;
        memcpy(&addr->sa, ai->ai_addr, ai->ai_addrlen);
        addr->len = ai->ai_addrlen;
        set_port(&addr->sa, r->port);
        r->n_addrs++;
    }
    if (r->n_addrs == 0)
        failed(r, 0, gai_strerror(EAI_NODATA));
}

static void destroy(struct mu_resolve *r)
{
    mu_timer_free(r->soon);
    mu_ctx_unref(r->ctx);
    free(r->addrs);
    free(r);
}

static void answer(void *arg)
{
    struct mu_resolve *r = arg;

    r->answering = true;
    r->fn(r->arg, r->addrs, r->n_addrs, &r->err);
    r->loop->open--;
    destroy(r);
}

static void on_addrinfo(uv_getaddrinfo_t *uv, int status, struct addrinfo *list)
{
    struct mu_resolve *r = uv->data;

    if (!r->fn) {
        destroy(r);
    } else {
        if (status)
            failed(r, status, reason_text(status));
        else
            keep(r, list);
        mu_loop_call(r->loop, r->ctx, answer, r);
    }
    uv_freeaddrinfo(list);
}

/* True when the host needs no lookup: the answer, good or bad, is in r. */
static bool known_already(struct mu_resolve *r)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    struct in_addr in4;
    int status;

    if (!*r->host) {
        failed(r, 0, "the name is empty");
        return true;
    }
    if (!strchr(r->host, ':') && inet_pton(AF_INET, r->host, &in4) != 1)
        return false;
    /* getaddrinfo rather than inet_pton: it knows fe80::1%eth0. No name has a colon, so the answer is final. */
    status = getaddrinfo(r->host, NULL, &hints, &list);
    if (status)
        failed(r, status, status == EAI_NONAME ? "not an IPv6 address of this machine's networks" : gai_strerror(status));
    else
        keep(r, list);
    if (list)
        freeaddrinfo(list);
    return true;
}

int mu_resolve_start(struct mu_resolve **out, struct mu_loop *loop, struct mu_ctx *ctx, const char *host, int port,
                     mu_resolve_fn *fn, void *arg, struct mu_err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    size_t len = strlen(host);
    struct mu_resolve *r = NULL;
    int status;

    *out = NULL;
    if (port < 1 || port > 65535)
        return mu_err_set(err, MU_EINVAL, "port %d of \"%.200s\" is not between 1 and 65535", port, host);
    r = calloc(1, sizeof(*r) + len + 1);
    if (!r)
        goto no_memory;
    memcpy(r->host, host, len);
    r->loop = loop;
    r->ctx = mu_ctx_ref(ctx);
    r->fn = fn;
    r->arg = arg;
    r->port = port;
    r->uv.data = r;

    if (!known_already(r)) {
        status = uv_getaddrinfo(&loop->uv, &r->uv, on_addrinfo, host, NULL, &hints);
        if (status == UV_ENOMEM)
            goto no_memory;
        if (status == 0)
            goto started;
        failed(r, status, "not a host name"); /* too long, or not to be written as one */
    }
    r->soon = mu_timer_new(loop, answer, r);
    if (!r->soon)
        goto no_memory;
    mu_timer_start(r->soon, ctx, 0);
started:
    loop->open++;
    *out = r;
    return 0;
no_memory:
    if (r)
        destroy(r);
    return mu_err_set(err, MU_ENOMEM, "cannot resolve \"%.200s\": out of memory", host);
}

void mu_resolve_cancel(struct mu_resolve *r)
{
    if (!r || r->answering || !r->fn)
        return;
    r->loop->open--;
    if (r->soon) {
        destroy(r);
        return;
    }
    /* A helper thread may be inside getaddrinfo, which nothing can interrupt: then r lives on until it comes back. */
    r->fn = NULL;
    uv_cancel((uv_req_t *)&r->uv);
}

void mu_resolve_set_parallel(unsigned lookups)
{
    char threads[16];

    /* libuv gives lookups half of its helper threads; it reads their number from the environment alone, 1024 at most */
    snprintf(threads, sizeof(threads), "%u", lookups < 512 ? 2 * lookups : 1024);
    setenv("UV_THREADPOOL_SIZE", threads, 0);
}
