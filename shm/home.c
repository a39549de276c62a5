#include "shm/home.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <stdint.h>

unsigned home_of(const struct region *region, struct bytes client_id)
{
    check(client_id.size > 0);
    /* By the upper half: maps index by the lower bits of the same hash, and all
     * names of one worker would crowd a part of its maps. */
    uint64_t upper = hash_short(region_key(region), client_id) >> 32;

    return (unsigned)((upper * region->worker_count) >> 32);
}
