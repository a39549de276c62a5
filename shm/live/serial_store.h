#ifndef COURTIER_SHM_LIVE_SERIAL_STORE_H
#define COURTIER_SHM_LIVE_SERIAL_STORE_H

/*
 * Up to which serial a worker's records are done, kept with the data itself: a
 * store process that dies between commit and confirmation leaves its successor
 * the number to confirm. Store only, inside a transaction.
 */

#include "shm/live/live.h"

#include <stdint.h>

/* 0 or -errno. */
int serial_store_set(struct live *live, unsigned worker, uint64_t serial);
/* *ret_serial is 0 when there is none. 0 or -errno. */
int serial_store_get(struct live *live, unsigned worker, uint64_t *ret_serial);

#endif
