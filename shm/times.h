#ifndef COURTIER_SHM_TIMES_H
#define COURTIER_SHM_TIMES_H

/*
 * How long something took, again and again: a histogram in the slot of the process
 * that does it, four buckets to each power of two of microseconds. The process adds;
 * anybody reads, and the difference of two readings is what happened in between. In
 * use for the committer's commits.
 */

#include "shm/layout.h"
#include "shm/stats.h"

#include <stdint.h>

struct times {
    uint32_t counts[LAYOUT_TIMES];
};

void times_add(struct stats own, uint64_t us);
void times_read(struct stats stats, struct times *ret_times);
/* What came since `earlier`. */
void times_since(struct times *ret_times, const struct times *now, const struct times *earlier);
/* So many percent took at most so long, in microseconds, rounded up to the end of a
 * bucket (by a quarter at most). 100: all of them. 0 when there is none. */
uint64_t times_percentile_us(const struct times *times, unsigned percent);

#endif
