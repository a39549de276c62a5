#ifndef COURTIER_WORKER_PROTOCOL_UNSURE_H
#define COURTIER_WORKER_PROTOCOL_UNSURE_H

/*
 * QoS 2 messages from clients that were known here when everything ended, but perhaps
 * not yet on disk with every worker that they went to. When the client repeats such a
 * message, it is routed again, under the id that it had, so that who has it is not given
 * it twice.
 */

#include "worker/session/session.h"

#include <stdint.h>

struct unsure_message {
    uint64_t session; /* number */
    uint64_t message_id;
    uint16_t packet_id;
};

struct unsure {
    struct unsure_message *list;
    unsigned count;
    unsigned room;
};

void unsure_done(struct unsure *unsure);
/* False without memory. */
bool unsure_add(struct unsure *unsure, const struct session *session, uint16_t packet_id,
                uint64_t message_id);
/* The message id, which is forgotten; 0: there is none. */
uint64_t unsure_take(struct unsure *unsure, const struct session *session, uint16_t packet_id);

#endif
