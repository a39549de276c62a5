#ifndef COURTIER_WORKER_ROUTE_HOLD_H
#define COURTIER_WORKER_ROUTE_HOLD_H

/*
 * Push-back from subscribers to publishers. A session whose output or queue is
 * filling asks the publishers that feed it to pause, and lets them go on when it
 * has drained: so a burst is slowed down instead of dropped. A session that takes
 * nothing at all for HOLD_STALL_MS, or stays congested for HOLD_GRACE_MS, is slow:
 * it loses that privilege, its publishers go on at once, and what does not fit is
 * dropped for it alone. It gets the privilege back when it has drained, and not
 * before HOLD_PENALTY_MS.
 */

#include "worker/route/router.h"
#include "worker/session/session.h"

enum {
    HOLD_STALL_MS = PUBLISHER_HOLD_MAX_MS, /* a paused publisher's next message finds out */
    HOLD_GRACE_MS = 2000,
    HOLD_PENALTY_MS = 10000,
    HOLD_PUBLISHERS_MAX = 4096 /* that one session can hold at a time */
};

/* Is so much waiting for this session that its publishers should pause? */
bool hold_is_congested(const struct router *router, const struct session *session);
/* A message of this publisher went to a congested session: pause it. `origin` is
 * the worker that it is connected to. */
void hold_publisher(struct router *router, struct session *session, unsigned origin,
                    uint32_t publisher);
/* A message of this publisher waits for a ring, unseen by the worker that it is
 * connected to: pauses it for PUBLISHER_HOLD_MAX_MS, once more with each message. */
void hold_briefly(struct router *router, unsigned origin, uint32_t publisher);
/* The session may have drained: if so, lets the publishers go on. */
void hold_update(struct router *router, struct session *session);
/* Once per turn: lets those go on whom a full ring kept from being told. */
void hold_retry(struct router *router);
/* Lets all go on; before the session loses its connection or ends. */
void hold_release(struct router *router, struct session *session);

#endif
