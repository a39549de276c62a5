#ifndef COURTIER_WORKER_ROUTE_PASS_ON_H
#define COURTIER_WORKER_ROUTE_PASS_ON_H

/*
 * When a record that came through a ring is settled, and when its room is given back.
 *
 * A message for a shared group may go on to another worker, because this one has no
 * member for it; a message for a session that is kept goes into the journal. Its record
 * is not given back before what it became is in another ring, and visible there: so a
 * successor reads it again as long as the message is only in this process's memory. Nor
 * is it settled before that, and before the journal is on disk: so the publisher is not
 * told that it is safe.
 */

#include "common/base/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct publication;
struct router;

enum { PASS_ON_UNSETTLED_MAX = 16 };

/* Per process whose records we take. */
struct passing {
    uint64_t unshown; /* bit per worker: a record there is not visible yet */
    uint32_t waiting; /* messages that wait for a full ring */
    bool has_old;     /* up to old_end a predecessor may have dealt with them, in part */
    uint32_t old_end;
    uint64_t kept; /* last record of the journal that came of them; 0: none */
    /* Records of its ring up to `position` are given back when those of the journal up to
     * `serial` are in a ring, and settled when they are on disk. When there are too many
     * of these, the last stands for all that follow. */
    unsigned unsettled_count;
    struct pass_on_unsettled {
        uint64_t serial;
        uint32_t position;
    } unsettled[PASS_ON_UNSETTLED_MAX];
};

/* Passes it on to the group's members on `worker`. One that came through a ring and
 * has to wait asks for a pause of its publisher, which nothing here would slow down. */
void pass_on_message(struct router *router, struct publication *publication, unsigned worker,
                     const struct hash128 *id);
/* A queue was too full for the message that was taken last, from the ring of `peer`, where
 * its publisher is: tells it, before the record is settled. */
void pass_on_overflow(struct router *router, unsigned peer);
/* All that was taken from the ring of `peer` is dealt with: settles and releases it,
 * unless something that it became waits. `serial` is the journal's before. */
void pass_on_settle(struct router *router, unsigned peer, uint64_t serial);
/* Once per turn, when the inbox was looked at: settles what the journal has. */
void pass_on_step(struct router *router);
/* At the end of a turn, when all is published: gives back what the journal took. */
void pass_on_release(struct router *router);
/* The worker begins: settles what a predecessor gave back, which is on disk. */
void pass_on_start(struct router *router);
/* May what was just taken be a message that a predecessor took, too? */
bool pass_on_is_old(struct router *router, unsigned peer);

#endif
