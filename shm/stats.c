#include "shm/stats.h"

#include "common/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * All relaxed: a counter says nothing about other memory, and whoever sums sees
 * each slot at some moment of its own.
 */

enum kind { COUNT, GAUGE };

static const struct row {
    const char *name;
    enum kind kind;
} rows[STATS_COUNT] = {
#define STAT_ROW(name, kind) {#name, kind},
    STATS_ROWS(STAT_ROW)
#undef STAT_ROW
};

static _Atomic uint64_t *counter_of(struct stats stats, enum stat_id stat)
{
    check((unsigned)stat < STATS_COUNT);
    return &stats.slot->stats[stat];
}

struct stats stats_of(const struct region *region, unsigned slot)
{
    check(slot < region->slot_count);
    return (struct stats){.slot = &region->slots[slot]};
}

void stats_add(struct stats stats, enum stat_id stat, uint64_t amount)
{
    _Atomic uint64_t *counter = counter_of(stats, stat);

    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

void stats_subtract(struct stats stats, enum stat_id stat, uint64_t amount)
{
    stats_add(stats, stat, 0 - amount);
}

void stats_set(struct stats stats, enum stat_id stat, uint64_t value)
{
    atomic_store_explicit(counter_of(stats, stat), value, memory_order_relaxed);
}

uint64_t stats_get(struct stats stats, enum stat_id stat)
{
    return atomic_load_explicit(counter_of(stats, stat), memory_order_relaxed);
}

uint64_t stats_sum(const struct region *region, enum stat_id stat)
{
    uint64_t sum = 0;

    for (unsigned slot = 0; slot < region->slot_count; slot++)
        sum += stats_get(stats_of(region, slot), stat);
    /* A gauge that one process raises and another lowers may be seen in between. */
    if (rows[stat].kind == GAUGE && sum > INT64_MAX)
        return 0;
    return sum;
}

void stats_reset_gauges(struct stats stats)
{
    for (unsigned stat = 0; stat < STATS_COUNT; stat++) {
        if (rows[stat].kind == GAUGE)
            stats_set(stats, (enum stat_id)stat, 0);
    }
}

const char *stats_name(enum stat_id stat)
{
    check((unsigned)stat < STATS_COUNT);
    return rows[stat].name;
}
