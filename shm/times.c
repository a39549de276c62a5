#include "shm/times.h"

#include "common/base/check.h"

#include <stdatomic.h>

/*
 * Bucket 0 to 3 is that many microseconds. Above, a value with its highest bit at
 * 2^p lands in one of the four buckets of p, by its next two bits. All relaxed, for
 * the reasons of stats.c; counts wrap, and differences don't mind.
 */

enum { PART_BITS = 2, PARTS = 1 << PART_BITS };

static unsigned bucket_of(uint64_t us)
{
    if (us < PARTS)
        return (unsigned)us;
    unsigned power = 63U - (unsigned)__builtin_clzll(us);
    unsigned part = (unsigned)(us >> (power - PART_BITS)) & (PARTS - 1);
    unsigned bucket = (power - PART_BITS + 1) * PARTS + part;
    return bucket < LAYOUT_TIMES ? bucket : LAYOUT_TIMES - 1;
}

/* The largest value of a bucket. */
static uint64_t end_of(unsigned bucket)
{
    if (bucket < PARTS)
        return bucket;
    unsigned shift = bucket / PARTS - 1;
    return ((uint64_t)(PARTS + bucket % PARTS + 1) << shift) - 1;
}

void times_add(struct stats own, uint64_t us)
{
    _Atomic uint32_t *count = &own.slot->times[bucket_of(us)];

    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void times_read(struct stats stats, struct times *ret_times)
{
    for (unsigned i = 0; i < LAYOUT_TIMES; i++)
        ret_times->counts[i] = atomic_load_explicit(&stats.slot->times[i], memory_order_relaxed);
}

void times_since(struct times *ret_times, const struct times *now, const struct times *earlier)
{
    for (unsigned i = 0; i < LAYOUT_TIMES; i++)
        ret_times->counts[i] = now->counts[i] - earlier->counts[i];
}

uint64_t times_percentile_us(const struct times *times, unsigned percent)
{
    uint64_t total = 0;
    uint64_t seen = 0;

    check(percent <= 100);
    for (unsigned i = 0; i < LAYOUT_TIMES; i++)
        total += times->counts[i];
    uint64_t wanted = (total * percent + 99) / 100;
    for (unsigned i = 0; i < LAYOUT_TIMES; i++) {
        seen += times->counts[i];
        if (seen > 0 && seen >= wanted)
            return end_of(i);
    }
    return 0;
}
