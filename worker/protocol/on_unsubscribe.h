#ifndef COURTIER_WORKER_PROTOCOL_ON_UNSUBSCRIBE_H
#define COURTIER_WORKER_PROTOCOL_ON_UNSUBSCRIBE_H

/* UNSUBSCRIBE. The UNSUBACK of a kept session waits for the disk. */

#include "worker/protocol/protocol.h"

void on_unsubscribe(struct conn *conn, const struct frame_header *header, struct bytes body);

#endif
