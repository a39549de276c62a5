#ifndef COURTIER_TESTS_BENCH_BENCH_HISTOGRAM_H
#define COURTIER_TESTS_BENCH_BENCH_HISTOGRAM_H

/*
 * Histogram of durations with logarithmic buckets: each power of two is cut
 * into 64 equal parts, so that a reported value is within 0.8 % of the true one
 * from a nanosecond to 18 minutes, at 18 KiB. Plain memory without pointers: it
 * may lie in a shared mapping, and all zeros is an empty histogram.
 */

#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_HISTOGRAM_PART_BITS = 6,
    BENCH_HISTOGRAM_VALUE_BITS = 40,
    BENCH_HISTOGRAM_BUCKETS = (BENCH_HISTOGRAM_VALUE_BITS - BENCH_HISTOGRAM_PART_BITS + 1)
                              << BENCH_HISTOGRAM_PART_BITS,
};

struct bench_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[BENCH_HISTOGRAM_BUCKETS];
};

/* Counts one duration. Those over 2^40 ns land in the last bucket; max stays exact. */
void bench_histogram_add(struct bench_histogram *h, uint64_t ns);

/* Adds all that `from` holds to `into`. */
void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from);

/* The duration that `percent` (0 to 100) of all counted ones do not exceed, as
 * the middle of its bucket and never over the maximum; 0 when empty. */
uint64_t bench_histogram_percentile(const struct bench_histogram *h, double percent);

/* Arithmetic mean; 0 when empty. */
double bench_histogram_mean(const struct bench_histogram *h);

#endif
