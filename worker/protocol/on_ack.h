#ifndef COURTIER_WORKER_PROTOCOL_ON_ACK_H
#define COURTIER_WORKER_PROTOCOL_ON_ACK_H

#include "worker/protocol/protocol.h"

/* PUBACK, PUBREC, PUBREL and PUBCOMP from a client. */
void on_ack(struct conn *conn, const struct frame_header *header, struct bytes body);

#endif
