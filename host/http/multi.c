/* One worker's libcurl: its sockets are watches of the loop, its clock is a timer of the loop. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "http/internal.h"

/* Idle ones, for each worker. Few: to many a server an idle connection is one of its places (Ironic has a hundred), and who
 * comes next waits outside until one is given back. */
#define KEPT_CONNECTIONS 2L

struct sock {
    struct mu_list link;
    struct mu_http *http;
    curl_socket_t fd;
    struct mu_watch *watch;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global;

static void init_global(void) { global = curl_global_init(CURL_GLOBAL_DEFAULT); }

/* Nothing of a call goes on in here, which may be in another one's context: its own timer does that. */
static void collect(struct mu_http *http)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(http->multi, &left))) {
        struct mu_http_call *c = NULL;
        if (msg->msg != CURLMSG_DONE || curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&c) || !c)
            continue;
        c->transfer.over = true;
        c->transfer.code = msg->data.result;
        mu_timer_start(c->step, c->ctx, 0);
    }
}

static void act(struct mu_http *http, curl_socket_t fd, int events)
{
    int running;

    curl_multi_socket_action(http->multi, fd, events, &running);
    collect(http);
}

static void on_events(void *arg, int events)
{
    struct sock *s = arg; /* may be gone after act() */
    act(s->http, s->fd, (events & MU_READABLE ? CURL_CSELECT_IN : 0) | (events & MU_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static void on_time(void *arg) { act(arg, CURL_SOCKET_TIMEOUT, 0); }

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct mu_http *http = arg;

    (void)multi;
    if (ms < 0) {
        mu_timer_stop(http->timer);
    } else {
        mu_loop_update_time(http->loop);
        mu_timer_start(http->timer, NULL, (uint64_t)ms);
    }
    return 0;
}

static void drop_socket(struct sock *s)
{
    mu_list_remove(&s->link);
    mu_watch_free(s->watch);
    free(s);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
    struct mu_http *http = arg;
    struct sock *s = socket;
    struct mu_http_call *c = NULL;
    struct mu_err err;

    if (what == CURL_POLL_REMOVE) {
        if (s)
            drop_socket(s);
        return 0;
    }
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || mu_watch_new(&s->watch, http->loop, fd, on_events, s, &err)) {
            free(s);
            mu_log(MU_ERROR, "An HTTP connection cannot be watched: its request will time out.");
            return 0;
        }
        s->http = http;
        s->fd = fd;
        mu_list_push(&http->sockets, &s->link);
        curl_multi_assign(http->multi, fd, s);
    }
    if (easy && !curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c))
        mu_watch_set_ctx(s->watch, c ? c->ctx : NULL);
    mu_watch_set(s->watch, (what & CURL_POLL_IN ? MU_READABLE : 0) | (what & CURL_POLL_OUT ? MU_WRITABLE : 0));
    return 0;
}

int mu_http_new(struct mu_http **out, struct mu_loop *loop, struct mu_err *err)
{
    struct mu_http *http = calloc(1, sizeof *http);

    *out = NULL;
    pthread_once(&once, init_global);
    if (!http)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    mu_list_init(&http->sockets);
    http->loop = loop;
    http->multi = global ? NULL : curl_multi_init();
    http->timer = mu_timer_new(loop, on_time, http);
    if (!http->multi || !http->timer) {
        mu_http_free(http);
        return mu_err_set(err, MU_ENOMEM, "cannot set up HTTP: %s", global ? curl_easy_strerror(global) : "out of memory");
    }
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    *out = http;
    return 0;
}

void mu_http_free(struct mu_http *http)
{
    if (!http)
        return;
    assert(http->calls == 0 && "free every call before its mu_http");
    if (http->multi)
        curl_multi_cleanup(http->multi);
    while (!mu_list_empty(&http->sockets))
        drop_socket(mu_list_entry(http->sockets.next, struct sock, link));
    mu_timer_free(http->timer);
    free(http);
}

int mu_http_transfer_add(struct mu_http_call *c, struct mu_err *err)
{
    CURLMcode code = curl_multi_add_handle(c->http->multi, c->transfer.easy);
    if (code)
        return mu_err_set(err, code == CURLM_OUT_OF_MEMORY ? MU_ENOMEM : MU_EIO, "%s", curl_multi_strerror(code));
    c->transfer.added = true;
    return 0;
}

void mu_http_transfer_end(struct mu_http_call *c)
{
    if (c->transfer.added)
        curl_multi_remove_handle(c->http->multi, c->transfer.easy);
    c->transfer.added = false;
}
