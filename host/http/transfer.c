/* One exchange: a request as libcurl is told it, and how it came out. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/internal.h"

/* ---- what libcurl calls ---- */

static size_t on_head(char *line, size_t size, size_t n, void *arg)
{
    struct mu_http_call *c = arg;
    return mu_http_answer_head(&c->answer, line, size * n) ? size * n : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct mu_http_call *c = arg;
    return mu_http_answer_body(&c->answer, bytes, size * n) ? size * n : 0;
}

/* The connection is there: from here on the server may have seen the request. */
static int on_connected(void *arg, char *ip, char *own_ip, int port, int own_port)
{
    struct mu_http_call *c = arg;
    (void)ip;
    (void)own_ip;
    (void)port;
    (void)own_port;
    c->transfer.sent = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- the request ---- */

static void wipe_list(struct curl_slist *list)
{
    for (struct curl_slist *l = list; l; l = l->next)
        explicit_bzero(l->data, strlen(l->data));
    curl_slist_free_all(list);
}

static bool append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
    struct mu_buf line = MU_BUF_INIT;
    mu_buf_reserve(&line, strlen(name) + strlen(value) + 2); /* one piece: growing would leave copies behind */
    mu_buf_addf(&line, "%s%s", name, *value ? ": " : ";"); /* libcurl's word for an empty value */
    mu_buf_adds(&line, value);
    bool ok = !line.failed && append(list, mu_buf_cstr(&line));
    if (line.data)
        explicit_bzero(line.data, line.len);
    mu_buf_free(&line);
    return ok;
}

static bool list_headers(struct mu_http_call *c)
{
    struct curl_slist **list = &c->transfer.headers;
    bool has_type = false, has_agent = false;

    for (size_t i = 0; i < c->req.n_headers; i++) {
        const struct mu_http_copied_header *h = &c->req.headers[i];
        bool is_type = !strcasecmp(h->name, "content-type");
        if ((c->abroad && !h->travels) || (is_type && !c->with_body))
            continue;
        has_type |= is_type;
        has_agent |= !strcasecmp(h->name, "user-agent");
        if (!add_header(list, h->name, h->value))
            return false;
    }
    /* Without a value: what libcurl would add by itself. */
    if (!append(list, "Expect:") || (!has_type && !append(list, "Content-Type:")))
        return false;
    return has_agent || add_header(list, "User-Agent", "muster/" MUSTER_VERSION);
}

static bool list_addresses(struct mu_http_call *c, const struct mu_addr *addrs, size_t n)
{
    struct mu_buf line = MU_BUF_INIT;
    char text[INET6_ADDRSTRLEN];

    mu_buf_addf(&line, "+%s:%d:", c->url.host, c->url.port); /* +: not for ever */
    for (size_t i = 0; i < n; i++) {
        bool six = addrs[i].sa.ss_family == AF_INET6;
        const void *address = six ? (const void *)&((const struct sockaddr_in6 *)&addrs[i].sa)->sin6_addr
                                  : (const void *)&((const struct sockaddr_in *)&addrs[i].sa)->sin_addr;
        if (inet_ntop(six ? AF_INET6 : AF_INET, address, text, sizeof text))
            mu_buf_addf(&line, six ? "%s[%s]" : "%s%s", i ? "," : "", text);
    }
    bool ok = !line.failed && append(&c->transfer.resolve, mu_buf_cstr(&line));
    mu_buf_free(&line);
    return ok;
}

static CURLcode set_method(CURL *easy, const struct mu_http_call *c)
{
    if (!strcmp(c->method, "HEAD"))
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    CURLcode code = CURLE_OK;
    /* PUT, POST and PATCH say that they have no body by a length of 0. */
    if (c->with_body || (c->method[0] == 'P' && !c->req.body)) {
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, c->req.body ? c->req.body : "");
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->req.body_len);
    }
    return code ? code : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, c->method);
}

static CURLcode set_up(CURL *easy, struct mu_http_call *c)
{
    CURLcode code;
#define SET(option, value)                                                                                             \
    do {                                                                                                               \
        code = curl_easy_setopt(easy, (option), (value));                                                              \
        if (code)                                                                                                      \
            return code;                                                                                               \
    } while (0)
    SET(CURLOPT_PRIVATE, c);
    SET(CURLOPT_ERRORBUFFER, c->transfer.error);
    SET(CURLOPT_URL, c->url.text);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (c->req.ca_file) {
        SET(CURLOPT_CAINFO, c->req.ca_file);
        SET(CURLOPT_CAPATH, (char *)NULL); /* else the system's authorities would do as well */
    }
    SET(CURLOPT_HEADERFUNCTION, on_head);
    SET(CURLOPT_HEADERDATA, c);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, c);
    SET(CURLOPT_PREREQFUNCTION, on_connected);
    SET(CURLOPT_PREREQDATA, c);
    SET(CURLOPT_HTTPHEADER, c->transfer.headers);
    if (c->transfer.resolve)
        SET(CURLOPT_RESOLVE, c->transfer.resolve);
    if (!c->retry.idempotent) {
        SET(CURLOPT_FRESH_CONNECT, 1L);
        SET(CURLOPT_FORBID_REUSE, 1L); /* else each would add one to those that are kept */
    }
#undef SET
    return set_method(easy, c);
}

int mu_http_transfer_open(struct mu_http_call *c, const struct mu_addr *addrs, size_t n, struct mu_err *err)
{
    c->transfer = (struct mu_http_transfer){.easy = curl_easy_init()};
    if (!c->transfer.easy || !list_headers(c) || (n && !list_addresses(c, addrs, n)))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    CURLcode code = set_up(c->transfer.easy, c);
    if (code)
        return mu_err_set(err, code == CURLE_OUT_OF_MEMORY ? MU_ENOMEM : MU_EIO, "%s", curl_easy_strerror(code));
    return mu_http_transfer_add(c, err);
}

void mu_http_transfer_close(struct mu_http_call *c)
{
    mu_http_transfer_end(c);
    curl_easy_cleanup(c->transfer.easy);
    wipe_list(c->transfer.headers);
    curl_slist_free_all(c->transfer.resolve);
    c->transfer = (struct mu_http_transfer){0};
}

/* ---- the end ---- */

static void judge_tls(struct mu_http_call *c, struct mu_http_outcome *o, struct mu_err *err)
{
    char what[400];
    const char *detail = c->transfer.error[0] ? c->transfer.error : curl_easy_strerror(c->transfer.code);

    o->lasting = c->transfer.code != CURLE_SSL_CONNECT_ERROR;
    switch (c->transfer.code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        snprintf(what, sizeof what, "the server's certificate is not accepted: %s; if its authority is your own, name "
                 "its file as ca_file", detail);
        mu_http_say_error(c, err, MU_HTTP_TLS, "TLS: certificate not accepted", what);
        break;
    case CURLE_SSL_CACERT_BADFILE:
        if (!c->req.ca_file) {
            snprintf(what, sizeof what, "the server's certificate is not accepted: this machine has no certificate authorities: "
                     "install ca-certificates, or name their file as ca_file");
            mu_http_say_error(c, err, MU_HTTP_TLS, "TLS: certificate not accepted", what);
            break;
        }
        snprintf(what, sizeof what, "ca_file cannot be used: %s", detail);
        mu_http_say_error(c, err, MU_HTTP_TLS, "TLS: ca_file cannot be used", what);
        break;
    default:
        snprintf(what, sizeof what, "no TLS connection: %s", detail);
        mu_http_say_error(c, err, MU_HTTP_TLS, "TLS: no connection", what);
    }
}

static void judge_connect(struct mu_http_call *c, struct mu_err *err)
{
    char what[400], cause[80];
    long number = 0;

    curl_easy_getinfo(c->transfer.easy, CURLINFO_OS_ERRNO, &number);
    if (number == ECONNREFUSED) {
        snprintf(cause, sizeof cause, "connection refused");
        snprintf(what, sizeof what, "connection refused by port %d; does the service run?", c->url.port);
    } else {
        snprintf(cause, sizeof cause, "%.70s", number ? strerror((int)number) : "cannot connect");
        snprintf(what, sizeof what, "cannot connect: %s", number ? strerror((int)number) : c->transfer.error);
    }
    mu_http_say_error(c, err, MU_HTTP_CONNECT, cause, what);
}

void mu_http_transfer_judge(struct mu_http_call *c, struct mu_http_outcome *o, struct mu_err *err)
{
    char what[400];
    curl_off_t after = 0;

    *o = (struct mu_http_outcome){.kind = MU_HTTP_OK, .sent = c->transfer.sent, .retry_after_ms = -1};
    switch (c->transfer.code) {
    case CURLE_OK:
        o->status = c->answer.status;
        if (mu_http_answer_field(&c->answer, "retry-after") &&
            !curl_easy_getinfo(c->transfer.easy, CURLINFO_RETRY_AFTER, &after))
            o->retry_after_ms = after > MU_HTTP_RETRY_AFTER_MAX_MS / 1000 ? MU_HTTP_RETRY_AFTER_MAX_MS : after * 1000;
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
        o->kind = MU_HTTP_RESOLVE;
        mu_http_say_error(c, err, o->kind, "name resolution failed", "the host's name cannot be resolved");
        return;
    case CURLE_COULDNT_CONNECT:
        o->kind = MU_HTTP_CONNECT;
        judge_connect(c, err);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        o->kind = MU_HTTP_TIMEOUT;
        snprintf(what, sizeof what, "no connection within %g s", (double)c->connect_timeout_ms / 1000.0);
        mu_http_say_error(c, err, o->kind, "connection timed out", what);
        return;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
        o->kind = MU_HTTP_TLS;
        judge_tls(c, o, err);
        return;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        o->kind = MU_HTTP_CONNECT;
        snprintf(what, sizeof what, "the connection was lost: %s", c->transfer.error);
        mu_http_say_error(c, err, o->kind, "connection lost", what);
        return;
    default:
        break;
    }
    if (c->answer.too_large) {
        o->kind = MU_HTTP_TOO_LARGE;
        snprintf(what, sizeof what, "the answer's %s too large: more than %zu bytes%s",
                 c->answer.too_large[0] == 'b' ? "body is" : "headers are",
                 c->answer.too_large[0] == 'b' ? c->answer.max_body : MU_HTTP_HEADER_BYTES_MAX,
                 c->answer.too_large[0] == 'b' ? " (max_body)" : ", or too many");
        mu_http_say_error(c, err, o->kind, "answer too large", what);
        return;
    }
    o->kind = MU_HTTP_PROTOCOL;
    snprintf(what, sizeof what, "%s", c->transfer.error[0] ? c->transfer.error : curl_easy_strerror(c->transfer.code));
    mu_http_say_error(c, err, o->kind, curl_easy_strerror(c->transfer.code), what);
}
