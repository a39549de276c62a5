#ifndef COURTIER_SHM_LAYOUT_H
#define COURTIER_SHM_LAYOUT_H

/*
 * Every struct that lives in the shared region. One mapping, made by the master
 * before it forks, at the same place in all processes, yet without a pointer
 * inside. Each cache line has one writer.
 *
 *   region_header | slots[slot_count] | generations | ring[0] | ring[1] | ...
 *
 * A slot is a process: workers are 0 to N-1, the store is N, the master the last.
 * When state is kept on disk, slot N+1 is the store's committer, a thread.
 * Line size: 64 bytes on the machines we know; 128 keeps neighbours apart that
 * the prefetcher of x86 would pair.
 */

#include "common/base/hash.h"
#include "shm/stats_list.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LAYOUT_LINE = 128,
    LAYOUT_GENERATIONS = 1024, /* one per hash of a filter's first level, power of two */
    LAYOUT_LISTENERS = 96,     /* as many as a configuration can have; whole lines */
    LAYOUT_TIMES = 112,        /* buckets of a histogram, up to 2^29 us */
    LAYOUT_WORDS_MAX = 240     /* last words of a process, with NUL */
};

#define LAYOUT_MAGIC 0x52544F43U /* "COTR" */

/* Written by the master before the fork, then read only. */
struct layout_header {
    _Alignas(LAYOUT_LINE) uint32_t magic;
    uint32_t version;
    uint64_t hash; /* of sizes and offsets: catches two builds on one region */
    uint32_t worker_count;
    uint32_t ring_size;
    struct hash_key key;
};

/* Written by the store alone. A worker's reader is renewed when `live` moved; a
 * route is looked up again when the generation of its first level, or that of
 * the filters that begin with a wildcard, moved. */
struct layout_generations {
    _Alignas(LAYOUT_LINE) _Atomic uint32_t live;
    _Atomic uint32_t wildcard;
    _Atomic uint32_t level[LAYOUT_GENERATIONS];
};

/* One per process. The first line belongs to everybody who rings the bell, the
 * others to the process alone. */
struct layout_slot {
    _Alignas(LAYOUT_LINE) _Atomic uint32_t sleeping;  /* odd: asleep; number of the sleep above */
    _Alignas(LAYOUT_LINE) _Atomic uint32_t heartbeat; /* answers to the master's pings */
    _Atomic uint32_t pid;
    char words[LAYOUT_WORDS_MAX];
    _Alignas(LAYOUT_LINE) _Atomic uint64_t stats[STATS_COUNT];
    _Alignas(LAYOUT_LINE) _Atomic uint32_t listener_connections[LAYOUT_LISTENERS];
    _Alignas(LAYOUT_LINE) _Atomic uint32_t times[LAYOUT_TIMES];
};

/* Producer's line, consumer's line, then the data. Positions run freely over
 * 32 bits and are compared by unsigned difference; ring_size is at most 2^26. */
struct layout_ring {
    _Alignas(LAYOUT_LINE) _Atomic uint32_t head; /* records before it are published */
    _Atomic uint32_t waiting; /* raised when the producer found no room and wants the bell */
    uint32_t epoch;           /* raised when a new producer takes over */
    _Alignas(LAYOUT_LINE) _Atomic uint32_t tail; /* records before it are done with */
    _Atomic uint32_t settled;                    /* records before it are delivered or on disk */
    _Atomic uint32_t working; /* end of the record in hand; none when not after tail */
    uint32_t suspect;         /* what `working` was when a consumer died */
    uint32_t suspect_deaths;
    _Alignas(LAYOUT_LINE) unsigned char data[];
};

static_assert(sizeof(struct layout_ring) % LAYOUT_LINE == 0, "ring header is whole lines");
static_assert(sizeof(struct layout_slot) % LAYOUT_LINE == 0, "slots do not share lines");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "32-bit atomics work across processes");

#endif
