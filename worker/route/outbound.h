#ifndef COURTIER_WORKER_ROUTE_OUTBOUND_H
#define COURTIER_WORKER_ROUTE_OUTBOUND_H

/*
 * The way out to other processes. A record goes straight into the peer's ring;
 * when that is full, it waits here, and everything for that peer behind it, so
 * that order holds. What waits is bounded because a publisher whose message
 * waits is paused (worker/route/publisher.h), and so is a client whose
 * SUBSCRIBE waits for the store.
 */

#include "common/base/list.h"
#include "shm/mesh.h"
#include "shm/record.h"
#include "shm/stats.h"
#include "worker/session/message.h"

#include <stdbool.h>
#include <stdint.h>

struct publishers;

/* Something that waits for room: embedded in, or being, the whole of what is to
 * be put. `put` returns false when the ring is still full; after it returned
 * true, `done` is called and owns the item. */
struct outbound_item;
struct outbound_item {
    struct list_node node;
    bool (*put)(struct outbound_item *item, struct mesh *mesh, unsigned peer);
    void (*done)(struct outbound_item *item, void *owner);
};

struct outbound {
    struct mesh *mesh;
    struct stats stats;
    void *owner; /* for done() and then() */
    struct publishers *publishers;
    struct list_node waiting[MESH_PEERS_MAX]; /* of struct outbound_item */
    uint64_t blocked;                         /* bit per peer with a waiting list */
    bool has_room;                            /* room came up during the last retry */
};

void outbound_init(struct outbound *outbound, struct mesh *mesh, struct stats stats,
                   struct publishers *publishers, void *owner);
/* At the end of the process: frees what waits, unsent. */
void outbound_done(struct outbound *outbound);
bool outbound_is_blocked(const struct outbound *outbound, unsigned peer);

/* Puts the item now or queues it. */
void outbound_send(struct outbound *outbound, unsigned peer, struct outbound_item *item);

/* What goes with a message that must wait. */
struct outbound_message {
    struct message *message; /* what the record was made from; NULL: copied when needed */
    uint32_t publisher;      /* handle of the connection to be paused meanwhile, or 0 */
    uint16_t source;         /* for then() */
    /* Called, if not NULL, when a message that had to wait is in the ring to `peer`
     * (its head not published yet), with `message` set. All is borrowed. */
    void (*then)(void *owner, unsigned peer, const struct outbound_message *with);
};
/* Sends a message record. True when it is in the ring, false when it waits. */
bool outbound_send_message(struct outbound *outbound, unsigned peer,
                           const struct record_message *record,
                           const struct outbound_message *with);

/* At the end of each turn: tries what waits, and asks the peers for their bell
 * where it still does. True when room came up meanwhile: do not sleep. */
bool outbound_retry(struct outbound *outbound);

#endif
