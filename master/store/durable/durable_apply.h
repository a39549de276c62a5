#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_APPLY_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_APPLY_H

/* A batch, put on disk in one transaction. */

#include "master/store/durable/durable.h"
#include "master/store/durable/durable_batch.h"

#include <stdint.h>

/* Writes and syncs all changes of the batch, and with them `serials` of workers 0 to
 * `worker_count`-1 (up to which all records are in the batch, or on disk). A change
 * that there is no room for, or whose body is missing, is left out and marked as
 * so (`error`); the serial of its worker then is lowered to that before it.
 * When nothing is left to change, nothing is written, the serials neither.
 * 0, or -errno and then nothing has happened; the batch can be tried again. */
int durable_apply(struct durable *durable, struct durable_batch *batch, uint64_t *serials,
                  unsigned worker_count);

#endif
