#ifndef COURTIER_SHM_REGION_H
#define COURTIER_SHM_REGION_H

/*
 * The shared region: made once by the master, inherited by all children at the
 * same address. Its memory is reserved at start, so that no access can fail
 * later (a full tmpfs would be a SIGBUS), and its size is sealed.
 */

#include "common/base/hash.h"
#include "shm/layout.h"

#include <stddef.h>
#include <stdint.h>

struct region {
    struct layout_header *header;
    struct layout_generations *generations;
    struct layout_slot *slots;
    unsigned char *rings; /* first ring; see region_ring() */
    size_t ring_stride;
    size_t size;
    unsigned worker_count;
    unsigned slot_count; /* workers, store, master */
};

/* `worker_count` 1 to CONF_WORKERS_MAX; `ring_size` a power of two, 64 KiB to
 * 64 MiB. Makes a new hash key. 0 or -errno (-ENOMEM also when the rings would
 * take more than half of the machine's memory). */
int region_open(struct region *ret_region, unsigned worker_count, uint32_t ring_size);
void region_close(struct region *region);

/* Slots of the two processes that are no workers. */
unsigned region_store_slot(const struct region *region);
unsigned region_master_slot(const struct region *region);
/* The ring from one slot to another; both among workers and store, different.
 * (No ring leads to or from the master.) */
struct layout_ring *region_ring(const struct region *region, unsigned from, unsigned to);
const struct hash_key *region_key(const struct region *region);

#endif
