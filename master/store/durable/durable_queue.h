#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_QUEUE_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_QUEUE_H

/*
 * The queue of one session, as it stands on disk: rows in the order of their seq, those
 * in flight first. All inside a transaction.
 */

#include "master/store/durable/durable.h"
#include "master/store/durable/durable_restore.h"

#include <stdbool.h>
#include <stdint.h>

/* The delivery behind *key with its body, borrowed from the transaction; moves *key. 0,
 * -ENOENT at the end, or -errno. */
int durable_queue_next(struct durable *durable, struct durable_key *key,
                       struct durable_item *ret_item);
/* Gives the item of a delivery its body; if that is not there, or not whole, the item is
 * damaged. 0 or -errno. */
int durable_queue_take_body(struct durable *durable, struct durable_item *item);

/* Makes of an item, which is the first delivery that waits, a QUEUED that stands for it and
 * all behind it; moves its key to the last. 0 or -errno. */
int durable_queue_sum(struct durable *durable, struct durable_item *item);

/* Has the session this message among its latest deliveries? Not so in doubt. */
bool durable_queue_has(struct durable *durable, uint64_t session, uint64_t message_id);

#endif
