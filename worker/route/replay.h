#ifndef COURTIER_WORKER_ROUTE_REPLAY_H
#define COURTIER_WORKER_ROUTE_REPLAY_H

/*
 * Retained messages for a new subscription: a walk that goes on turn by turn, in
 * bounded steps, and waits while the client is congested, so that a `#` over a
 * large store costs no memory and no latency. A topic whose newer message came
 * live meanwhile is left out, so that the older one does not follow it.
 */

#include "worker/route/router.h"
#include "worker/session/session.h"

#include <stdbool.h>

/* Begins the replay for a plain subscription; its first message comes after the
 * SUBACK, if one is pending. To be called before the store is told, so that no live
 * message goes unseen. It keeps what it needs of the subscription, which may change
 * or go (replay_stop() then). */
void replay_start(struct router *router, const struct subscription *subscription,
                  struct bytes filter);
/* Stops the session's replays for this filter, or all of them (filter.size 0). */
void replay_stop(struct session *session, struct bytes filter);
/* A retained message of this topic is delivered live to the session. */
void replay_saw(struct session *session, struct bytes topic);
/* Once per turn: goes on with all replays. True when there is more to do at
 * once; those that wait for their clients do not count. */
bool replay_step(struct router *router);

#endif
