#ifndef COURTIER_WORKER_ROUTE_ROUTE_H
#define COURTIER_WORKER_ROUTE_ROUTE_H

/*
 * Who gets a message, and how it gets there: subscribers of this worker at once,
 * every other worker that wants it through its ring, once each.
 *
 * Keeps the publisher's part of the three orders (DESIGN, way of a PUBLISH): a
 * retained record is in the store's ring, visible, before generations are read
 * and routes looked up.
 */

#include "worker/route/publication.h"
#include "worker/route/router.h"

#include <stdbool.h>

/* Where a publication went. */
struct route_result {
    bool is_matched;  /* somebody subscribes, as far as is known now */
    uint64_t workers; /* other workers that it was handed to, a bit each */
    uint64_t takers;  /* those of them that are to keep nothing of it */
    bool is_refused;  /* a queue here was too full */
    uint64_t kept;    /* first record of the journal that came of it; 0: none */
    uint64_t message_id;
};

/* Is somebody to get a message on this topic who is not here for ever, so that it has
 * to be on disk? */
bool route_is_kept(struct router *router, struct bytes topic);

/* Routes a publication that entered the broker here. What can't be handed over
 * at once (a full ring) is kept, and its publisher paused. */
struct route_result route_publish(struct router *router, struct publication *publication);

/* Delivers a message that came from another worker: to plain subscribers of this
 * one when `plain`, and to a member of each shared group in `groups` (struct
 * hash128 each). */
void route_arrival(struct router *router, struct publication *publication, bool plain,
                   struct bytes groups);

#endif
