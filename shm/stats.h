#ifndef COURTIER_SHM_STATS_H
#define COURTIER_SHM_STATS_H

/*
 * Counters of all processes. Each process writes its own slot (relaxed, no
 * read-modify-write: it is the only writer); anybody may sum. On 32-bit
 * machines the 64-bit atomics are still lock-free (ldrexd, cmpxchg8b).
 */

#include "shm/region.h"

#include <stdint.h>

enum stat_id {
#define STAT_NAME(name, kind) STAT_##name,
    STATS_ROWS(STAT_NAME)
#undef STAT_NAME
};

/* A process's own counters: a plain value to hand around. */
struct stats {
    struct layout_slot *slot;
};

struct stats stats_of(const struct region *region, unsigned slot);
void stats_add(struct stats stats, enum stat_id stat, uint64_t amount);
/* For gauges. */
void stats_subtract(struct stats stats, enum stat_id stat, uint64_t amount);
void stats_set(struct stats stats, enum stat_id stat, uint64_t value);
uint64_t stats_get(struct stats stats, enum stat_id stat);
/* Over all slots. Gauges are summed as signed values and cut at 0. */
uint64_t stats_sum(const struct region *region, enum stat_id stat);
/* Zeroes the gauges of a slot whose process died: what they counted is gone. */
void stats_reset_gauges(struct stats stats);
const char *stats_name(enum stat_id stat);

#endif
