/* A request's own copy, and what is refused before anything is sent. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"

/* ---- checks ---- */

/* Which would change where a request ends, or are libcurl's to say. */
static const char *const own_headers[] = {"content-length", "transfer-encoding", "connection", "expect", "te", "trailer",
                                          "upgrade", "keep-alive", "proxy-authorization", "host", NULL};
/* What may follow a redirect to somebody else. The rest is for the server that it was given for. */
static const char *const travelling[] = {"accept", "accept-language", "content-type", "user-agent", NULL};

static bool listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (!strcasecmp(*list, name))
            return true;
    return false;
}

static bool is_token(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    return *text != '\0';
}

static bool is_field_value(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p < ' ' && *p != '\t') || *p == 0x7f)
            return false;
    return true;
}

static int check_headers(const struct mu_http_request *req, struct mu_err *err)
{
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct mu_http_header *h = &req->headers[i];
        if (!is_token(h->name))
            return mu_err_set(err, MU_EINVAL, "\"%.60s\" is not the name of a header", h->name);
        if (listed(own_headers, h->name))
            return mu_err_set(err, MU_EINVAL, "the header %.60s is set by muster itself", h->name);
        if (!is_field_value(h->value))
            return mu_err_set(err, MU_EINVAL, "the value of header %.60s holds a line break or a control character", h->name);
        if (!strcasecmp(h->name, "authorization") && (req->user || req->token))
            return mu_err_set(err, MU_EINVAL, "give auth, token, or a header Authorization: one of them");
        for (size_t j = 0; j < i; j++)
            if (!strcasecmp(h->name, req->headers[j].name))
                return mu_err_set(err, MU_EINVAL, "the header %.60s is there twice", h->name);
    }
    return 0;
}

int mu_http_check(const struct mu_http_request *req, struct mu_err *err)
{
    struct mu_http_url url;

    if (!mu_http_idempotent(req->method) && strcmp(req->method, "POST") != 0 && strcmp(req->method, "PATCH") != 0)
        return mu_err_set(err, MU_EINVAL, "no method %.20s: there are GET, HEAD, OPTIONS, PUT, DELETE, POST, PATCH",
                          req->method);
    if (req->user && req->token)
        return mu_err_set(err, MU_EINVAL, "give auth or token, not both");
    if (req->user && strchr(req->user, ':'))
        return mu_err_set(err, MU_EINVAL, "auth.user holds a colon, which basic authentication cannot carry");
    if (req->token && (!*req->token || !is_field_value(req->token)))
        return mu_err_set(err, MU_EINVAL, "the token is empty, or holds a line break or a control character");
    if (req->body && !strcmp(req->method, "HEAD"))
        return mu_err_set(err, MU_EINVAL, "HEAD has no body");
    if (req->ca_file && !*req->ca_file)
        return mu_err_set(err, MU_EINVAL, "ca_file is empty");
    if (!req->timeout_ms || !req->connect_timeout_ms)
        return mu_err_set(err, MU_EINVAL, "timeout and connect_timeout must be more than 0");
    int rc = check_headers(req, err);
    if (rc)
        return rc;
    rc = mu_http_url_parse(&url, req->url, err);
    mu_http_url_free(&url);
    return rc;
}

/* ---- the copy ---- */

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void mu_http_copy_free(struct mu_http_copy *copy)
{
    if (copy->body)
        explicit_bzero(copy->body, copy->body_len);
    free(copy->body);
    for (size_t i = 0; i < copy->n_headers; i++) {
        free(copy->headers[i].name);
        wipe(copy->headers[i].value);
    }
    free(copy->headers);
    for (size_t i = 0; i < copy->n_secrets; i++)
        wipe(copy->secrets[i]);
    free(copy->secrets);
    free(copy->ca_file);
    *copy = (struct mu_http_copy){0};
}

static void add_base64(struct mu_buf *out, const struct mu_buf *in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < in->len; i += 3) {
        size_t n = in->len - i < 3 ? in->len - i : 3;
        unsigned v = 0;
        for (size_t j = 0; j < 3; j++)
            v = v << 8 | (j < n ? (unsigned char)in->data[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            mu_buf_addc(out, j > n ? '=' : digits[v >> (18 - 6 * j) & 63]);
    }
}

static bool add_secret(struct mu_http_copy *copy, const char *text)
{
    if (!*text)
        return true;
    copy->secrets[copy->n_secrets] = strdup(text);
    return copy->secrets[copy->n_secrets] && ++copy->n_secrets;
}

/* value_take is the copy's from now on, also on failure. */
static bool add_header(struct mu_http_copy *copy, const char *name, char *value_take)
{
    struct mu_http_copied_header *h = &copy->headers[copy->n_headers++];
    *h = (struct mu_http_copied_header){strdup(name), value_take, listed(travelling, name)};
    return h->name && h->value;
}

static bool add_authorization(struct mu_http_copy *copy, const struct mu_http_request *req)
{
    struct mu_buf value = MU_BUF_INIT, pair = MU_BUF_INIT;
    const char *secret = req->token ? req->token : req->password;

    if (!req->token && !req->user)
        return true;
    if (req->token) {
        mu_buf_reserve(&value, strlen(secret) + 7);
        mu_buf_adds(&value, "Bearer ");
        mu_buf_adds(&value, secret);
    } else {
        mu_buf_reserve(&pair, strlen(req->user) + strlen(secret) + 1);
        mu_buf_adds(&pair, req->user);
        mu_buf_addc(&pair, ':');
        mu_buf_adds(&pair, secret);
        mu_buf_reserve(&value, pair.len / 3 * 4 + 10);
        mu_buf_adds(&value, "Basic ");
        add_base64(&value, &pair);
        if (pair.data)
            explicit_bzero(pair.data, pair.len);
    }
    bool ok = !value.failed && !pair.failed && add_secret(copy, secret) &&
              add_secret(copy, mu_buf_cstr(&value) + (req->token ? 7 : 6));
    mu_buf_free(&pair);
    return add_header(copy, "Authorization", mu_buf_take(&value)) && ok;
}

static bool copy_all(struct mu_http_copy *copy, const struct mu_http_request *req)
{
    copy->headers = calloc(req->n_headers + 1, sizeof *copy->headers);
    copy->secrets = calloc(req->n_headers + 2, sizeof *copy->secrets);
    if (!copy->headers || !copy->secrets)
        return false;
    strncpy(copy->method, req->method, sizeof copy->method - 1);
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct mu_http_header *h = &req->headers[i];
        if (!add_header(copy, h->name, strdup(h->value)))
            return false;
        bool secret = h->secret || !strcasecmp(h->name, "authorization") || !strcasecmp(h->name, "cookie");
        if (secret) {
            copy->headers[copy->n_headers - 1].travels = false;
            if (!add_secret(copy, h->value))
                return false;
        }
    }
    if (req->body) {
        copy->body = malloc(req->body_len + 1);
        if (!copy->body)
            return false;
        memcpy(copy->body, req->body, req->body_len);
        copy->body[req->body_len] = '\0';
        copy->body_len = req->body_len;
    }
    if (req->ca_file && !(copy->ca_file = strdup(req->ca_file)))
        return false;
    return add_authorization(copy, req);
}

int mu_http_copy(struct mu_http_copy *copy, const struct mu_http_request *req, struct mu_err *err)
{
    *copy = (struct mu_http_copy){0};
    if (copy_all(copy, req))
        return 0;
    mu_http_copy_free(copy);
    return mu_err_set(err, MU_ENOMEM, "out of memory");
}
