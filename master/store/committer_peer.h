#ifndef COURTIER_MASTER_STORE_COMMITTER_PEER_H
#define COURTIER_MASTER_STORE_COMMITTER_PEER_H

/*
 * What the committer knows of one worker: a body on its way in, answers on their way
 * out. An answer waits here while the worker's ring is full; the records that it
 * answers then stay in the worker's own ring, so a successor of ours answers them.
 */

#include "common/mqtt/reason.h"
#include "master/store/committer_fetch.h"
#include "master/store/durable/durable.h"
#include "master/store/durable/durable_batch.h"
#include "master/store/durable/durable_restore.h"
#include "shm/mesh.h"
#include "shm/record.h"
#include "shm/record_journal.h"
#include "shm/region.h"

#include <stdbool.h>
#include <stdint.h>

struct committer_refusal {
    uint64_t serial; /* 0: it is not refused */
    enum mqtt_reason reason;
    uint64_t session; /* of an ENQUEUE that came to nothing; 0: none */
    uint64_t seq;
    uint64_t bytes;
    bool is_told; /* NOT_QUEUED was put */
};

/* The way of everything on disk to a worker that starts. */
struct committer_restore {
    bool is_wanted; /* a RESET was taken; nothing else is, until all is sent */
    bool is_begun;
    uint64_t epoch;
    struct durable_restore walk;
    struct record_sender sender; /* of the body in hand */
    bool body_is_sent;
};

struct committer_peer {
    unsigned worker;
    struct record_assembly assembly;
    struct durable_body *body; /* its latest, held */
    bool body_is_unused;       /* the record that needs it has not come */
    uint32_t body_at;          /* position in its ring where that begins */
    uint32_t released;         /* position up to which room was given back */
    uint64_t kept;             /* serial on disk when we started */
    uint64_t taken;            /* of the last record taken */
    uint64_t due;              /* to be confirmed */
    uint64_t confirmed;        /* told */
    bool has_gap;              /* a record behind that was set aside, serial unknown */
    bool is_known;             /* it keeps a journal: it wants to hear of it */
    int told_state;            /* enum record_journal_state; -1: none */
    struct committer_refusal *refusals;
    unsigned refusal_count;
    unsigned refusal_room;
    struct committer_restore restore;
    struct committer_fetches fetches;
};

/* `kept` is the serial on disk; with `is_successor` it is confirmed once more, because
 * who died before us may not have done that. */
void committer_peer_init(struct committer_peer *peer, unsigned worker, uint64_t kept,
                         bool is_successor);
void committer_peer_done(struct committer_peer *peer, struct durable_batch *batch);

/* A RESET came: what was half sent is void. */
void committer_peer_reset(struct committer_peer *peer, struct durable_batch *batch, uint64_t epoch);
/* A body came whole; `memory` (NULL: it lies in the ring) is taken. */
void committer_peer_take_body(struct committer_peer *peer, struct durable_batch *batch,
                              const struct record_message *message, uint8_t *memory);
/* A record with this serial came: refuses what was set aside before it. False when it is on
 * disk already. */
bool committer_peer_take(struct committer_peer *peer, uint64_t serial);
/* The last of its records that a successor of ours need not look at, once what was taken is
 * on disk: none that is refused, and not told so. */
uint64_t committer_peer_kept(const struct committer_peer *peer);
void committer_peer_refuse(struct committer_peer *peer, uint64_t serial, enum mqtt_reason reason);
/* The same of an ENQUEUE; `reason` 0: it is no harm. */
void committer_peer_refuse_enqueue(struct committer_peer *peer,
                                   const struct record_journal *enqueue, enum mqtt_reason reason);
/* Puts what there is to tell, as far as there is room; `state` is the committer's.
 * Not the way of a restore. */
void committer_peer_answer(struct committer_peer *peer, struct mesh *mesh,
                           enum record_journal_state state);
/* Sends on what a worker that starts has to know; the batch is empty. What is damaged
 * comes into the batch, to be dropped. 0 when all is sent; -EAGAIN: the ring is full;
 * or -errno. */
int committer_peer_restore(struct committer_peer *peer, struct durable *durable,
                           struct durable_batch *batch, struct mesh *mesh,
                           const struct region *region);

/* Sends on what it asks for; as committer_fetch_answer(). */
int committer_peer_fetch(struct committer_peer *peer, struct durable *durable,
                         struct durable_batch *batch, struct mesh *mesh);

/* Is there something to tell that its ring had no room for? */
bool committer_peer_is_waiting(const struct committer_peer *peer, enum record_journal_state state);
/* Must it take answers before more of its records are read? */
bool committer_peer_is_stalled(const struct committer_peer *peer);
/* Up to where may room be given back, now that all up to `taken` is on disk? Nothing
 * while an answer is not told; and no part of a body that waits for its record, below
 * half of a ring: a successor must read them again. */
uint32_t committer_peer_release_end(const struct committer_peer *peer, uint32_t taken,
                                    uint32_t ring_size);
/* Room is about to be given back: a body that waits for its record is copied, one that
 * is on disk let go. */
void committer_peer_keep_body(struct committer_peer *peer, struct durable_batch *batch);

#endif
