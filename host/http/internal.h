/* internal.h: what the files of http/ share.
 *
 * multi.c is one worker's libcurl and its way into the loop; transfer.c one exchange, request and answer; answer.c what
 * comes in; call.c the tries and redirects of one request; request.c its copy and checks; words.c what is said of it.
 * Owner: a call owns its transfer. Thread: the loop's. For http/ alone. Must not know: as http.h.
 */
#ifndef MU_HTTP_INTERNAL_H
#define MU_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "core/list.h"
#include "http/http.h"
#include "http/url.h"
#include "loop/resolve.h"

struct mu_http {
    struct mu_loop *loop;
    CURLM *multi;
    struct mu_timer *timer; /* libcurl's one */
    struct mu_list sockets;
    unsigned calls;
};

/* A request's own copy. Texts that are secret are wiped when it goes. */
struct mu_http_copy {
    char method[8];
    char *body;
    size_t body_len;
    struct mu_http_copied_header {
        char *name, *value;
        bool travels; /* also to another host after a redirect */
    } * headers;
    size_t n_headers;
    char **secrets;
    size_t n_secrets;
    char *ca_file;
};

int mu_http_copy(struct mu_http_copy *copy, const struct mu_http_request *req, struct mu_err *err);
void mu_http_copy_free(struct mu_http_copy *copy);

/* What came in of an answer. */
struct mu_http_answer {
    int status;
    struct mu_http_field *fields;
    size_t n_fields, n_lines, header_bytes;
    struct mu_buf body;
    size_t max_body;
    const char *too_large; /* what was, or NULL */
};

/* A line of the answer's head, or bytes of its body: false ends the exchange. */
bool mu_http_answer_head(struct mu_http_answer *a, const char *line, size_t len);
bool mu_http_answer_body(struct mu_http_answer *a, const char *bytes, size_t len);
const char *mu_http_answer_field(const struct mu_http_answer *a, const char *name); /* NULL: not there */
void mu_http_answer_free(struct mu_http_answer *a); /* back to empty, max_body is kept */

struct mu_http_transfer {
    CURL *easy;
    bool added; /* to the multi handle */
    bool over;
    bool sent;
    CURLcode code; /* when over */
    struct curl_slist *headers, *resolve;
    char error[CURL_ERROR_SIZE];
};

enum mu_http_state { MU_HTTP_BEGIN, MU_HTTP_LOOKUP, MU_HTTP_EXCHANGE, MU_HTTP_PAUSE, MU_HTTP_DONE };

struct mu_http_call {
    struct mu_http *http;
    struct mu_ctx *ctx;
    mu_http_fn *done;
    void *arg;
    struct mu_http_copy req;
    struct mu_http_retry retry;
    uint64_t timeout_ms, connect_timeout_ms;
    unsigned max_redirects;
    bool errors;
    struct mu_http_url first, url; /* as asked; where this exchange goes */
    char method[8];                /* of this exchange */
    bool with_body, abroad;        /* likewise; abroad: another origin than asked */
    unsigned redirects;
    uint64_t started_ms; /* of this try */
    enum mu_http_state state;
    struct mu_timer *step;  /* fires when the state goes on, or in LOOKUP when it took too long */
    struct mu_timer *limit; /* of this try */
    struct mu_resolve *lookup;
    struct mu_http_transfer transfer;
    struct mu_http_answer answer;
    struct mu_http_response response;
};

/* multi.c: what libcurl holds is told to go on; then transfers that are over are marked and their calls' step started. */
int mu_http_transfer_add(struct mu_http_call *c, struct mu_err *err);
void mu_http_transfer_end(struct mu_http_call *c); /* at once; harmless when there is none */
/* transfer.c: make the easy handle. addrs: what the host's name stands for, n 0 when it is an address. */
int mu_http_transfer_open(struct mu_http_call *c, const struct mu_addr *addrs, size_t n, struct mu_err *err);
void mu_http_transfer_close(struct mu_http_call *c);
/* How the transfer ended: kind and so on into *o, and why into err. */
void mu_http_transfer_judge(struct mu_http_call *c, struct mu_http_outcome *o, struct mu_err *err);

/* words.c */
/* "GET https://host/path", for the beginning of a message. */
void mu_http_say_request(const struct mu_http_call *c, struct mu_buf *out);
/* err for kind: "REQUEST: what", with a cause that folds. */
void mu_http_say_error(const struct mu_http_call *c, struct mu_err *err, enum mu_http_kind kind, const char *cause,
                       const char *what);
void mu_http_say_status(const struct mu_http_call *c, struct mu_err *err);

#endif
