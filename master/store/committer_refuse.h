#ifndef COURTIER_MASTER_STORE_COMMITTER_REFUSE_H
#define COURTIER_MASTER_STORE_COMMITTER_REFUSE_H

#include "master/store/committer_peer.h"
#include "master/store/durable/durable_batch.h"

#include <stdbool.h>

/* After a commit: tells those whose records could not be done; true if there was no room
 * for one. `peers` by worker. */
bool committer_refuse_failed(struct committer_peer *peers, const struct durable_batch *batch);

#endif
