#ifndef COURTIER_MASTER_STORE_COMMITTER_FETCH_H
#define COURTIER_MASTER_STORE_COMMITTER_FETCH_H

/*
 * FETCHes of one worker, and the way of what they ask for: page by page, as far as there
 * is room in its ring. What was put of an answer is not put again, so an answer may take
 * many turns and what is on disk may change meanwhile.
 */

#include "master/store/durable/durable.h"
#include "master/store/durable/durable_batch.h"
#include "shm/mesh.h"
#include "shm/record.h"
#include "shm/record_journal.h"

#include <stdbool.h>
#include <stdint.h>

struct committer_fetch {
    struct record_journal ask; /* its seq moves on with the answer */
    uint32_t sent;
    uint64_t sent_bytes;
    uint32_t expired;
    uint64_t expired_bytes;
    uint64_t body_of; /* seq of the delivery whose body is on its way, or there; 0: none */
    bool body_is_sent;
    struct record_sender sender;
};

struct committer_fetches {
    unsigned count;
    struct committer_fetch list[RECORD_FETCHES_MAX];
};

/* There is room for it. */
void committer_fetch_add(struct committer_fetches *fetches, const struct record_journal *ask);
/* Is a body partly sent? Then nothing else may be put to that worker. */
bool committer_fetch_is_inside(const struct committer_fetches *fetches);
/* Sends what there is room for. What expired or is damaged comes into the batch, to be
 * dropped. 0 when all are answered; -EAGAIN: the ring is full; -EINPROGRESS: the batch
 * must be on disk first; or -errno. */
int committer_fetch_answer(struct committer_fetches *fetches, unsigned worker,
                           struct durable *durable, struct durable_batch *batch, struct mesh *mesh);

#endif
