#ifndef COURTIER_TESTS_BENCH_BENCH_SHARED_H
#define COURTIER_TESTS_BENCH_BENCH_SHARED_H

/*
 * What the processes of one run share: one anonymous mapping, made before the
 * fork. The coordinator (process 0) alone sets the phase and the start time;
 * each process alone writes its slot and the sent counts of its publishers. All
 * read everything.
 *
 * The phase is published with release after the start time and read with
 * acquire; a process confirms it in its slot with release after its own work
 * for the phase is set up. Counters are relaxed: nothing is derived from one of
 * them about another, except after a confirmed phase.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/bench_histogram.h"
#include "tests/bench/bench_stream.h"

enum bench_phase {
    BENCH_PHASE_CONNECT, /* all clients connect and subscribe */
    BENCH_PHASE_AWAY,    /* offline: subscribers leave */
    BENCH_PHASE_WARMUP,  /* publish, unmeasured */
    BENCH_PHASE_SETTLE,  /* wait until all of that is delivered */
    BENCH_PHASE_RESET,   /* counters and histograms to zero */
    BENCH_PHASE_PUBLISH, /* publish, measured */
    BENCH_PHASE_DRAIN,   /* wait until all is delivered */
    BENCH_PHASE_READ,    /* retained: subscribe and wait for what was set; offline: come back */
    BENCH_PHASE_HOLD,    /* idle: stay connected */
    BENCH_PHASE_COUNT,   /* count what is missing */
    BENCH_PHASE_CLEAR,   /* retained: take away what was set */
    BENCH_PHASE_CLOSE,   /* disconnect, end */
};

typedef _Atomic uint64_t bench_counter;

struct bench_slot {
    _Atomic int seen;       /* last phase that this process has set up */
    bench_counter ready;    /* clients that are connected and subscribed */
    bench_counter due;      /* messages that were to be sent so far */
    bench_counter sent;     /* of those: encoded */
    bench_counter settled;  /* of those: QoS 0, or acknowledged to the end */
    bench_counter received; /* deliveries, duplicates included */
    bench_counter repeated; /* of those: duplicates */
    bench_counter connects; /* storm: full cycles */
    bench_counter open;     /* storm: cycles begun and not ended; AWAY: clients leaving */
    bench_counter errors;   /* connections lost, refusals, protocol errors */
    bench_counter reads;    /* system calls */
    bench_counter writes;
    bench_counter last_ns; /* when the last delivery or acknowledgement came */
    uint64_t cpu_ns;       /* of this process, from RESET to COUNT */
    uint32_t window;       /* the smallest that a broker granted */
    struct bench_faults faults;
    struct bench_histogram latency;   /* due to received */
    struct bench_histogram ack;       /* due to acknowledged */
    struct bench_histogram lag;       /* due to sent */
    struct bench_histogram connect;   /* connect() to CONNACK */
    struct bench_histogram subscribe; /* SUBSCRIBE to SUBACK */
};

struct bench_shared {
    _Atomic int phase;
    bench_counter start_ns; /* of the phase */
    uint32_t processes;
    uint32_t publishers;
    struct bench_slot *slots;    /* one per process */
    bench_counter *sent;         /* one per publisher: sequence numbers used */
    struct bench_tally *tallies; /* [process][publisher], shared groups only */
    bench_counter *arrived;      /* [process][publisher], with --ahead only */
};

/* Maps it, zeroed; the phase is CONNECT. Exits with 2 when there is no memory. */
struct bench_shared *bench_shared_open(uint32_t processes, uint32_t publishers);

/* For the one writer of a counter. */
static inline void bench_counter_add(bench_counter *c, uint64_t n)
{
    uint64_t old = atomic_load_explicit(c, memory_order_relaxed);
    atomic_store_explicit(c, old + n, memory_order_relaxed);
}

static inline void bench_counter_set(bench_counter *c, uint64_t value)
{
    atomic_store_explicit(c, value, memory_order_relaxed);
}

static inline uint64_t bench_counter_get(bench_counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* The sum of one counter over all slots, by its offset in struct bench_slot. */
uint64_t bench_shared_sum(struct bench_shared *s, size_t counter_offset);
#define BENCH_SUM(shared, counter) bench_shared_sum((shared), offsetof(struct bench_slot, counter))

/* Coordinator: begins a phase at `start_ns`. */
void bench_shared_enter(struct bench_shared *s, enum bench_phase phase, uint64_t start_ns);
/* The current phase and its start. */
enum bench_phase bench_shared_phase(struct bench_shared *s, uint64_t *ret_start_ns);
/* A process: all is set up for `phase`; in COUNT: the counts are in the slot. */
void bench_shared_confirm(struct bench_slot *slot, enum bench_phase phase);
/* Whether every process has confirmed the current phase. */
bool bench_shared_is_confirmed(struct bench_shared *s);

/* The newest last_ns of all processes. */
uint64_t bench_shared_last_ns(struct bench_shared *s);

/* Messages that all publishers sent, the warm-up's too. */
uint64_t bench_shared_sent_ever(struct bench_shared *s);

/* Deliveries of this publisher's messages that all processes have seen. */
uint64_t bench_shared_arrived(struct bench_shared *s, uint32_t publisher);

/* Zeroes the measured counters and histograms of a slot; those of the handshakes
 * too if asked (elsewhere than in a storm they are over by then). */
void bench_shared_reset(struct bench_slot *slot, bool handshakes_too);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t bench_shared_now_ns(void);

#endif
