#include <stdlib.h>
#include <string.h>

#include "nats/internal.h"

struct mu_nats_job {
    struct mu_nats_link *link;
    natsMsg *msg;
    uint64_t delivery, seq;
};

int mu_nats_job_new(struct mu_nats_job **out, struct mu_nats_link *l, natsMsg *msg_take)
{
    struct mu_nats_job *j = calloc(1, sizeof *j);
    jsMsgMetaData *meta = NULL;

    *out = NULL;
    /* Without them it is no message of a consumer. */
    if (!j || natsMsg_GetMetaData(&meta, msg_take) != NATS_OK) {
        natsMsg_Destroy(msg_take);
        free(j);
        return MU_ENOMEM;
    }
    j->link = mu_nats_link_ref(l);
    j->msg = msg_take;
    j->delivery = meta->NumDelivered;
    j->seq = meta->Sequence.Stream;
    jsMsgMetaData_Destroy(meta);
    *out = j;
    return 0;
}

/* As natsMsg_Ack() and its like do it, but by the thread that sends. */
static void tell(struct mu_nats_job *j, const char *what)
{
    natsMsg *msg = NULL;

    if (natsMsg_Create(&msg, natsMsg_GetReply(j->msg), NULL, what, (int)strlen(what)) == NATS_OK)
        mu_nats_link_send(j->link, msg, 0, 0, 0);
}

const char *mu_nats_job_subject(const struct mu_nats_job *j) { return natsMsg_GetSubject(j->msg); }

const void *mu_nats_job_bytes(const struct mu_nats_job *j, size_t *len)
{
    int n = natsMsg_GetDataLength(j->msg);

    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? natsMsg_GetData(j->msg) : "";
}

uint64_t mu_nats_job_delivery(const struct mu_nats_job *j) { return j->delivery; }
uint64_t mu_nats_job_seq(const struct mu_nats_job *j) { return j->seq; }

void mu_nats_job_working(struct mu_nats_job *j)
{
    bool connected;

    /* Not kept for later: it comes again, and there may be no connection for long. */
    pthread_mutex_lock(&j->link->lock);
    connected = j->link->wire && !j->link->lost;
    pthread_mutex_unlock(&j->link->lock);
    if (connected)
        tell(j, "+WPI");
}

void mu_nats_job_ack_free(struct mu_nats_job *j)
{
    tell(j, "+ACK");
    mu_nats_job_free(j);
}

void mu_nats_job_give_back_free(struct mu_nats_job *j)
{
    tell(j, "-NAK");
    mu_nats_job_free(j);
}

void mu_nats_job_free(struct mu_nats_job *j)
{
    if (!j)
        return;
    natsMsg_Destroy(j->msg);
    mu_nats_link_unref(j->link);
    free(j);
}
