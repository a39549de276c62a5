#ifndef COURTIER_MASTER_STORE_STORE_PEER_H
#define COURTIER_MASTER_STORE_STORE_PEER_H

/*
 * What the store knows of one worker: messages on their way in, answers on their
 * way out. Answers are never dropped. A confirmation is one number, so any count
 * of them waits for room in no memory; refusals are queued, and a worker with many
 * of them, or with wills to take over, is not read until it has taken some.
 */

#include "master/store/store_op.h"
#include "master/store/store_will.h"
#include "shm/live/live.h"
#include "shm/mesh.h"
#include "shm/record.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    STORE_BATCH_MAX = 256,                        /* records per commit */
    STORE_PEER_REFUSALS_MAX = 2 * STORE_BATCH_MAX /* room for a batch at half */
};

struct store_peer {
    unsigned worker;
    struct record_assembly assembly;
    struct store_will handing;
    /* Serials; the first four follow each other. */
    uint64_t applied;    /* its record is committed, or refused */
    uint64_t awaiting;   /* ... and that was before the running pass began */
    uint64_t due;        /* ... and the pass is complete: to be confirmed */
    uint64_t confirmed;  /* told */
    uint64_t kept;       /* its number is committed with the data: a successor knows it */
    bool is_reset;       /* its RESET was taken, and its ring not yet released */
    uint32_t unreleased; /* bytes taken from its ring, not given back */
    unsigned refusal_count;
    uint64_t refusals[STORE_PEER_REFUSALS_MAX]; /* serials */
};

/* `kept` is the number that a predecessor of this store left, or 0: it may not
 * have confirmed it. */
void store_peer_init(struct store_peer *peer, unsigned worker, uint64_t kept);
void store_peer_done(struct store_peer *peer);

/* The worker started anew: a message half sent is void, and its predecessor's
 * wills go to it. (Its serials are above all of the predecessor's.) */
void store_peer_reset(struct store_peer *peer);
/* Its record can't be done. */
void store_peer_refuse(struct store_peer *peer, uint64_t serial);
/* May what was taken from its ring be given back? Not a RESET whose wills are on
 * their way; not a record whose refusal is not published; not the first parts of a
 * message, while they leave half of a ring of `ring_size`: when this process dies
 * then, its successor must read them again. */
bool store_peer_may_release(const struct store_peer *peer, uint32_t ring_size);
/* Must it take answers before more of its records are read? */
bool store_peer_is_stalled(const struct store_peer *peer);
/* Has it to be told something that its ring had no room for? */
bool store_peer_is_waiting(const struct store_peer *peer);
/* Puts what there is to tell, as far as there is room. 0 or -errno of the live
 * store (the wills). */
int store_peer_answer(struct store_peer *peer, struct live *live, struct mesh *mesh);

#endif
