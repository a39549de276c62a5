#ifndef COURTIER_TESTS_BENCH_BENCH_STREAM_H
#define COURTIER_TESTS_BENCH_BENCH_STREAM_H

/*
 * The check that makes a figure worth reading: every message carries its
 * publisher and a sequence number that starts at 0 and rises by one.
 *
 * A *stream* is what one subscriber gets from one publisher, all of it and in
 * order. Missing numbers are kept as gaps, so that a late message (reordered)
 * is told from a repeated one (duplicate) and from one that never comes (lost).
 *
 * A *tally* is for messages that may come to any of several receivers or in any
 * order (shared subscriptions, retained messages): count and sum of a mix of
 * the numbers are equal on both sides only if the same numbers came once each.
 */

#include <stddef.h>
#include <stdint.h>

struct bench_faults {
    uint64_t lost;
    uint64_t duplicates;
    uint64_t reordered;
    uint64_t corrupt; /* wrong size, unknown publisher, a number never sent */
};

struct bench_gap;

/* All zeros is a new stream. */
struct bench_stream {
    uint32_t next; /* lowest number not seen and not in a gap */
    uint32_t gap_count;
    struct bench_gap *gaps; /* owned, sorted; NULL until the first gap */
};

/* Takes one arrival of a complete, ordered stream and counts the faults that
 * show at once (duplicate, reordered). Beyond 1024 open gaps the oldest is
 * counted as lost for good. */
void bench_stream_take(struct bench_stream *s, uint32_t sequence, struct bench_faults *faults);

/* Takes one arrival of a stream that has gaps by nature (a member of a shared
 * group): only a number that does not rise is a fault (reordered). */
void bench_stream_take_sparse(struct bench_stream *s, uint32_t sequence,
                              struct bench_faults *faults);

/* The publisher has sent the numbers below `sent`: counts what is missing as
 * lost and numbers never sent as corrupt. Frees the gaps. Not for sparse ones. */
void bench_stream_finish(struct bench_stream *s, uint32_t sent, struct bench_faults *faults);

/* All zeros is an empty tally. */
struct bench_tally {
    uint64_t count;
    uint64_t sum;
};

void bench_stream_take_tally(struct bench_tally *t, uint32_t sequence);
void bench_stream_merge_tally(struct bench_tally *into, const struct bench_tally *from);

/* Compares with the numbers below `sent`, once each. A surplus counts as
 * duplicates, a shortage as lost; an equal count of different numbers as one of
 * each, since it is at least that. */
void bench_stream_finish_tally(const struct bench_tally *t, uint32_t sent,
                               struct bench_faults *faults);

/* Adds up; used over subscribers and processes. */
void bench_stream_merge_faults(struct bench_faults *into, const struct bench_faults *from);

#endif
