#ifndef COURTIER_WORKER_ROUTE_AWAIT_H
#define COURTIER_WORKER_ROUTE_AWAIT_H

/*
 * Packets of QoS 2 that must not go out before the journal has what they tell: the
 * PUBLISH to a session that is kept, and its PUBREL. A crash would otherwise make the
 * broker forget that the client knows the packet id, and the client get the message
 * twice. What comes behind such a PUBLISH at QoS 1 waits with it: messages keep their
 * order.
 */

#include "worker/session/session.h"

#include <stdint.h>

struct router;

/* Sessions with deliveries that wait (delivery->must_wait). */
struct await {
    struct session **sessions;
    unsigned count;
    unsigned room;
    uint64_t seen; /* journal.confirmed when they were last looked at */
};

void await_done(struct await *await);
/* The packet of this delivery, which is in flight, waits: true; false: it may go out. */
bool await_delivery(struct router *router, struct session *session, struct delivery *delivery);
/* The connection ends. */
void await_forget(struct router *router, struct session *session);
/* Once per turn: sends what the journal has now. */
void await_step(struct router *router);

#endif
