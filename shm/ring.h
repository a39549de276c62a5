#ifndef COURTIER_SHM_RING_H
#define COURTIER_SHM_RING_H

/*
 * Single-producer single-consumer ring of variable records in shared memory.
 * Either side may die at any instruction: a record that was not published is
 * never seen; one that was not released is read again by the successor.
 *
 *   [size u32 | kind u16 | flags u16 | payload ... | pad to 8] ...
 *
 * A record is contiguous; a filler record closes the gap at the wrap. Both sides
 * cache the other's position and look again only when the cached one says full
 * or empty. Publication is one release store of `head` for all records committed
 * since the last one.
 */

#include "shm/layout.h"

#include <stdbool.h>
#include <stdint.h>

enum { RING_RECORD_ALIGN = 8, RING_HEADER_SIZE = 8 };

/* One side's private view; only the functions look inside. */
struct ring {
    struct layout_ring *shared;
    uint32_t size;     /* bytes of data, power of two */
    uint32_t own;      /* producer: end of what is committed; consumer: next to read */
    uint32_t shown;    /* producer: published head; consumer: released tail */
    uint32_t cached;   /* the other side's position when last looked at */
    uint32_t start;    /* producer: where the reservation begins */
    uint32_t reserved; /* producer: its bytes with the header; 0: none */
    uint32_t answered; /* consumer: value of `waiting` that got its bell */
};

struct ring_record {
    const uint8_t *data; /* 8-byte aligned, valid until ring_release() */
    uint32_t size;
    uint16_t kind;    /* not 0 */
    bool quarantined; /* killed its consumer twice: to be logged; data is NULL, size 0 */
};

/* Largest payload of one record: an eighth of the ring. */
uint32_t ring_record_max(const struct ring *ring);

/* -- producer -- */
/* Takes over as producer: what a dead one had committed but not published is
 * dropped; raises the epoch. */
void ring_open_producer(struct ring *ret_ring, struct layout_ring *shared, uint32_t size);
/* Room for one record of at most `size` payload bytes (at most
 * ring_record_max()), or NULL when full. */
uint8_t *ring_reserve(struct ring *ring, uint32_t size);
/* Keeps the first `size` bytes of the last reservation as a record of `kind`.
 * Not visible before ring_publish(). */
void ring_commit(struct ring *ring, uint32_t size, uint16_t kind);
/* Makes all that was committed visible. True when there was something: the
 * caller then rings the consumer's bell (bell_ring), which has the full fence. */
bool ring_publish(struct ring *ring);
/* Asks the consumer for the producer's bell at the next release. True when room
 * for `size` came up meanwhile, so that the caller should try again at once. */
bool ring_want_room(struct ring *ring, uint32_t size);
/* Position behind all that is committed; compare with ring_has_settled(). */
uint32_t ring_position(const struct ring *ring);
/* Up to where the consumer has settled; and given back the room. */
uint32_t ring_settled(const struct ring *ring);
uint32_t ring_released(const struct ring *ring);
bool ring_has_settled(const struct ring *ring, uint32_t position);
/* Has the consumer given back the room of all that is before? */
bool ring_has_released(const struct ring *ring, uint32_t position);
/* As ring_want_room(): asks for the producer's bell at the next release. True
 * when `position` was settled meanwhile. The consumer settles, then releases. */
bool ring_want_settled(struct ring *ring, uint32_t position);

/* -- consumer -- */
/* Takes over as consumer: reading starts at the first record not released. The
 * record that a dead one had in hand is counted against it; the second death
 * puts it in quarantine. */
void ring_open_consumer(struct ring *ret_ring, struct layout_ring *shared, uint32_t size);
/* Next record, or false when there is none. Lengths are checked against the
 * ring; a wrong one is a check(). Marks the record as in hand. */
bool ring_next(struct ring *ring, struct ring_record *ret_record);
/* The record in hand is dealt with, though its room is not given back yet: a
 * death from now on is not counted against it. ring_release(), and ring_next()
 * that finds nothing, do the same. */
void ring_put_down(struct ring *ring);
/* All records taken so far are done with: gives their room back. True when the
 * producer waits for room: the caller then rings its bell. */
bool ring_release(struct ring *ring);
/* The same, but only for those before `position`: ring_taken() of some moment, not
 * before the last release. The others are in hand on. */
bool ring_release_to(struct ring *ring, uint32_t position);
/* Position behind all that was taken. */
uint32_t ring_taken(const struct ring *ring);
/* Bytes of what was taken and not given back. */
uint32_t ring_held(const struct ring *ring);
/* All records taken so far are settled (DESIGN: delivered or committed). */
void ring_settle(struct ring *ring);
/* The same, but only those before `position`: ring_taken() of some moment, not before
 * the last time. */
void ring_settle_to(struct ring *ring, uint32_t position);
/* Position behind all that is published just now. */
uint32_t ring_published(struct ring *ring);
/* Is there a published record that was not taken yet? Looks at shared memory. */
bool ring_has_next(struct ring *ring);

#endif
