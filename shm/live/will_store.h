#ifndef COURTIER_SHM_LIVE_WILL_STORE_H
#define COURTIER_SHM_LIVE_WILL_STORE_H

/*
 * Wills of connected clients, kept so that they go out even when their worker
 * dies. Store only, inside a transaction.
 */

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "shm/live/live.h"

#include <stdint.h>

/* Puts the will of a client of this worker, replacing an older one. `blob` is
 * the caller's encoding of it; the key is (worker, hash of the client id).
 * 0, -ENOSPC … */
int will_store_set(struct live *live, unsigned worker, const struct hash128 *client,
                   struct bytes blob);
/* 0 also when there was none. */
int will_store_clear(struct live *live, unsigned worker, const struct hash128 *client);
/* The first will of a worker that is not before *client (all zero: from the
 * start); sets *client to its key. Borrowed until the next write. 0, -ENOENT
 * at the end, or -errno. */
int will_store_next(struct live *live, unsigned worker, struct hash128 *client,
                    struct bytes *ret_blob);

#endif
