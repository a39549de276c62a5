#ifndef COURTIER_WORKER_PROTOCOL_ON_SUBSCRIBE_H
#define COURTIER_WORKER_PROTOCOL_ON_SUBSCRIBE_H

/*
 * SUBSCRIBE. A SUBACK goes out only when every worker routes by the new subscription:
 * the store confirms that (third of the three orders). That of a kept session waits
 * for the disk as well. Until then the client's later packets wait, so it has one
 * SUBSCRIBE at most under way.
 */

#include "worker/protocol/protocol.h"

void on_subscribe(struct conn *conn, const struct frame_header *header, struct bytes body);

/* The store confirmed all serials up to this one: answers who waited for them. */
void subscribe_confirmed(struct protocol *protocol, uint64_t serial);
/* The store could not take this one (it is full): so is answered who waits. */
void subscribe_refused(struct protocol *protocol, uint64_t serial, enum mqtt_reason reason);

#endif
