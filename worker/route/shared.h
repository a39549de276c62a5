#ifndef COURTIER_WORKER_ROUTE_SHARED_H
#define COURTIER_WORKER_ROUTE_SHARED_H

/*
 * A message to one member of a shared group. The publisher's worker has picked
 * ours, by weight; we pick the member. When ours can't take it at once (all left,
 * busy, offline, or the message too large for them), it goes on to a worker that
 * may, a bounded number of times; where that ends, the best one there takes it.
 */

#include "worker/route/publication.h"
#include "worker/route/router.h"

/* Delivers it here, passes it on, or drops it (counted) when nobody is left. The
 * bit of the worker that it was passed on to, or 0. */
uint64_t shared_deliver(struct router *router, struct publication *publication,
                        const struct hash128 *id);

#endif
