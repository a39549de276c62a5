#ifndef COURTIER_MASTER_STORE_STORE_WILL_H
#define COURTIER_MASTER_STORE_STORE_WILL_H

/*
 * Wills in the live data, and the way of a dead worker's wills to its successor.
 * The successor gets them all after its RESET and before the store reads its next
 * record, so that none of its own clients' wills is among them; they stay in the
 * store until it clears them. Should it die too, its successor gets them again.
 */

#include "common/base/bytes.h"
#include "shm/live/live.h"
#include "shm/mesh.h"
#include "shm/record.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes that a will needs in the store. */
size_t store_will_size(const struct record_message *will);
/* Writes a will into memory of store_will_size() bytes. */
void store_will_encode(const struct record_message *will, uint8_t *memory);
/* The will of a blob, borrowed from it. False for one that does not hold together. */
bool store_will_decode(struct bytes blob, struct record_message *ret_will);

/* One worker's handing over; all zero: none. */
struct store_will {
    bool active;
    struct hash128 next; /* key of the first will that was not begun */
    uint8_t *copy;       /* blob of the one being sent: it may take several turns */
    size_t copy_size;
    struct record_sender sender;
};

void store_will_start(struct store_will *handing);
/* Sends as many as the ring takes. 0 when all are sent (no longer active);
 * -EAGAIN when the ring is full; another -errno of the live store. Opens a
 * transaction of its own. Publishes nothing. */
int store_will_continue(struct store_will *handing, struct live *live, struct mesh *mesh,
                        unsigned worker);
void store_will_done(struct store_will *handing);

#endif
