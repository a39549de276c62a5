#ifndef COURTIER_WORKER_PROTOCOL_ON_DISCONNECT_H
#define COURTIER_WORKER_PROTOCOL_ON_DISCONNECT_H

/* The packets that are about the connection itself. */

#include "worker/protocol/protocol.h"

void on_disconnect(struct conn *conn, const struct frame_header *header, struct bytes body);
/* A message of the client was acknowledged: one that waits for this to leave may go. */
void on_disconnect_settled(struct conn *conn);
void on_pingreq(struct conn *conn, const struct frame_header *header, struct bytes body);

#endif
