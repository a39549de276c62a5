#ifndef COURTIER_SHM_REGION_H
#define COURTIER_SHM_REGION_H

/*
 * The shared region: made once by the master, inherited by all children at the
 * same address. Its memory is reserved at start, so that no access can fail
 * later (a full tmpfs would be a SIGBUS), and its size is sealed.
 */

#include "common/base/hash.h"
#include "shm/layout.h"

#include <stdbool.h>
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
    unsigned slot_count; /* workers, store, perhaps its committer, master */
};

/* `worker_count` 1 to CONF_WORKERS_MAX; `ring_size` a power of two, 64 KiB to
 * 64 MiB; `has_committer`: state is kept on disk, so the committer has a slot.
 * Makes a new hash key. 0 or -errno (-ENOMEM also when the rings would take more
 * than half of the machine's memory). */
int region_open(struct region *ret_region, unsigned worker_count, uint32_t ring_size,
                bool has_committer);
void region_close(struct region *region);

/* Slots of those that are no workers. The committer is a thread of the store
 * process with a slot, rings and a bell of its own. */
unsigned region_store_slot(const struct region *region);
unsigned region_committer_slot(const struct region *region); /* only if there is one */
unsigned region_master_slot(const struct region *region);
bool region_has_committer(const struct region *region);
/* Slots that rings lead to and from: all but the master's. */
unsigned region_peer_count(const struct region *region);
/* Does a ring lead from one slot to another? Between workers, store and committer,
 * but not between these two. */
bool region_has_ring(const struct region *region, unsigned from, unsigned to);
/* That ring. */
struct layout_ring *region_ring(const struct region *region, unsigned from, unsigned to);
const struct hash_key *region_key(const struct region *region);

#endif
