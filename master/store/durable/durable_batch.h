#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_BATCH_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_BATCH_H

/*
 * What is not on disk yet: journal records of all workers, put together so that for
 * each row only the last state is left. What was enqueued and done, or begun and
 * ended, within a batch thus cancels out: it comes to deleting a row that is not
 * there.
 *
 * Names, ids and small bodies are borrowed from the rings, which are not released
 * before the batch is cleared. Memory for the batch itself is ours; without any,
 * the process ends (and its successor reads the rings again).
 */

#include "common/base/list.h"
#include "common/base/map.h"
#include "master/store/durable/durable_key.h"
#include "shm/record_journal.h"

#include <stdbool.h>
#include <stdint.h>

/* A message, shared by all changes that need it. */
struct durable_body {
    uint64_t message_id;
    unsigned holders;              /* changes, and the worker whose latest it is */
    bool is_known;                 /* `message` is set */
    struct record_message message; /* borrowed from `memory`, or from a ring */
    uint8_t *memory;               /* owned, or NULL */
    /* While the batch is written (durable_body.h): */
    struct list_node node; /* in the batch's looked_up */
    bool has_room;
    uint64_t count; /* deliveries on disk that need it */
    int64_t change; /* ... and how many more in a moment */
};

enum durable_action {
    DURABLE_PUT,    /* the row is this */
    DURABLE_UPDATE, /* SENT or RELEASED, of a delivery that is on disk */
    DURABLE_DELETE  /* of a SESSION: with all that it has */
};

/* A record whose row another one has overwritten, before either was on disk. */
struct durable_superseded {
    struct durable_superseded *next;
    uint64_t serial;
    unsigned worker;
};

/* The fate of one row. */
struct durable_change {
    struct list_node node;
    struct durable_key key;
    enum durable_action action;
    unsigned worker;
    int error;                     /* why it was not written: -ENOSPC; -ENOENT: no body; or
                                    * -EEXIST: it was, before a crash */
    struct record_journal journal; /* its serial is that of the record that grows the data */
    struct durable_body *body;     /* PUT of QUEUE, RETAINED, WILL; NULL: none came along */
    struct durable_superseded *superseded; /* by a PUT: they are refused with it; or NULL */
};

struct durable_batch {
    struct map by_key;
    struct map bodies;
    struct list_node changes;   /* in the order of their first mention */
    struct list_node looked_up; /* bodies, while the batch is written */
    unsigned count;
};

void durable_batch_init(struct durable_batch *batch, const struct hash_key *key);
void durable_batch_done(struct durable_batch *batch);

/* Takes in one record of a worker (of the kinds that a worker sends, without RESET).
 * False when it needs a body of which nothing is known here and may not be on disk
 * (KEEP_RETAINED, KEEP_WILL): it can't be done. */
bool durable_batch_add(struct durable_batch *batch, unsigned worker,
                       const struct record_journal *journal);
/* Takes in that this row has to go (of a session: with all that it has). */
void durable_batch_delete(struct durable_batch *batch, const struct durable_key *key);
/* The change of this row, or NULL. */
struct durable_change *durable_batch_find(const struct durable_batch *batch,
                                          const struct durable_key *key);
/* Forgets all changes; bodies that are held by others stay. */
void durable_batch_clear(struct durable_batch *batch);
/* Takes one change out. */
void durable_batch_drop(struct durable_batch *batch, struct durable_change *change);

/* The body of this message in the batch, made if there is none; held for the caller. */
struct durable_body *durable_batch_body(struct durable_batch *batch, uint64_t message_id);
/* Sets the message of a body that is not known yet; takes `memory` in any case. */
void durable_batch_set_body(struct durable_body *body, const struct record_message *message,
                            uint8_t *memory);
/* Copies a message that is borrowed from a ring. */
void durable_batch_own_body(struct durable_body *body);
/* NULL is allowed. */
void durable_batch_put_body(struct durable_batch *batch, struct durable_body *body);

#endif
