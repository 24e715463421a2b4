/* Calls against a real server, and their ends at every stage. The names *.test are answered by this program, whose
 * getaddrinfo stands before the C library's. */
#include "support.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static struct server server;
static sem_t entered, go_on;
static atomic_int lookups;

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    getaddrinfo_fn *real;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints && hints->ai_flags & AI_NUMERICHOST)
        return real(host, service, hints, out);
    atomic_fetch_add(&lookups, 1);
    if (!strcmp(host, "here.test"))
        return real("127.0.0.1", service, hints, out);
    if (!strcmp(host, "stuck.test")) {
        sem_post(&entered);
        while (sem_wait(&go_on))
            ;
        return EAI_AGAIN;
    }
    return EAI_NONAME;
}

/* ---- one loop with its http ---- */

struct world {
    struct mu_loop *loop;
    struct mu_http *http;
    struct mu_ctx *ctx;
    int done;
    bool free_in_done;
    struct mu_ctx *seen;
};

static void open_world(struct world *w)
{
    struct mu_err err;
    *w = (struct world){0};
    assert_int_equal(mu_loop_new(&w->loop, &err), 0);
    assert_int_equal(mu_http_new(&w->http, w->loop, &err), 0);
    w->ctx = mu_ctx_with_str(NULL, "server_id", "s1");
}

static void close_world(struct world *w)
{
    mu_http_free(w->http);
    mu_ctx_unref(w->ctx);
    mu_loop_free(w->loop); /* asserts that nothing was left open */
}

static void on_done(void *arg, struct mu_http_call *call)
{
    struct world *w = arg;
    w->done++;
    w->seen = mu_ctx_current();
    if (w->free_in_done)
        mu_http_call_free(call);
}

static const char *url(const char *host, const char *path)
{
    static char text[200];
    snprintf(text, sizeof text, "http://%s:%d%s", host, server.port, path);
    return text;
}

static struct mu_http_request request(const char *method, const char *where)
{
    return (struct mu_http_request){.method = method, .url = where, .timeout_ms = 60000, .connect_timeout_ms = 60000,
                                    .max_body = 1 << 20, .max_redirects = 5,
                                    .retry = {.retries = 3, .backoff_ms = 1, .idempotent = mu_http_idempotent(method),
                                              .statuses = {503}, .n_statuses = 1}};
}

static struct mu_http_call *start(struct world *w, const struct mu_http_request *req)
{
    struct mu_http_call *c = NULL;
    struct mu_err err = {0};
    if (mu_http_start(&c, w->http, w->ctx, req, on_done, w, &err))
        fail_msg("%s", err.msg);
    return c;
}

static const struct mu_http_response *run(struct world *w, struct mu_http_call *c)
{
    int before = w->done;
    while (w->done == before)
        mu_loop_turn(w->loop, true);
    return mu_http_result(c);
}

/* The text of a whole GET. */
static void get(struct world *w, const char *path, char *body, size_t size)
{
    struct mu_http_request req = request("GET", url("127.0.0.1", path));
    struct mu_http_call *c = start(w, &req);
    const struct mu_http_response *r = run(w, c);
    assert_int_equal(r->kind, MU_HTTP_OK);
    snprintf(body, size, "%s", mu_buf_cstr(&r->body));
    mu_http_call_free(c);
}

/* ---- tests ---- */

static void answers(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    struct mu_http_header headers[] = {{"X-One", "1", false}, {"X-Empty", "", false}};
    struct mu_http_request req = request("POST", url("here.test", "/echo?q"));
    req.headers = headers;
    req.n_headers = 2;
    req.body = "a\0b";
    req.body_len = 3;
    req.user = "me";
    req.password = "pass";
    struct mu_http_call *c = start(&w, &req);
    assert_int_equal(w.done, 0);
    const struct mu_http_response *r = run(&w, c);
    assert_int_equal(r->kind, MU_HTTP_OK);
    assert_int_equal(r->status, 200);
    assert_int_equal(r->tries, 1);
    assert_int_equal(r->error.code, 0);
    assert_string_equal(r->url, url("here.test", "/echo?q"));
    const char *body = mu_buf_cstr(&r->body);
    assert_non_null(strstr(body, "\"method\": \"POST\""));
    assert_non_null(strstr(body, "a\\u0000b"));
    assert_non_null(strstr(body, "\"x-one\": \"1\""));
    assert_non_null(strstr(body, "\"x-empty\": \"\""));
    assert_non_null(strstr(body, "\"authorization\": \"Basic bWU6cGFzcw==\""));
    assert_non_null(strstr(body, "\"content-length\": \"3\""));
    assert_null(strstr(body, "content-type"));
    assert_null(strstr(body, "expect"));
    assert_true(mu_http_repeats_secret(c));
    assert_ptr_equal(w.seen, w.ctx);
    mu_http_call_free(c);
    close_world(&w);
}

static struct {
    int lines, with_server;
} logged;

static void count_line(void *arg, const struct mu_record *record)
{
    (void)arg;
    logged.lines++;
    for (size_t i = 0; i < record->n_fields; i++)
        logged.with_server += !strcmp(record->fields[i].key, "server_id") && !strcmp(record->fields[i].v.str, "s1");
}

static void context_of_every_line(void **state)
{
    (void)state;
    struct world w;
    struct mu_logger *lg;
    assert_int_equal(mu_logger_new(&lg, MU_TRACE), 0);
    assert_int_equal(mu_logger_add_sink(lg, count_line, NULL, NULL), 0);
    mu_logger_use(lg);
    open_world(&w);
    struct mu_http_request req = request("GET", url("here.test", "/sequence/context/503,503,200"));
    struct mu_http_call *c = start(&w, &req);
    const struct mu_http_response *r = run(&w, c);
    assert_int_equal(r->status, 200);
    assert_int_equal(r->tries, 3);
    assert_ptr_equal(w.seen, w.ctx);
    assert_int_equal(logged.lines, 3); /* two retries, and the end */
    assert_int_equal(logged.with_server, 3);
    mu_http_call_free(c);
    close_world(&w);
    mu_logger_use(NULL);
    mu_logger_free(lg);
}

/* What /log says of the connection of the last request to path. */
static int connection_of(struct world *w, const char *path)
{
    static char text[1 << 20];
    char needle[100];
    const char *found = NULL, *next = text;
    get(w, "/log", text, sizeof text);
    snprintf(needle, sizeof needle, "\"path\": \"%s\"", path);
    while ((next = strstr(next, needle)))
        found = next++;
    assert_non_null(found);
    found = strstr(found, "\"connection\": ");
    assert_non_null(found);
    return atoi(found + 14);
}

static void connections(void **state)
{
    (void)state;
    struct world w;
    char body[200];
    open_world(&w);
    get(&w, "/status/200?first", body, sizeof body);
    get(&w, "/status/200?second", body, sizeof body);
    int first = connection_of(&w, "/status/200?first");
    assert_int_equal(connection_of(&w, "/status/200?second"), first); /* kept, and used again */

    /* What is not idempotent gets a new one, so that nobody sends it twice. */
    struct mu_http_request req = request("POST", url("127.0.0.1", "/status/200?third"));
    struct mu_http_call *c = start(&w, &req);
    assert_int_equal(run(&w, c)->status, 200);
    mu_http_call_free(c);
    assert_int_not_equal(connection_of(&w, "/status/200?third"), first);
    close_world(&w);
}

/* ---- ends ---- */

static void freed_at_once(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    struct mu_http_request req = request("GET", url("127.0.0.1", "/status/200"));
    mu_http_call_free(start(&w, &req));
    mu_http_call_free(NULL);
    mu_loop_turn(w.loop, false);
    assert_int_equal(w.done, 0);
    close_world(&w);
}

static void freed_in_its_callback(void **state)
{
    (void)state;
    struct world w;
    const char *const paths[] = {"/status/200", "/drop", "/stream/3000000"};
    open_world(&w);
    w.free_in_done = true;
    for (int i = 0; i < 3; i++) {
        struct mu_http_request req = request("GET", url("127.0.0.1", paths[i]));
        start(&w, &req);
        while (w.done <= i)
            mu_loop_turn(w.loop, true);
    }
    close_world(&w);
}

static int waiting(struct world *w)
{
    char body[20];
    get(w, "/waiting", body, sizeof body);
    return atoi(body);
}

static void freed_under_way(void **state)
{
    (void)state;
    struct world w;
    const char *const paths[] = {"/silent", "/half"};
    open_world(&w);
    for (int i = 0; i < 2; i++) {
        struct mu_http_request req = request("GET", url("127.0.0.1", paths[i]));
        struct mu_http_call *c = start(&w, &req);
        while (waiting(&w) != 1)
            ;
        int before = w.done;
        mu_http_call_free(c);
        assert_int_equal(w.done, before);
        while (waiting(&w) != 0) /* the server sees it, too */
            ;
    }
    close_world(&w);
}

static void freed_in_a_pause(void **state)
{
    (void)state;
    struct world w;
    struct mu_logger *lg;
    open_world(&w);
    assert_int_equal(mu_logger_new(&lg, MU_INFO), 0);
    assert_int_equal(mu_logger_add_sink(lg, count_line, NULL, NULL), 0);
    mu_logger_use(lg);
    logged.lines = 0;
    struct mu_http_request req = request("GET", url("127.0.0.1", "/status/503"));
    req.retry.backoff_ms = 30000;
    struct mu_http_call *c = start(&w, &req);
    while (!logged.lines) /* "trying again" */
        mu_loop_turn(w.loop, true);
    mu_http_call_free(c);
    assert_int_equal(w.done, 0);
    close_world(&w);
    mu_logger_use(NULL);
    mu_logger_free(lg);
}

static void http_freed_with_kept_connections(void **state)
{
    (void)state;
    struct world w;
    char body[200];
    open_world(&w);
    get(&w, "/status/200", body, sizeof body);
    close_world(&w);
}

/* ---- names ---- */

static void a_stuck_lookup_blocks_nobody(void **state)
{
    (void)state;
    struct world w;
    char body[200];
    open_world(&w);
    struct mu_http_request req = request("GET", url("stuck.test", "/status/200"));
    struct mu_http_call *c = start(&w, &req);
    while (sem_trywait(&entered))
        mu_loop_turn(w.loop, false);
    for (int i = 0; i < 10; i++)
        get(&w, "/status/200", body, sizeof body);
    int before = w.done;
    mu_http_call_free(c); /* and this does not wait for it */
    assert_int_equal(w.done, before);
    get(&w, "/status/200", body, sizeof body);

    req.url = url("stuck.test", "/status/200");
    req.connect_timeout_ms = 50;
    req.retry.retries = 0;
    c = start(&w, &req);
    const struct mu_http_response *r = run(&w, c);
    assert_int_equal(r->kind, MU_HTTP_RESOLVE);
    assert_non_null(strstr(r->error.msg, "its name was not resolved within 0.05 s"));
    mu_http_call_free(c);
    sem_post(&go_on);
    sem_post(&go_on);
    close_world(&w);
}

static void names_are_looked_up_by_us(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    int before = atomic_load(&lookups);
    struct mu_http_request req = request("GET", url("here.test", "/status/200"));
    struct mu_http_call *c = start(&w, &req);
    assert_int_equal(run(&w, c)->status, 200);
    mu_http_call_free(c);
    assert_int_equal(atomic_load(&lookups), before + 1); /* libcurl did not ask again */

    req.url = url("gone.test", "/");
    c = start(&w, &req);
    const struct mu_http_response *r = run(&w, c);
    assert_int_equal(r->kind, MU_HTTP_RESOLVE);
    assert_int_equal(r->status, 0);
    assert_int_equal(r->tries, 4);
    assert_true(r->retryable);
    assert_non_null(strstr(r->error.msg, "the name gone.test cannot be resolved: "));
    assert_null(strstr(r->error.cause, "gone.test"));
    mu_http_call_free(c);
    close_world(&w);
}

static void refused(void **state)
{
    (void)state;
    struct world w;
    struct mu_http_call *c = NULL;
    struct mu_err err;
    const char *const names[] = {"Content-Length", "transfer-encoding", "Host", "a b", "", "a:", "caf\xc3\xa9"};
    open_world(&w);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct mu_http_request req = request("GET", "http://localhost/");
        req.headers = &(struct mu_http_header){names[i], "x", false};
        req.n_headers = 1;
        assert_int_equal(mu_http_start(&c, w.http, NULL, &req, on_done, &w, &err), MU_EINVAL);
    }
    const char *const values[] = {"a\r\nX-Evil: 1", "a\n", "\x1b[0m"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct mu_http_request req = request("GET", "http://localhost/");
        req.headers = &(struct mu_http_header){"X-A", values[i], false};
        req.n_headers = 1;
        assert_int_equal(mu_http_start(&c, w.http, NULL, &req, on_done, &w, &err), MU_EINVAL);
        req.headers = NULL;
        req.n_headers = 0;
        req.token = values[i];
        assert_int_equal(mu_http_start(&c, w.http, NULL, &req, on_done, &w, &err), MU_EINVAL);
    }
    const char *const methods[] = {"TRACE", "CONNECT", "get", "", "GET /x HTTP/1.1\r\n"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct mu_http_request req = request(methods[i], "http://localhost/");
        assert_int_equal(mu_http_start(&c, w.http, NULL, &req, on_done, &w, &err), MU_EINVAL);
    }
    assert_null(c);
    close_world(&w);
}

static int set_up(void **state)
{
    (void)state;
    sem_init(&entered, 0, 0);
    sem_init(&go_on, 0, 0);
    start_server(&server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) /* also when a test failed: libuv waits for its helper threads */
        sem_post(&go_on);
    stop_server(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(context_of_every_line),
        cmocka_unit_test(connections),
        cmocka_unit_test(freed_at_once),
        cmocka_unit_test(freed_in_its_callback),
        cmocka_unit_test(freed_under_way),
        cmocka_unit_test(freed_in_a_pause),
        cmocka_unit_test(http_freed_with_kept_connections),
        cmocka_unit_test(a_stuck_lookup_blocks_nobody),
        cmocka_unit_test(names_are_looked_up_by_us),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
