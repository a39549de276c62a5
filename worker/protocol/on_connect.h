#ifndef COURTIER_WORKER_PROTOCOL_ON_CONNECT_H
#define COURTIER_WORKER_PROTOCOL_ON_CONNECT_H

#include "worker/protocol/protocol.h"

/* First half of CONNECT, on whichever worker the connection came to: checks it,
 * and either attaches it to its session (worker/protocol/attach.h) or passes it
 * to the session's home, where this function runs again. The conn may be gone
 * after. */
void on_connect(struct conn *conn, const struct frame_header *header, struct bytes body);

#endif
