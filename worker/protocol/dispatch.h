#ifndef COURTIER_WORKER_PROTOCOL_DISPATCH_H
#define COURTIER_WORKER_PROTOCOL_DISPATCH_H

/* Packet type -> handler, and the rules of sequence. For struct conn_events. */

#include "worker/protocol/protocol.h"

void dispatch_packet(struct conn *conn, const struct frame_header *header, struct bytes body);
/* The client took output: what waits for it may go on. */
void dispatch_drained(struct conn *conn);
/* The connection is over. */
void dispatch_end(struct conn *conn, enum mqtt_reason reason);

#endif
