#ifndef COURTIER_WORKER_PROTOCOL_ON_PUBLISH_H
#define COURTIER_WORKER_PROTOCOL_ON_PUBLISH_H

#include "worker/protocol/protocol.h"

/* PUBLISH from a client: checks it, routes it, acknowledges it. */
void on_publish(struct conn *conn, const struct frame_header *header, struct bytes body);
/* The connection becomes a publisher, if it is none. False without memory. */
bool on_publish_register(struct conn *conn);
/* Answers what the client sent before. A message that the disk had no room for is
 * refused; a 3.x client can't be told, and is disconnected. */
void on_publish_answer(struct conn *conn, const struct publisher_ack *ack);

#endif
