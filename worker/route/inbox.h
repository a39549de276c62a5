#ifndef COURTIER_WORKER_ROUTE_INBOX_H
#define COURTIER_WORKER_ROUTE_INBOX_H

/*
 * What comes in through the rings: messages from other workers, holds, the store's
 * confirmations and the committer's. Bounded work per turn.
 */

#include "shm/record.h"
#include "shm/record_journal.h"
#include "worker/route/router.h"

#include <stdbool.h>

/* Upward calls, set once in worker.c. */
struct inbox_events {
    /* The store (not the committer) confirmed everything up to this serial. */
    void (*on_confirm)(void *owner, uint64_t serial);
    /* The store could not do this one; its confirmation follows. */
    void (*on_refuse)(void *owner, uint64_t serial, enum mqtt_reason reason);
    /* A will whose worker died, and whose client is at home here. */
    void (*on_will)(void *owner, const struct record_message *will);
    /* What was on disk: a body, and a record (shm/record_journal.h). */
    void (*on_restored_body)(void *owner, const struct record_message *message);
    void (*on_restored)(void *owner, const struct record_journal *record);
};

struct inbox {
    struct router *router;
    const struct inbox_events *events;
    void *owner;
    struct record_assembly assemblies[MESH_PEERS_MAX];
    unsigned next_peer; /* where the next turn begins, so that none starves */
};

void inbox_init(struct inbox *inbox, struct router *router, const struct inbox_events *events,
                void *owner);
void inbox_done(struct inbox *inbox);
/* Nothing is taken from other workers before what was on disk is here: it may be for
 * a session that is to come.
 * Takes records until the rings are empty or the turn's share is used up. True
 * when there is more. */
bool inbox_take(struct inbox *inbox);

#endif
