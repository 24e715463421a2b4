#include "http/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/http.h"

#define SHOWN_MAX 200

void mu_http_url_free(struct mu_http_url *url)
{
    free(url->text);
    free(url->host);
    *url = (struct mu_http_url)MU_HTTP_URL_INIT;
}

/* What is refused may be anything: where credentials end in it, nobody knows but by its last @. */
static int refuse(struct mu_err *err, const char *text, const char *why)
{
    struct mu_buf shown = MU_BUF_INIT;
    const char *at = strrchr(text, '@');
    if (at)
        mu_buf_adds(&shown, "…");
    mu_http_show_url(&shown, at ? at + 1 : text);
    mu_err_set(err, MU_EINVAL, "the URL %s: %s", mu_buf_cstr(&shown), why);
    mu_err_cause(err, "URL: %s", why);
    mu_buf_free(&shown);
    return MU_EINVAL;
}

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
    char *text = NULL, *copy;
    if (curl_url_get(u, what, &text, flags) != CURLUE_OK)
        return NULL;
    copy = strdup(text);
    curl_free(text);
    return copy;
}

static bool has_part(CURLU *u, CURLUPart what)
{
    char *text = NULL;
    bool has = curl_url_get(u, what, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

/* A name that we can look up and that libcurl then knows under the same spelling. */
static bool name_is_plain(const char *host)
{
    size_t len = strlen(host);
    return len && len < 254 && host[len - 1] != '.' &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == len;
}

static void unbracket(char *host)
{
    size_t len = strlen(host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        memmove(host, host + 1, len - 2);
        host[len - 2] = '\0';
    }
}

static int take(struct mu_http_url *url, CURLU *u, const char *text, struct mu_err *err)
{
    struct in6_addr address;
    char *scheme = NULL, *port = NULL;
    int rc = 0;

    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
        return mu_err_set(err, MU_EINVAL, "credentials do not belong in the URL: use auth");
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    scheme = part(u, CURLUPART_SCHEME, 0);
    port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    url->host = part(u, CURLUPART_HOST, 0);
    url->text = part(u, CURLUPART_URL, 0);
    if (!scheme || (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)) {
        rc = refuse(err, text, "only http:// and https:// are spoken");
    } else if (!url->host || !url->text || !port) {
        rc = refuse(err, text, "it names no host");
    } else {
        unbracket(url->host);
        url->https = strcasecmp(scheme, "https") == 0;
        url->port = atoi(port);
        url->numeric = inet_pton(AF_INET, url->host, &address) == 1 || inet_pton(AF_INET6, url->host, &address) == 1;
        if (url->port < 1 || url->port > 65535)
            rc = refuse(err, text, "its port is not between 1 and 65535");
        else if (!url->numeric && !name_is_plain(url->host))
            rc = refuse(err, text, "its host is not a name that can be looked up (write it in ASCII, without a final dot)");
    }
    free(scheme);
    free(port);
    return rc;
}

static int read_url(struct mu_http_url *url, const char *base, const char *text, unsigned flags, struct mu_err *err)
{
    CURLU *u = curl_url();
    int rc;

    *url = (struct mu_http_url)MU_HTTP_URL_INIT;
    if (!u)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    CURLUcode code = base ? curl_url_set(u, CURLUPART_URL, base, 0) : CURLUE_OK;
    if (code == CURLUE_OK)
        code = curl_url_set(u, CURLUPART_URL, text, flags);
    if (code == CURLUE_OUT_OF_MEMORY)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (code == CURLUE_UNSUPPORTED_SCHEME || (code == CURLUE_BAD_SCHEME && strstr(text, "://")))
        rc = refuse(err, text, "only http:// and https:// are spoken");
    else if (code == CURLUE_BAD_SCHEME)
        rc = refuse(err, text, "it has to begin with http:// or https://");
    else if (code != CURLUE_OK)
        rc = refuse(err, text, curl_url_strerror(code));
    else
        rc = take(url, u, text, err);
    if (rc)
        mu_http_url_free(url);
    curl_url_cleanup(u);
    return rc;
}

int mu_http_url_parse(struct mu_http_url *url, const char *text, struct mu_err *err)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p <= ' ' || *p > '~') {
            *url = (struct mu_http_url)MU_HTTP_URL_INIT;
            return refuse(err, text, "spaces and other special characters must be written as %XX (muster.http.escape does it)");
        }
    size_t scheme = !strncasecmp(text, "http:", 5) ? 5 : !strncasecmp(text, "https:", 6) ? 6 : 0;
    /* libcurl would also take one slash, or three. */
    if (scheme && (strspn(text + scheme, "/") != 2 || !text[scheme + 2])) {
        *url = (struct mu_http_url)MU_HTTP_URL_INIT;
        return refuse(err, text, "it has to begin with http:// or https:// and a host");
    }
    return read_url(url, NULL, text, 0, err);
}

int mu_http_url_follow(struct mu_http_url *url, const struct mu_http_url *base, const char *location, struct mu_err *err)
{
    return read_url(url, base->text, location, CURLU_URLENCODE, err);
}

bool mu_http_url_same_origin(const struct mu_http_url *a, const struct mu_http_url *b)
{
    return a->https == b->https && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

int mu_http_within(const char *base, const char *url, struct mu_err *err)
{
    struct mu_http_url a = MU_HTTP_URL_INIT, b = MU_HTTP_URL_INIT;
    int rc = mu_http_url_parse(&a, base, err);
    if (!rc)
        rc = mu_http_url_parse(&b, url, err);
    if (!rc && !mu_http_url_same_origin(&a, &b))
        rc = refuse(err, url, "leads away from the client's base_url, whose credentials are not for it: use muster.http.request");
    mu_http_url_free(&a);
    mu_http_url_free(&b);
    return rc;
}

void mu_http_show_url(struct mu_buf *out, const char *text)
{
    size_t len = strcspn(text, "?#");
    /* What looks like credentials is not shown either. */
    const char *slashes = strstr(text, "://"), *host = slashes && slashes < text + len ? slashes + 3 : text;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);
    if (at) {
        mu_buf_add(out, text, (size_t)(host - text));
        mu_buf_adds(out, "…");
        len -= (size_t)(at - text);
        text = at;
    }
    bool cut = len > SHOWN_MAX, query = text[len] == '?';
    mu_buf_add(out, text, cut ? SHOWN_MAX : len);
    mu_buf_adds(out, cut ? "…" : query ? "?…" : "");
}

size_t mu_http_escape(char *out, const char *text, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    char *p = out;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
        if (plain) {
            *p++ = (char)c;
        } else {
            *p++ = '%';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 15];
        }
    }
    return (size_t)(p - out);
}
