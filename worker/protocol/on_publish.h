#ifndef COURTIER_WORKER_PROTOCOL_ON_PUBLISH_H
#define COURTIER_WORKER_PROTOCOL_ON_PUBLISH_H

#include "worker/protocol/protocol.h"

/* PUBLISH from a client: checks it, routes it, acknowledges it. */
void on_publish(struct conn *conn, const struct frame_header *header, struct bytes body);

#endif
