#ifndef COURTIER_SHM_GENERATION_H
#define COURTIER_SHM_GENERATION_H

/*
 * Generations of the live data (second of the three orders of routing): the
 * store raises them after its commit; a publisher reads them after it has
 * published its retained record. Raise and read both lie behind a full fence.
 */

#include "common/base/bytes.h"
#include "shm/region.h"

#include <stdint.h>

/* What a route was looked up at; two are equal when nothing moved. */
struct generation {
    uint32_t level;
    uint32_t wildcard;
};

/* Generation of routes for this topic name. `level_hash` is
 * generation_hash() of the name, kept by the caller. */
uint32_t generation_hash(const struct region *region, struct bytes name_or_filter);
struct generation generation_read(const struct region *region, uint32_t level_hash);
/* Counts commits of the live store. */
uint32_t generation_live(const struct region *region);

/* Store only: after a commit, and before the filters of that commit are raised:
 * who sees a route's new generation must find the new live data. */
void generation_raise_live(const struct region *region);
/* Store only: after the commit of a change to this (plain) filter. */
void generation_raise_filter(const struct region *region, struct bytes filter);
/* Store only: every route is stale (a worker's filters were cleared). */
void generation_raise_all(const struct region *region);

#endif
