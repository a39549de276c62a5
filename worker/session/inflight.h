#ifndef COURTIER_WORKER_SESSION_INFLIGHT_H
#define COURTIER_WORKER_SESSION_INFLIGHT_H

/*
 * Deliveries in flight to one client, by packet identifier. Identifiers rise and
 * wrap past 65535; the table is a power of two at least twice the count, indexed
 * by the identifier's low bits, so that a free one is found in a step or two and
 * an acknowledgement finds its delivery at once. The list keeps the order of
 * sending, which a resend must repeat [MQTT-4.6.0-1].
 */

#include "worker/session/delivery.h"

#include <stdint.h>

struct inflight {
    struct delivery **slots; /* NULL until first used */
    uint32_t capacity;       /* 0 or a power of two */
    uint16_t count;
    uint16_t next_id;
    struct list_node order; /* of struct delivery */
};

void inflight_init(struct inflight *inflight);
/* Frees the deliveries too. */
void inflight_done(struct inflight *inflight);
/* Gives a queued delivery a packet id that is not in use [MQTT-2.2.1-3] and takes
 * it. False without memory, or when all 65535 are in use. */
bool inflight_take(struct inflight *inflight, struct delivery *delivery);
/* Takes a delivery that had its packet id before.
 * False without memory, or when the id is in use. */
bool inflight_put(struct inflight *inflight, struct delivery *delivery, uint16_t packet_id);
/* The delivery with this id, or NULL. */
struct delivery *inflight_find(const struct inflight *inflight, uint16_t packet_id);
/* Takes the delivery out, and frees its id. */
void inflight_remove(struct inflight *inflight, struct delivery *delivery);
/* The same, and frees the delivery. */
void inflight_drop(struct inflight *inflight, struct delivery *delivery);

#endif
