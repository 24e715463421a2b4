#include "targets.h"

#include <stdio.h>
#include <string.h>

#include "parse.h"

static int copy(char *to, size_t size, const char *from, size_t len)
{
    if (len >= size)
        return -1;
    memcpy(to, from, len);
    to[len] = '\0';
    return 0;
}

static int bad(char *why, size_t size, const char *text)
{
    snprintf(why, size, "%s", text);
    return -1;
}

int target_spec_parse(const char *text, struct target_spec *out, char *why, size_t why_size)
{
    const char *at = strrchr(text, '@'), *host = at ? at + 1 : text, *port = NULL;
    size_t host_len;

    *out = (struct target_spec){.port = 0};
    if (at && (at == text || copy(out->user, sizeof out->user, text, (size_t)(at - text)) < 0))
        return bad(why, why_size, at == text ? "no user before the @" : "the user's name is too long");
    if (host[0] == '[') {
        const char *close = strchr(host, ']');
        if (!close || (close[1] != '\0' && close[1] != ':'))
            return bad(why, why_size, "write an IPv6 address as [address] or [address]:port");
        port = close[1] == ':' ? close + 2 : NULL;
        host++;
        host_len = (size_t)(close - host);
    } else {
        const char *colon = strchr(host, ':');
        if (colon && strchr(colon + 1, ':'))
            colon = NULL; /* two or more: an IPv6 address without a port */
        port = colon ? colon + 1 : NULL;
        host_len = colon ? (size_t)(colon - host) : strlen(host);
    }
    if (host_len == 0)
        return bad(why, why_size, "no host in it");
    if (copy(out->host, sizeof out->host, host, host_len) < 0)
        return bad(why, why_size, "the host's name is too long");
    if (port && cli_parse_uint(port, 1, 65535, &out->port) < 0)
        return bad(why, why_size, "a port is a number from 1 to 65535");

    const char *zero = out->host[0] == ':' ? "0" : ""; /* ::1 is 0::1, and an id does not start with '-' */
    if (port)
        snprintf(out->id, sizeof out->id, "%s%s-%u", zero, out->host, out->port);
    else
        snprintf(out->id, sizeof out->id, "%s%s", zero, out->host);
    for (char *p = out->id; *p; p++)
        if (*p == ':')
            *p = '-';
    return 0;
}
