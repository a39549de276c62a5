#ifndef COURTIER_SHM_HEARTBEAT_H
#define COURTIER_SHM_HEARTBEAT_H

/*
 * A number per process by which it shows that it is ready (not 0) and alive (it
 * repeats the number of the master's last ping). Pings are numbered from
 * HEARTBEAT_READY + 1, per process.
 */

#include "shm/region.h"

#include <stdint.h>

enum { HEARTBEAT_READY = 1 };

/* The process of this slot, in its own name: ready, or the number of a ping. */
void heartbeat_answer(const struct region *region, unsigned slot, uint32_t number);
/* 0 while the process of this slot is not ready yet. */
uint32_t heartbeat_read(const struct region *region, unsigned slot);
/* Master, while the slot has no process: back to 0. */
void heartbeat_clear(const struct region *region, unsigned slot);

#endif
