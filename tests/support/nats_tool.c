/* nats_tool: look into the streams of a nats-server, and tamper with them: what specs use beside muster.
 *
 *   nats_tool URL[,USER,PASSWORD] COMMAND
 *     list STREAM FILTER      subjects that have messages, a line each: SUBJECT COUNT
 *     get STREAM SUBJECT      the last message of the subject, to standard output
 *     put SUBJECT             a message, from standard input, into whichever stream takes it; prints its sequence
 *     say SUBJECT             the same to whoever listens now
 *     delete STREAM FILTER    all messages whose subject fits
 *     consumers STREAM        a line each: NAME FILTER WAITING PENDING-ACKNOWLEDGEMENTS ACK-WAIT-MS MAX-DELIVER MAX-ACK-PENDING
 *     stream STREAM           one line: MESSAGES BYTES STORAGE(file, memory) RETENTION(limits, interest, work)
 *
 * Exit status 1: what went wrong is on standard error; it includes a permission that is missing.
 */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char complaint[256];

/* What the server forbids is told beside the connection, not to whoever asked. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure)
{
    const char *last = NULL;

    (void)sub;
    (void)closure;
    if (status == NATS_NOT_PERMITTED && natsConnection_GetLastError(nc, &last) != NATS_OK && last)
        fprintf(stderr, "nats_tool: %s\n", last);
}

static char *read_all(size_t *len)
{
    size_t room = 4096;
    char *text = malloc(room);

    *len = 0;
    while (text) {
        size_t n = fread(text + *len, 1, room - *len, stdin);

        if (n == 0)
            return text;
        *len += n;
        if (*len == room)
            text = realloc(text, room *= 2);
    }
    return NULL;
}

static natsStatus list(jsCtx *js, const char *stream, const char *filter)
{
    jsStreamInfo *info = NULL;
    jsOptions o;
    natsStatus s;

    jsOptions_Init(&o);
    o.Stream.Info.SubjectsFilter = filter;
    s = js_GetStreamInfo(&info, js, stream, &o, NULL);
    if (s == NATS_OK && info->State.Subjects)
        for (int i = 0; i < info->State.Subjects->Count; i++)
            printf("%s %llu\n", info->State.Subjects->List[i].Subject, (unsigned long long)info->State.Subjects->List[i].Msgs);
    jsStreamInfo_Destroy(info);
    return s;
}

static natsStatus get(jsCtx *js, const char *stream, const char *subject)
{
    natsMsg *m = NULL;
    natsStatus s = js_GetLastMsg(&m, js, stream, subject, NULL, NULL);

    if (s == NATS_OK)
        fwrite(natsMsg_GetData(m), 1, (size_t)natsMsg_GetDataLength(m), stdout);
    natsMsg_Destroy(m);
    return s;
}

static natsStatus put(jsCtx *js, const char *subject)
{
    jsPubAck *ack = NULL;
    size_t len;
    char *bytes = read_all(&len);
    natsStatus s = bytes ? js_Publish(&ack, js, subject, bytes, (int)len, NULL, NULL) : NATS_NO_MEMORY;

    if (s == NATS_OK)
        printf("%llu\n", (unsigned long long)ack->Sequence);
    jsPubAck_Destroy(ack);
    free(bytes);
    return s;
}

static natsStatus say(natsConnection *nc, const char *subject)
{
    size_t len;
    char *bytes = read_all(&len);
    natsStatus s = bytes ? natsConnection_Publish(nc, subject, bytes, (int)len) : NATS_NO_MEMORY;

    free(bytes);
    return s == NATS_OK ? natsConnection_FlushTimeout(nc, 5000) : s;
}

static natsStatus delete (jsCtx *js, const char *stream, const char *filter)
{
    jsOptions o;

    jsOptions_Init(&o);
    o.Stream.Purge.Subject = filter;
    return js_PurgeStream(js, stream, &o, NULL);
}

static natsStatus consumers(jsCtx *js, const char *stream)
{
    jsConsumerInfoList *all = NULL;
    natsStatus s = js_Consumers(&all, js, stream, NULL, NULL);

    for (int i = 0; s == NATS_OK && i < all->Count; i++) {
        const jsConsumerInfo *c = all->List[i];

        printf("%s %s %llu %lld %lld %lld %lld\n", c->Name, c->Config->FilterSubject ? c->Config->FilterSubject : "-",
               (unsigned long long)c->NumPending, (long long)c->NumAckPending, (long long)(c->Config->AckWait / 1000000),
               (long long)c->Config->MaxDeliver, (long long)c->Config->MaxAckPending);
    }
    jsConsumerInfoList_Destroy(all);
    return s;
}

static natsStatus stream_info(jsCtx *js, const char *stream)
{
    static const char *const retentions[] = {"limits", "interest", "work"};
    jsStreamInfo *info = NULL;
    natsStatus s = js_GetStreamInfo(&info, js, stream, NULL, NULL);

    if (s == NATS_OK)
        printf("%llu %llu %s %s\n", (unsigned long long)info->State.Msgs, (unsigned long long)info->State.Bytes,
               info->Config->Storage == js_FileStorage ? "file" : "memory", retentions[info->Config->Retention]);
    jsStreamInfo_Destroy(info);
    return s;
}

static natsStatus serve(natsConnection *nc, int argc, char **argv)
{
    const char *command = argv[2];
    jsCtx *js = NULL;
    natsStatus s = natsConnection_JetStream(&js, nc, NULL);

    if (s != NATS_OK)
        return s;
    if (argc == 5 && !strcmp(command, "list"))
        s = list(js, argv[3], argv[4]);
    else if (argc == 5 && !strcmp(command, "get"))
        s = get(js, argv[3], argv[4]);
    else if (argc == 4 && !strcmp(command, "put"))
        s = put(js, argv[3]);
    else if (argc == 4 && !strcmp(command, "say"))
        s = say(nc, argv[3]);
    else if (argc == 5 && !strcmp(command, "delete"))
        s = delete (js, argv[3], argv[4]);
    else if (argc == 4 && !strcmp(command, "consumers"))
        s = consumers(js, argv[3]);
    else if (argc == 4 && !strcmp(command, "stream"))
        s = stream_info(js, argv[3]);
    else
        s = NATS_INVALID_ARG;
    if (s != NATS_OK)
        snprintf(complaint, sizeof complaint, "%s", natsStatus_GetText(s));
    jsCtx_Destroy(js);
    return s;
}

int main(int argc, char **argv)
{
    natsOptions *options = NULL;
    natsConnection *nc = NULL;
    natsStatus s = argc > 2 ? NATS_OK : NATS_INVALID_ARG;
    const char *url = s == NATS_OK ? strtok(argv[1], ",") : NULL;
    const char *user = url ? strtok(NULL, ",") : NULL, *password = user ? strtok(NULL, ",") : NULL;

    if (s == NATS_OK)
        s = natsOptions_Create(&options);
    if (s == NATS_OK)
        s = natsOptions_SetURL(options, url);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(options, on_error, NULL);
    if (s == NATS_OK && user)
        s = natsOptions_SetUserInfo(options, user, password);
    if (s == NATS_OK)
        s = natsConnection_Connect(&nc, options);
    if (s == NATS_OK)
        s = serve(nc, argc, argv);
    if (s != NATS_OK)
        fprintf(stderr, "nats_tool: %s: %s\n", argc > 2 ? argv[2] : "usage", *complaint ? complaint : natsStatus_GetText(s));
    natsConnection_Destroy(nc);
    natsOptions_Destroy(options);
    nats_Close();
    return s == NATS_OK ? 0 : 1;
}
