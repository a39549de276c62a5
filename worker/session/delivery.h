#ifndef COURTIER_WORKER_SESSION_DELIVERY_H
#define COURTIER_WORKER_SESSION_DELIVERY_H

/*
 * One message on its way to one session: waiting in the session's queue, or in
 * flight until it is acknowledged.
 */

#include "common/base/list.h"
#include "common/mqtt/version.h"
#include "worker/session/message.h"
#include "worker/session/share.h"

#include <stdbool.h>
#include <stdint.h>

enum delivery_state {
    DELIVERY_QUEUED,
    DELIVERY_WAITS_PUBACK,
    DELIVERY_WAITS_PUBREC,
    DELIVERY_WAITS_PUBCOMP
};

/* Subscription Identifiers of one delivery, borrowed: none or one, but for a copy that
 * stands for several subscriptions. */
struct subscription_ids {
    const uint32_t *list;
    uint32_t count;
};

struct delivery {
    struct list_node node;
    struct message *message; /* NULL once PUBREC came: only the id is left */
    struct share *share;     /* the shared group that it came through; NULL: none */
    uint64_t seq;            /* its place in the journal; 0: not in it */
    uint64_t serial;         /* of its latest record there that it may have to wait for, */
    uint64_t placed;         /* and of its entry; 0: that came from there */
    uint16_t packet_id;      /* 0 while queued */
    uint8_t state;           /* enum delivery_state */
    uint8_t qos : 2;         /* granted for this delivery */
    uint8_t retain : 1;      /* as it goes out */
    uint8_t sent : 1;        /* went out before: DUP next time */
    uint8_t must_resend : 1; /* in flight on an old connection, not yet on this one */
    uint8_t is_delayed : 1;  /* the journal puts its entry, `serial`, later */
    uint8_t must_wait : 1;   /* in flight, but its packet goes out when the journal has it */
    uint32_t subscription_id_count;
    uint32_t subscription_ids[];
};

/* Takes a reference of `message` (NULL: only the id is left) and copies `ids` (NULL: none). Without
 * a share, which the caller may set (a reference, too). NULL without memory. */
struct delivery *delivery_new(struct message *message, enum qos qos, bool retain,
                              const struct subscription_ids *ids);
/* Unlinks and frees. */
void delivery_free(struct delivery *delivery);

#endif
