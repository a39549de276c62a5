#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_BODY_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_BODY_H

/*
 * Bodies on disk while a batch is written: each stands there once, with the number
 * of deliveries that need it, and goes with the last of them. Changes of that number
 * are added up, and written once at the end.
 */

#include "master/store/durable/durable.h"
#include "master/store/durable/durable_batch.h"

#include <stdint.h>

/* One delivery more that needs this message. 0; -ENOENT: the body is neither here nor
 * on disk; -ENOSPC: no room for it; or -errno. */
int durable_body_use(struct durable *durable, struct durable_batch *batch, uint64_t message_id);
/* One less. 0 or -errno. */
int durable_body_leave(struct durable *durable, struct durable_batch *batch, uint64_t message_id);
/* Writes what it came to. 0 or -errno. */
int durable_body_write(struct durable *durable, struct durable_batch *batch);
/* Forgets what was added up, written or not. */
void durable_body_forget(struct durable_batch *batch);

#endif
