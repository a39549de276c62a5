#ifndef COURTIER_WORKER_ROUTE_SETTLE_H
#define COURTIER_WORKER_ROUTE_SETTLE_H

/*
 * Acknowledgements that wait until every other worker that got the message has
 * settled it: taken it from its ring and delivered or queued it. So a publisher
 * has no more than its window under way, however full the rings are, and push-back
 * comes in time. What is compared are positions in the rings; no message goes back.
 *
 * First in, first out over all publishers, which keeps the order of each
 * [MQTT-4.6.0-2]; since no consumer of a ring ever waits, none holds up the rest.
 */

#include "shm/mesh.h"
#include "worker/route/publisher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settle {
    struct mesh *mesh;
    struct publishers *publishers;
    uint64_t *words; /* circular; see settle.c for an entry's form */
    size_t capacity; /* words, 0 or a power of two */
    size_t first;    /* both run freely */
    size_t end;
};

void settle_init(struct settle *settle, struct mesh *mesh, struct publishers *publishers);
void settle_done(struct settle *settle);
/* Sends the acknowledgement now, or when all of `workers` (a bit each) have
 * settled what is committed to them so far. */
void settle_acknowledge(struct settle *settle, struct publisher *publisher,
                        const struct publisher_ack *ack, uint64_t workers);
/* Once per turn, before output is sent: sends what has been settled. */
void settle_release(struct settle *settle);
/* Before sleeping: asks for the bell at the next progress. False when there has
 * been some meanwhile: do not sleep. */
bool settle_may_sleep(struct settle *settle);

#endif
