#ifndef COURTIER_WORKER_ROUTE_MERGE_H
#define COURTIER_WORKER_ROUTE_MERGE_H

/*
 * Overlapping subscriptions as one (allow_duplicate_messages false): a session gets
 * a message once, however many of its filters match, at the highest QoS that they
 * grant and with all their identifiers [MQTT-3.3.4-2] [MQTT-3.3.4-4]. Of the filters
 * those count that No Local does not exclude; RETAIN is kept if one of them wants it
 * as published. Shared subscriptions take no part: they have copies of their own.
 */

#include "worker/route/filters.h"
#include "worker/route/publication.h"
#include "worker/route/router.h"

/* Delivers to all plain subscribers of these filters, which match the topic; to
 * each session once. False without memory, and nothing is delivered. */
bool merge_deliver(struct router *router, struct publication *publication,
                   struct filter *const *filters, unsigned count);

#endif
