#include "tests/bench/bench_stream.h"

#include <stdlib.h>
#include <string.h>

enum { GAPS_FIRST = 8, GAPS_MAX = 1024 };

/* Numbers from `from` up to, not including, `to`. */
struct bench_gap {
    uint32_t from;
    uint32_t to;
};

static void forget_oldest_gap(struct bench_stream *s, struct bench_faults *faults)
{
    faults->lost += s->gaps[0].to - s->gaps[0].from;
    s->gap_count--;
    memmove(s->gaps, s->gaps + 1, s->gap_count * sizeof(*s->gaps));
}

/* Inserts at `place`; the array doubles whenever its count is a power of two. */
static void insert_gap(struct bench_stream *s, uint32_t place, struct bench_gap gap)
{
    uint32_t count = s->gap_count;
    if (count == 0 || (count >= GAPS_FIRST && (count & (count - 1)) == 0)) {
        size_t size = count < GAPS_FIRST ? GAPS_FIRST : 2 * (size_t)count;
        struct bench_gap *gaps = realloc(s->gaps, size * sizeof(*gaps));
        if (!gaps)
            abort();
        s->gaps = gaps;
    }
    memmove(s->gaps + place + 1, s->gaps + place, (count - place) * sizeof(*s->gaps));
    s->gaps[place] = gap;
    s->gap_count++;
}

static void remove_gap(struct bench_stream *s, uint32_t place)
{
    s->gap_count--;
    memmove(s->gaps + place, s->gaps + place + 1, (s->gap_count - place) * sizeof(*s->gaps));
}

/* Takes `sequence` out of gap `place`, which holds it. */
static void fill_gap(struct bench_stream *s, uint32_t place, uint32_t sequence)
{
    struct bench_gap gap = s->gaps[place];
    if (gap.from == sequence)
        s->gaps[place].from++;
    else
        s->gaps[place].to = sequence;
    if (gap.from < sequence && sequence + 1 < gap.to)
        insert_gap(s, place + 1, (struct bench_gap){.from = sequence + 1, .to = gap.to});
    if (s->gaps[place].from == s->gaps[place].to)
        remove_gap(s, place);
}

static void take_late(struct bench_stream *s, uint32_t sequence, struct bench_faults *faults)
{
    for (uint32_t i = s->gap_count; i-- > 0;) {
        if (sequence >= s->gaps[i].from && sequence < s->gaps[i].to) {
            fill_gap(s, i, sequence);
            faults->reordered++;
            return;
        }
    }
    faults->duplicates++;
}

void bench_stream_take(struct bench_stream *s, uint32_t sequence, struct bench_faults *faults)
{
    if (sequence < s->next) {
        take_late(s, sequence, faults);
        return;
    }
    if (sequence > s->next) {
        if (s->gap_count >= GAPS_MAX)
            forget_oldest_gap(s, faults);
        insert_gap(s, s->gap_count, (struct bench_gap){.from = s->next, .to = sequence});
    }
    s->next = sequence + 1;
}

void bench_stream_take_sparse(struct bench_stream *s, uint32_t sequence,
                              struct bench_faults *faults)
{
    if (sequence < s->next)
        faults->reordered++;
    else
        s->next = sequence + 1;
}

void bench_stream_finish(struct bench_stream *s, uint32_t sent, struct bench_faults *faults)
{
    for (uint32_t i = 0; i < s->gap_count; i++)
        faults->lost += s->gaps[i].to - s->gaps[i].from;
    if (sent > s->next)
        faults->lost += sent - s->next;
    else
        faults->corrupt += s->next - sent;
    free(s->gaps);
    *s = (struct bench_stream){.next = s->next};
}

/* The finalizer of splitmix64: neighbouring numbers share nothing in their sums. */
static uint64_t mix(uint32_t sequence)
{
    uint64_t x = sequence + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void bench_stream_take_tally(struct bench_tally *t, uint32_t sequence)
{
    t->count++;
    t->sum += mix(sequence);
}

void bench_stream_merge_tally(struct bench_tally *into, const struct bench_tally *from)
{
    into->count += from->count;
    into->sum += from->sum;
}

void bench_stream_finish_tally(const struct bench_tally *t, uint32_t sent,
                               struct bench_faults *faults)
{
    if (t->count < sent)
        faults->lost += sent - t->count;
    if (t->count > sent)
        faults->duplicates += t->count - sent;
    if (t->count != sent)
        return;
    struct bench_tally expected = {0};
    for (uint32_t i = 0; i < sent; i++)
        bench_stream_take_tally(&expected, i);
    if (expected.sum != t->sum) {
        faults->lost++;
        faults->duplicates++;
    }
}

void bench_stream_merge_faults(struct bench_faults *into, const struct bench_faults *from)
{
    into->lost += from->lost;
    into->duplicates += from->duplicates;
    into->reordered += from->reordered;
    into->corrupt += from->corrupt;
}
