#include "shm/ring.h"

#include "common/base/check.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

/*
 * Pairs of orders; each site names its letter:
 *   A  head:    the producer's release publishes records; the consumer's acquire
 *               makes them readable.
 *   B  tail:    the consumer's release ends its reads of records; the producer's
 *               acquire lets it write over them.
 *   C  settled: what the consumer did before its release is done for a producer
 *               that acquires it.
 *   E  full fences, Dekker: the producer raises `waiting` and looks at tail, the
 *               consumer moves tail and looks at `waiting`: one sees the other.
 *               (D is the same between head and `sleeping`, see bell.c.)
 *
 * Each shared word has one writer, and each change of hands is one store. So a
 * death leaves either side as it was before the last of these stores; all else
 * is private and dies along. For that the order of a process's own instructions
 * is enough, which atomic_signal_fence() keeps.
 */

enum {
    KIND_FILLER = 0,
    FLAG_QUARANTINED = 1,
    DEATHS_MAX = 2,
    RECORDS_MIN = 8 /* of the largest size in one ring */
};

struct record_header {
    uint32_t size;
    uint16_t kind;
    uint16_t flags;
};

static_assert(sizeof(struct record_header) == RING_HEADER_SIZE, "record header is packed");

static unsigned char *place_of(const struct ring *ring, uint32_t position)
{
    return ring->shared->data + (position & (ring->size - 1));
}

/* Bytes that a payload takes up with its header. */
static uint32_t record_size(uint32_t payload_size)
{
    return (RING_HEADER_SIZE + payload_size + RING_RECORD_ALIGN - 1) &
           ~(uint32_t)(RING_RECORD_ALIGN - 1);
}

/* Is `position` at or behind `mark`? They are never 2^31 apart. */
static bool has_reached(uint32_t position, uint32_t mark)
{
    return position - mark <= UINT32_MAX / 2;
}

uint32_t ring_record_max(const struct ring *ring)
{
    return ring->size / RECORDS_MIN;
}

static void attach(struct ring *ret_ring, struct layout_ring *shared, uint32_t size)
{
    check(size >= RING_RECORD_ALIGN && (size & (size - 1)) == 0);
    *ret_ring = (struct ring){.shared = shared, .size = size};
}

/* -- producer -- */

static void look_at_tail(struct ring *ring)
{
    ring->cached = atomic_load_explicit(&ring->shared->tail, memory_order_acquire); /* B */
    check(ring->own - ring->cached <= ring->size);
}

void ring_open_producer(struct ring *ret_ring, struct layout_ring *shared, uint32_t size)
{
    attach(ret_ring, shared, size);
    ret_ring->own = atomic_load_explicit(&shared->head, memory_order_relaxed);
    ret_ring->shown = ret_ring->own;
    look_at_tail(ret_ring);
    shared->epoch++;
}

/* Where a record would begin: at the end of what is committed, or at the start
 * of the data when it would not be contiguous there. */
static uint32_t start_of(const struct ring *ring, uint32_t need)
{
    uint32_t rest = ring->size - (ring->own & (ring->size - 1));

    return need <= rest ? ring->own : ring->own + rest;
}

static bool has_room(const struct ring *ring, uint32_t need)
{
    return start_of(ring, need) + need - ring->cached <= ring->size;
}

uint8_t *ring_reserve(struct ring *ring, uint32_t size)
{
    uint32_t need = record_size(size);

    check(size <= ring_record_max(ring));
    if (!has_room(ring, need)) {
        look_at_tail(ring);
        if (!has_room(ring, need))
            return NULL;
    }
    ring->start = start_of(ring, need);
    ring->reserved = need;
    return place_of(ring, ring->start) + RING_HEADER_SIZE;
}

static void put_header(struct ring *ring, uint32_t position, struct record_header header)
{
    memcpy(place_of(ring, position), &header, sizeof header);
}

void ring_commit(struct ring *ring, uint32_t size, uint16_t kind)
{
    uint32_t need = record_size(size);

    check(kind != KIND_FILLER);
    check(size <= ring_record_max(ring) && need <= ring->reserved);
    if (ring->start != ring->own) {
        uint32_t rest = ring->start - ring->own;

        put_header(ring, ring->own,
                   (struct record_header){.size = rest - RING_HEADER_SIZE, .kind = KIND_FILLER});
    }
    put_header(ring, ring->start, (struct record_header){.size = size, .kind = kind});
    ring->own = ring->start + need;
    ring->reserved = 0;
}

bool ring_publish(struct ring *ring)
{
    if (ring->own == ring->shown)
        return false;
    atomic_store_explicit(&ring->shared->head, ring->own, memory_order_release); /* A */
    ring->shown = ring->own;
    return true;
}

bool ring_want_room(struct ring *ring, uint32_t size)
{
    uint32_t waiting = atomic_load_explicit(&ring->shared->waiting, memory_order_relaxed);

    check(size <= ring_record_max(ring));
    atomic_store_explicit(&ring->shared->waiting, waiting + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* E */
    look_at_tail(ring);
    return has_room(ring, record_size(size));
}

bool ring_want_settled(struct ring *ring, uint32_t position)
{
    uint32_t waiting = atomic_load_explicit(&ring->shared->waiting, memory_order_relaxed);

    atomic_store_explicit(&ring->shared->waiting, waiting + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* E */
    return ring_has_settled(ring, position);
}

uint32_t ring_position(const struct ring *ring)
{
    return ring->own;
}

uint32_t ring_settled(const struct ring *ring)
{
    return atomic_load_explicit(&ring->shared->settled, memory_order_acquire); /* C */
}

uint32_t ring_released(const struct ring *ring)
{
    return atomic_load_explicit(&ring->shared->tail, memory_order_acquire); /* B */
}

bool ring_has_settled(const struct ring *ring, uint32_t position)
{
    return has_reached(ring_settled(ring), position);
}

bool ring_has_released(const struct ring *ring, uint32_t position)
{
    return has_reached(ring_released(ring), position);
}

/* -- consumer -- */

static void look_at_head(struct ring *ring)
{
    ring->cached = atomic_load_explicit(&ring->shared->head, memory_order_acquire); /* A */
    check(ring->cached - ring->own <= ring->size);
}

/* Forgets before it learns, so that a death in the middle counts too few deaths
 * and never one too many. */
static void count_death(struct layout_ring *shared, uint32_t working)
{
    uint32_t deaths = shared->suspect == working ? shared->suspect_deaths : 0;

    shared->suspect_deaths = deaths;
    atomic_signal_fence(memory_order_seq_cst);
    shared->suspect = working;
    atomic_signal_fence(memory_order_seq_cst);
    shared->suspect_deaths = deaths + 1;
}

void ring_open_consumer(struct ring *ret_ring, struct layout_ring *shared, uint32_t size)
{
    uint32_t tail = atomic_load_explicit(&shared->tail, memory_order_relaxed);
    uint32_t working = atomic_load_explicit(&shared->working, memory_order_relaxed);

    attach(ret_ring, shared, size);
    ret_ring->own = tail;
    ret_ring->shown = tail;
    /* Unlike the value that is there now: the dead one may not have answered it. */
    ret_ring->answered = atomic_load_explicit(&shared->waiting, memory_order_relaxed) - 1;
    look_at_head(ret_ring);
    ring_put_down(ret_ring);
    if (working != tail && has_reached(working, tail))
        count_death(shared, working);
}

/* Takes the header at `own` and checks that the record lies wholly in what is
 * published and does not cross the wrap. */
static struct record_header take_header(struct ring *ring)
{
    uint32_t rest = ring->size - (ring->own & (ring->size - 1));
    struct record_header header;

    memcpy(&header, place_of(ring, ring->own), sizeof header);
    check(header.size < ring->size);
    check(record_size(header.size) <= rest);
    check(record_size(header.size) <= ring->cached - ring->own);
    return header;
}

/* Did the record from `start` to `own` kill its consumer too often? Says so in
 * its header too: `suspect` will be needed for the next one, while this one may
 * yet be read again. */
static bool is_deadly(struct ring *ring, uint32_t start, struct record_header header)
{
    const struct layout_ring *shared = ring->shared;

    if (shared->suspect_deaths >= DEATHS_MAX && shared->suspect == ring->own) {
        header.flags |= FLAG_QUARANTINED;
        put_header(ring, start, header);
    }
    return (header.flags & FLAG_QUARANTINED) != 0;
}

bool ring_next(struct ring *ring, struct ring_record *ret_record)
{
    struct record_header header;
    uint32_t start;

    do {
        if (ring->own == ring->cached && !ring_has_next(ring)) {
            ring_put_down(ring);
            return false;
        }
        header = take_header(ring);
        start = ring->own;
        ring->own += record_size(header.size);
    } while (header.kind == KIND_FILLER);
    *ret_record = (struct ring_record){.kind = header.kind};
    ret_record->quarantined = is_deadly(ring, start, header);
    if (!ret_record->quarantined) {
        ret_record->data = place_of(ring, start) + RING_HEADER_SIZE;
        ret_record->size = header.size;
    }
    atomic_store_explicit(&ring->shared->working, ring->own, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    return true;
}

void ring_put_down(struct ring *ring)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&ring->shared->working, ring->shown, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

uint32_t ring_taken(const struct ring *ring)
{
    return ring->own;
}

uint32_t ring_held(const struct ring *ring)
{
    return ring->own - ring->shown;
}

bool ring_release(struct ring *ring)
{
    return ring_release_to(ring, ring->own);
}

bool ring_release_to(struct ring *ring, uint32_t position)
{
    struct layout_ring *shared = ring->shared;
    uint32_t waiting;

    check(position - ring->shown <= ring->own - ring->shown);
    atomic_store_explicit(&shared->tail, position, memory_order_release); /* B */
    ring->shown = position;
    if (shared->suspect_deaths != 0 && has_reached(position, shared->suspect))
        shared->suspect_deaths = 0;            /* its position will come again after 4 GiB */
    atomic_thread_fence(memory_order_seq_cst); /* E */
    waiting = atomic_load_explicit(&shared->waiting, memory_order_relaxed);
    if (waiting == ring->answered)
        return false;
    ring->answered = waiting;
    return true;
}

void ring_settle(struct ring *ring)
{
    ring_settle_to(ring, ring->own);
}

void ring_settle_to(struct ring *ring, uint32_t position)
{
    atomic_store_explicit(&ring->shared->settled, position, memory_order_release); /* C */
}

uint32_t ring_published(struct ring *ring)
{
    look_at_head(ring);
    return ring->cached;
}

bool ring_has_next(struct ring *ring)
{
    look_at_head(ring);
    return ring->cached != ring->own;
}
