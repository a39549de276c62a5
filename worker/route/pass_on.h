#ifndef COURTIER_WORKER_ROUTE_PASS_ON_H
#define COURTIER_WORKER_ROUTE_PASS_ON_H

/*
 * A message for a shared group goes on to another worker, because this one has no
 * member for it. When it came through a ring, its record there is neither settled
 * nor given back before the one that it goes on in is visible: so the publisher is
 * not told that it is safe, and a successor reads it again, as long as the message
 * is only in this process's memory.
 */

#include "common/base/hash.h"

#include <stdint.h>

struct publication;
struct router;

/* Per process whose records we take. */
struct passing {
    uint64_t unshown; /* bit per worker: a record there is not visible yet */
    uint32_t waiting; /* messages that wait for a full ring */
};

/* Passes it on to the group's members on `worker`. One that came through a ring and
 * has to wait asks for a pause of its publisher, which nothing here would slow down. */
void pass_on_message(struct router *router, struct publication *publication, unsigned worker,
                     const struct hash128 *id);
/* All that was taken from the ring of `peer` is dealt with: settles and releases it,
 * unless something that was passed on waits. */
void pass_on_settle(struct router *router, unsigned peer);

#endif
