#include "tests/bench/bench_histogram.h"

#include <math.h>

enum { PARTS = 1 << BENCH_HISTOGRAM_PART_BITS };

/*
 * Values under 2 * PARTS have a bucket each. Above, `shift` drops the bits that
 * the precision does not keep, and the PARTS buckets of each power of two
 * follow those of the one before without a hole.
 */
static size_t bucket_of(uint64_t ns)
{
    if (ns >> BENCH_HISTOGRAM_VALUE_BITS)
        return BENCH_HISTOGRAM_BUCKETS - 1;
    if (ns < 2 * PARTS)
        return (size_t)ns;
    int shift = 63 - __builtin_clzll(ns) - BENCH_HISTOGRAM_PART_BITS;
    return ((size_t)shift << BENCH_HISTOGRAM_PART_BITS) + (size_t)(ns >> shift);
}

static uint64_t middle_of(size_t bucket)
{
    if (bucket < 2 * PARTS)
        return bucket;
    unsigned shift = (unsigned)(bucket >> BENCH_HISTOGRAM_PART_BITS) - 1;
    uint64_t low = (uint64_t)(bucket - ((size_t)shift << BENCH_HISTOGRAM_PART_BITS)) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void bench_histogram_add(struct bench_histogram *h, uint64_t ns)
{
    h->count++;
    h->sum += ns;
    if (ns > h->max)
        h->max = ns;
    h->buckets[bucket_of(ns)]++;
}

void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t bench_histogram_percentile(const struct bench_histogram *h, double percent)
{
    if (h->count == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil((double)h->count * percent / 100.0);
    uint64_t seen = 0;
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS - 1; i++) {
        seen += h->buckets[i];
        if (seen > 0 && seen >= rank)
            return middle_of(i) < h->max ? middle_of(i) : h->max;
    }
    return h->max;
}

double bench_histogram_mean(const struct bench_histogram *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0.0;
}
